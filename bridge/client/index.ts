// `trunkline/client`: for browsers, workers and Node 22 or later.

import { browser } from "./browser.js";
import { Client, type ClientOptions } from "./client.js";
import { withFallback } from "./fallback/browser.js";
import { indexedDbStorage } from "./outbox/indexed-db.js";
import { browserTabs } from "./tabs/browser.js";
import { share } from "./tabs/share.js";
import { binaryCodec } from "./wire/binary.js";

export { Client, type ClientEvents, type ClientOptions, type KeyedCall } from "./client.js";
export { ClosedError, DisconnectedError, GivenUpError, RefusedError } from "./error.js";
export type { FallbackMemory } from "./fallback/choose.js";
export type * from "./gen/types.js";
export { indexedDbStorage } from "./outbox/indexed-db.js";
export type { OutboxOptions } from "./outbox/outbox.js";
export type { Sending, SendingState } from "./outbox/sending.js";
export { MemoryStorage, type OutboxStorage, type StoredChange } from "./outbox/storage.js";
export type { ClientPresence, PresenceRequest, PresenceWatch } from "./people/presence.js";
export type { ReceiptCount, RoomReceipts } from "./people/receipts.js";
export type { RoomTyping, TypingUser } from "./people/typing.js";
export type { FeedState } from "./room/feed.js";
export type {
  ChangeOptions,
  EditOptions,
  HistoryRequest,
  Room as RoomHandle,
  RoomEvents as RoomListeners,
  SendOptions,
} from "./room/room.js";
export type { RoomEntry } from "./rooms/entry.js";
export type { RoomList, RoomListOptions } from "./rooms/list.js";
export type { TokenProvider, TokenRequest } from "./session/session.js";
export type { ClosedReason, ConnectionState, LostReason } from "./session/state.js";
export type { Timeline, TimelineMessage, TimelineOptions, TimelineSnapshot } from "./timeline/timeline.js";

/** A client that speaks the binary encoding. */
export function createClient(options: ClientOptions): Client {
  const platform = withFallback(browser, options.fallback);
  const parts = { codec: binaryCodec, platform, storage: indexedDbStorage() };
  return share(options, parts, browserTabs(), (options, parts) => new Client(options, parts));
}
