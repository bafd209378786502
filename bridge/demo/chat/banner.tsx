// Says that there is no connection, why, and what becomes of what is written meanwhile.

import { forgetDevice } from "../account/seat.js";
import { useChanges, useNow } from "../parts/use.js";
import { countdownText, stateText } from "../parts/words.js";
import { useChat } from "./context.js";

export function ConnectionBanner() {
  const { client, network } = useChat();
  useChanges((changed) => client.on("state", changed), [client]);
  const { state } = client;
  const now = useNow(state.status === "waiting");
  const stopped = state.status === "closed";
  const away = state.status === "waiting" || stopped;
  return (
    <div id="state" class={`connection ${away ? "banner" : "visually-hidden"}`} data-kind={state.status}>
      <p>
        <strong role="status">{stateText(state)}</strong>
        {/* Nobody wants to hear seconds counted. */}
        <span aria-hidden="true">{countdownText(state, now)}</span>
        {state.status === "waiting" && <span class="promise">What you write is kept, and sent when you are back.</span>}
      </p>
      {away && (
        <button
          type="button"
          onClick={() => {
            if (stopped) {
              // Else the tab that has this device now would be the one to be replaced.
              if (state.reason === "replaced") {
                forgetDevice();
                location.reload();
              } else client.connect();
            } else if (network.off) network.off = false;
            else client.connect();
          }}
        >
          {stopped ? "Reconnect" : network.off ? "Go online" : "Try now"}
        </button>
      )}
    </div>
  );
}
