// What both entries of the client give, beside the way to make one.

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
export type { ClosedReason, ConnectionState, LostReason, Via } from "./session/state.js";
export type { TimelineMessage, TimelineOptions, TimelineSnapshot } from "./timeline/snapshot.js";
export type { Timeline } from "./timeline/timeline.js";
