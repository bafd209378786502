// Says that there is no connection, why, and what becomes of what is written meanwhile.

import { useEffect, useState } from "preact/hooks";
import type { ConnectionState } from "../../client/session/state.js";
import { useChanges, useNow } from "../parts/use.js";
import { countdownText, stateText } from "../parts/words.js";
import { useChat } from "./context.js";

/** A connection that is made sooner is not worth a word, in milliseconds. */
const SOON_MS = 800;

export function ConnectionBanner() {
  const { client, network, brought, onLeave } = useChat();
  useChanges((changed) => client.on("state", changed), [client]);
  const { state } = client;
  const now = useNow(state.status === "waiting");
  const shown = useShown(state);
  const stopped = state.status === "closed";
  // Another attempt with what was refused would be refused as well.
  const over = stopped && brought && (state.reason === "unauthenticated" || state.reason === "revoked");
  const [label, action] = over
    ? (["Sign in again", onLeave] as const)
    : network.off
      ? (["Go online", () => turnOn()] as const)
      : ([stopped ? "Reconnect" : "Try now", () => client.connect()] as const);
  const turnOn = (): void => {
    network.off = false;
  };
  return (
    <div id="state" class={`connection ${shown ? "banner" : "visually-hidden"}`} data-kind={state.status}>
      <p>
        <strong role="status">{stateText(state)}</strong>
        {/* Nobody wants to hear seconds counted. */}
        <span aria-hidden="true">{countdownText(state, now)}</span>
        {shown && !stopped && <span class="promise">What you write is kept, and sent later.</span>}
      </p>
      {shown && (
        <button type="button" onClick={action} disabled={state.status === "connecting"}>
          {label}
        </button>
      )}
    </div>
  );
}

/** From a lost connection to the next one, without a gap for each attempt; a first one only where it takes its time. */
function useShown({ status }: ConnectionState): boolean {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (status === "connecting") {
      const timer = setTimeout(() => setShown(true), SOON_MS);
      return () => clearTimeout(timer);
    }
    setShown(status !== "live" && status !== "idle");
    return undefined;
  }, [status]);
  return shown;
}
