// What the connection runs over, in which of the user's tabs, and how much has gone over it.

import type { ConnectionState } from "../../client/session/state.js";
import type { Network } from "../link/network.js";
import type { Traffic } from "../link/traffic.js";
import { sizeOf } from "../parts/words.js";

export interface CarriageProps {
  readonly state: ConnectionState;
  readonly network: Network;
}

export function Carriage({ state, network }: CarriageProps) {
  const { way, sent, received } = network;
  const live = state.status === "live";
  return (
    <dl class="figures">
      <div>
        <dt>Held by</dt>
        <dd id="held-by">
          {!live ? "no tab" : way === undefined ? "another tab" : "this tab"}
          {live && (
            <span class="muted">{way === undefined ? ", for this one too" : ", for all tabs of yours here"}</span>
          )}
        </dd>
      </div>
      {way !== undefined && (
        <div>
          <dt>Over</dt>
          <dd id="way">{way}</dd>
        </div>
      )}
      {(way !== undefined || sent.frames > 0) && (
        <>
          <Amount name="Sent" traffic={sent} />
          <Amount name="Received" traffic={received} />
        </>
      )}
      <div>
        <dt>Session</dt>
        <dd class="code">{live ? state.sessionId : "none"}</dd>
      </div>
    </dl>
  );
}

function Amount({ name, traffic }: { readonly name: string; readonly traffic: Traffic }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {traffic.frames} <span class="muted">frames, {sizeOf(traffic.bytes)}</span>
      </dd>
    </div>
  );
}
