// Runs in the page: a client in many rooms, and how it comes back to them when its connection was cut. Offered as `globalThis.reconnecting`.

import type { Client } from "../../../bridge/client/client.js";
import { createClient } from "../../../bridge/client/index.js";
import type { StartOptions } from "./receiver.js";
import { type TappedConnection, type TappedFrame, tapWebSockets } from "./tap.js";

export interface Reconnecting {
  /** Resolves once all rooms are live. */
  start(options: StartOptions): Promise<void>;
  /** Connects once the client has seen that its connection is gone, without the jitter of its backoff. */
  comeBack(): Promise<void>;
  /** How it came back; undefined: not all rooms are live again, with `missed` messages in all that came since it was asked last. */
  back(missed: number): Comeback | undefined;
}

export interface Comeback {
  /** Messages that came, whether or not they came before. */
  readonly messages: number;
  /** Of those, the ones that had come before. */
  readonly doubled: number;
  readonly dialToOpenMs: number;
  /** From the open connection to the server's first word. */
  readonly openToWelcomeMs: number;
  /** From the open connection to the last room's being live. */
  readonly openToLiveMs: number;
  /** And to the last message that was missed. */
  readonly openToCaughtUpMs: number;
  /** WebSocket messages from the open connection until everything had come, and the bytes in them. */
  readonly up: Traffic;
  readonly down: Traffic;
}

export interface Traffic {
  readonly frames: number;
  readonly bytes: number;
}

const connections = tapWebSockets();
let client: Client | undefined;
const live = new Set<string>();
const seen = new Set<string>();
let roomCount = 0;
let liveAt = 0;
let messages = 0;
let doubled = 0;
let caughtUpAt = 0;

const reconnecting: Reconnecting = {
  async start({ url, token, rooms }) {
    const own = createClient({ url, token: () => token, tabs: "own" });
    client = own;
    roomCount = rooms.length;
    const all = Promise.withResolvers<void>();
    for (const id of rooms) {
      const room = own.room(id);
      room.on("event", ({ eventId = "", messageCreated }) => {
        if (messageCreated === undefined) return;
        messages++;
        if (seen.has(eventId)) doubled++;
        seen.add(eventId);
        caughtUpAt = performance.now();
      });
      room.on("state", ({ status }) => {
        if (status !== "live") live.delete(id);
        else live.add(id);
        if (live.size < roomCount) return;
        liveAt = performance.now();
        all.resolve();
      });
      room.open();
    }
    await all.promise;
  },
  async comeBack() {
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (client?.state.status === "live") return;
        off?.();
        resolve();
      };
      const off = client?.on("state", look);
      look();
    });
    client?.connect();
  },
  back(missed) {
    const connection = connections.at(-1);
    if (connection === undefined || live.size < roomCount || messages < missed || liveAt < connection.openedAt) return;
    const last = Math.max(liveAt, caughtUpAt);
    const comeback = {
      messages,
      doubled,
      dialToOpenMs: connection.openedAt - connection.dialledAt,
      openToWelcomeMs: (connection.frames.find(({ up }) => !up)?.at ?? Number.NaN) - connection.openedAt,
      openToLiveMs: liveAt - connection.openedAt,
      openToCaughtUpMs: last - connection.openedAt,
      up: trafficOf(connection, last, ({ up }) => up),
      down: trafficOf(connection, last, ({ up }) => !up),
    };
    messages = 0;
    doubled = 0;
    return comeback;
  },
};
Object.assign(globalThis, { reconnecting });

function trafficOf({ frames }: TappedConnection, until: number, counts: (frame: TappedFrame) => boolean): Traffic {
  const counted = frames.filter((frame) => frame.at <= until && counts(frame));
  return { frames: counted.length, bytes: counted.reduce((sum, { bytes }) => sum + bytes, 0) };
}
