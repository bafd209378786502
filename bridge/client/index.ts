// `trunkline/client`: for browsers, workers and Node 22 or later.

import { browser } from "./browser.js";
import { Client, type ClientOptions } from "./client.js";
import { binaryCodec } from "./wire/binary.js";

export { Client, type ClientEvents, type ClientOptions } from "./client.js";
export { ClosedError, DisconnectedError, RefusedError } from "./error.js";
export type * from "./gen/types.js";
export type { FeedState } from "./room/feed.js";
export type { HistoryRequest, Room as RoomHandle, RoomEvents as RoomListeners } from "./room/room.js";
export type { TokenProvider, TokenRequest } from "./session/session.js";
export type { ClosedReason, ConnectionState, LostReason } from "./session/state.js";

/** A client that speaks the binary encoding. */
export function createClient(options: ClientOptions): Client {
  return new Client(options, { codec: binaryCodec, platform: browser });
}
