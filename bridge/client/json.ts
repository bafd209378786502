// `trunkline/client/json`: as `trunkline/client`, without the binary encoding: smaller, and its frames can be read.

import { browser } from "./browser.js";
import { Client, type ClientOptions } from "./client.js";
import { jsonCodec } from "./wire/codec.js";

export { Client, type ClientEvents, type ClientOptions } from "./client.js";
export { ClosedError, DisconnectedError, RefusedError } from "./error.js";
export type * from "./gen/types.js";
export type { FeedState } from "./room/feed.js";
export type { HistoryRequest, Room as RoomHandle, RoomEvents as RoomListeners } from "./room/room.js";
export type { TokenProvider, TokenRequest } from "./session/session.js";
export type { ClosedReason, ConnectionState, LostReason } from "./session/state.js";

/** A client that speaks JSON. */
export function createClient(options: ClientOptions): Client {
  return new Client(options, { codec: jsonCodec, platform: browser });
}
