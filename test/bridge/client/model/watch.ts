// What has to hold of a session at every moment, whatever happens to it.

import type { Client } from "../../../../bridge/client/client.js";
import type { ClientFrame, ServerFrame } from "../../../../bridge/client/gen/types.js";
import type { ConnectionState } from "../../../../bridge/client/session/state.js";
import { CloseCode } from "../../../../src/gen/trunkline/v1/error_pb.js";
import type { Page } from "../support/page.js";
import type { World } from "../support/world.js";

/** As bridge/client/session/state.ts draws them. */
const TRANSITIONS: Readonly<Record<ConnectionState["status"], readonly ConnectionState["status"][]>> = {
  idle: ["connecting", "waiting", "closed"],
  connecting: ["live", "waiting", "closed"],
  live: ["waiting", "closed"],
  waiting: ["connecting", "waiting", "closed"],
  closed: ["connecting", "waiting"],
};
const LONGEST_BACKOFF_MS = 30_000;
/** Where the server says "later" and not when. */
const LATER_MS = 1_000;

/** Ways that were gone, over all schedules. */
export const seen = new Map<string, number>();

export function saw(way: string, times = 1): void {
  seen.set(way, (seen.get(way) ?? 0) + times);
}

export function watch(world: World, page: Page, client: Client, breach: (what: string) => void): void {
  let before = client.state;
  /** How the wire that was there last has ended, or is about to. */
  let ending: { readonly code: number; readonly reconnectAfterMs: number } | undefined;
  let notBeforeMs = 0;
  /** The wire is there for the next hello: what it ends with before tells nothing. */
  let stays = false;
  const returned = (how: string): void => {
    ending = undefined;
    stays = false;
    if (client.state.status !== "connecting") breach(`${how} while ${client.state.status}`);
    if (world.nowMs < notBeforeMs) breach(`${how} ${notBeforeMs - world.nowMs} ms before the server has asked it to`);
  };
  /** Connections with something that is no frame. */
  let garbled = 0;
  page.witness = {
    dialled() {
      returned("dialled");
    },
    sent(data) {
      const frame: ClientFrame = JSON.parse(data);
      if (frame.hello !== undefined) returned("said hello");
      else if (stays) breach(`said ${data} where a hello was awaited`);
    },
    received(data) {
      const frame: ServerFrame | undefined = data === "{" ? undefined : JSON.parse(String(data));
      if (frame === undefined) garbled++;
      if (frame?.goodbye === undefined) return;
      const { reason = 0, reconnectAfterMs = 0, stay = false } = frame.goodbye;
      stays = stay;
      const name = String(reason).replace("CLOSE_CODE_", "") as keyof typeof CloseCode;
      ending = { code: CloseCode[name], reconnectAfterMs };
    },
    closed(code) {
      if (!stays) ending ??= { code, reconnectAfterMs: 0 };
    },
  };
  client.on("state", (state) => {
    const way = `${before.status} → ${state.status}${"reason" in state ? ` ${state.reason}` : ""}`;
    saw(way);
    if (!TRANSITIONS[before.status].includes(state.status)) breach(way);
    const { code = 0, reconnectAfterMs = 0 } = ending ?? {};
    const stops = code >= 4500 && code <= 4999;
    if (state.status === "waiting" && (before.status === "live" || before.status === "connecting")) {
      if (stops) breach(`waits after ${code}`);
      if (code >= 4100 && code <= 4199) notBeforeMs = world.nowMs + (reconnectAfterMs || LATER_MS);
    }
    const garbage = state.status === "closed" && state.reason === "protocol" && garbled >= 3;
    if (
      state.status === "closed" &&
      state.reason !== "closed" &&
      state.reason !== "unauthenticated" &&
      !stops &&
      !garbage
    ) {
      breach(`closed for ${state.reason} after ${code}`);
    }
    if (state.status === "closed" && page.held > 0) breach("is closed and holds a wire");
    if (state.status === "waiting" && state.untilMs !== undefined) {
      const delayMs = state.untilMs - page.now();
      if (delayMs > Math.max(LONGEST_BACKOFF_MS, notBeforeMs - world.nowMs)) breach(`waits for ${delayMs} ms`);
    }
    if (state.status === "waiting" || state.status === "closed") ending = undefined;
    before = state;
  });
}
