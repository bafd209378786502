// What goes on behind the chat, and what may happen to it: the connection, how far each room has come, every frame; and buttons that do what
// tunnels and lifts do.

import { useEffect } from "preact/hooks";
import { useChat } from "../chat/context.js";
import { IconButton } from "../parts/icon.js";
import { useChanges, useFocusBack, useNow } from "../parts/use.js";
import { countdownText, stateText } from "../parts/words.js";
import { Carriage } from "./carriage.js";
import { FrameList } from "./frame-list.js";
import { Positions } from "./positions.js";
import { RoundTrips } from "./round-trips.js";

/** Between two looks at how long an answer takes. */
const PROBE_MS = 5_000;

export interface InspectorProps {
  readonly roomId: string | undefined;
  readonly onClose: () => void;
}

export function Inspector({ roomId, onClose }: InspectorProps) {
  const { client, network, wiretap } = useChat();
  useFocusBack();
  useChanges(
    (changed) => {
      const stops = [
        wiretap.onChange(changed),
        client.on("state", changed),
        client.rooms.onChange(changed),
        roomId === undefined ? () => {} : client.room(roomId).on("pending", changed),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
    [client, wiretap, roomId],
  );
  useEffect(() => {
    const probe = (): void => {
      // Where there is no connection there is nothing to measure.
      client.ping().catch(() => {});
    };
    probe();
    const timer = setInterval(probe, PROBE_MS);
    return () => clearInterval(timer);
  }, [client]);
  const { state } = client;
  const now = useNow(state.status === "waiting");

  return (
    <aside class="inspector" aria-label="Connection inspector">
      <header class="bar">
        <h2>Connection</h2>
        <IconButton icon="close" label="Close the inspector" onClick={onClose} />
      </header>
      <div class="inspector-body">
        <p class={`lamp ${state.status}`}>
          <span>{stateText(state)}</span>
          <span class="muted">{countdownText(state, now)}</span>
        </p>
        <div class="buttons">
          <button type="button" onClick={() => network.cut()} disabled={state.status !== "live"}>
            Drop connection
          </button>
          <button
            type="button"
            aria-pressed={network.off}
            onClick={() => {
              network.off = !network.off;
            }}
          >
            {network.off ? "Go online" : "Go offline"}
          </button>
          <button type="button" onClick={() => client.connect()} disabled={state.status === "live" || network.off}>
            Connect
          </button>
        </div>
        <p class="muted small">
          Offline closes the connection in order, dropping it cuts it without a word. Write something meanwhile: it
          waits with a clock, and is sent once.
        </p>
        <Carriage state={state} network={network} />
        <RoundTrips times={wiretap.times} />
        <Positions roomId={roomId} />
        <FrameList frames={wiretap.frames} onClear={() => wiretap.clear()} />
      </div>
    </aside>
  );
}
