// A room in the list, and what becomes of it with what is heard, in whatever order that comes.

import type {
  GetHistoryResponse,
  Marker,
  Member,
  Message,
  Room,
  RoomEvent,
  RoomSummary,
  RoomTop,
} from "../gen/types.js";
import { furthest } from "../people/marker.js";

/** A room of the user. Never changed: another one takes its place. */
export interface RoomEntry {
  readonly roomId: string;
  /** The room as it was heard of last: its name, kind, settings, number of members. */
  readonly room: Room;
  /** The user's membership. */
  readonly member: Member | undefined;
  /** Undefined: there is none, or none that the user has not hidden. */
  readonly lastMessage: Message | undefined;
  /** Messages of others after the user's read marker. */
  readonly unreadCount: number;
  /** `messageIndex` of those that name the user, as far as is known. */
  readonly mentions: readonly number[];
  /** How far the user has come, over all of their devices. */
  readonly marker: Marker | undefined;
  /** When the last message came, or the room was made, in milliseconds since 1970. */
  readonly activeAtMs: number;
  /** Up to this `messageIndex` none of the user's own counts as unread. @internal */
  readonly sortedIndex: number;
  /** Own messages after the read marker, as far as is known. @internal */
  readonly own: readonly number[];
}

/** Own messages that are told apart after a read marker. */
const MAX_OWN = 1_000;
/** Messages that a preview reads, at most. */
const PREVIEW_MESSAGES = 20;

export function entryOf({ room = {}, member, lastMessage, unreadCount = 0, marker }: RoomSummary): RoomEntry {
  return dated({
    roomId: room.roomId ?? "",
    room,
    member,
    lastMessage,
    unreadCount,
    mentions: [],
    marker,
    activeAtMs: 0,
    sortedIndex: room.lastMessageIndex ?? 0,
    own: [],
  });
}

/** What was heard before the answer came holds where the answer is older. */
export function listed(held: RoomEntry | undefined, summary: RoomSummary): RoomEntry {
  if (held === undefined) return entryOf(summary);
  const { marker } = summary;
  if (seqOf(held.room) > seqOf(summary.room)) {
    const kept = moved({ ...held, member: summary.member }, summary.room ?? {});
    return marker === undefined ? kept : marked(kept, marker);
  }
  const entry = { ...entryOf(summary), mentions: held.mentions, own: held.own };
  const further = held.marker ?? marker;
  return further === undefined ? entry : marked(entry, further, true);
}

/** The user's marker has moved, on whatever device. */
export function marked(entry: RoomEntry, marker: Marker, anew = false): RoomEntry {
  const { room, unreadCount } = entry;
  const lastIndex = room.lastMessageIndex ?? 0;
  const now = furthest(entry.marker, marker);
  if (now === entry.marker && !anew) return entry;
  // Who has read the last event has read the last message.
  const all = (now.readSeq ?? 0) >= seqOf(room) ? lastIndex : 0;
  const readIndex = Math.max(now.readMessageIndex ?? 0, all);
  const own = entry.own.filter((index) => index > readIndex);
  const left = Math.max(lastIndex - readIndex - own.length, 0);
  return {
    ...entry,
    marker: { ...now, readMessageIndex: readIndex },
    own,
    unreadCount: Math.min(unreadCount, left),
    mentions: entry.mentions.filter((index) => index > readIndex),
  };
}

/** A message names the user. */
export function mentioned(entry: RoomEntry, index: number): RoomEntry {
  if (index <= (entry.marker?.readMessageIndex ?? 0) || entry.mentions.includes(index)) return entry;
  return { ...entry, mentions: [...entry.mentions, index].sort((a, b) => a - b) };
}

/** The room has moved on to there; what it was is not known. */
export function moved(entry: RoomEntry, { top, lastMessageIndex = 0 }: RoomTop): RoomEntry {
  const further = (top?.seq ?? 0) > seqOf(entry.room);
  const before = entry.room.lastMessageIndex ?? 0;
  const lastIndex = Math.max(before, lastMessageIndex);
  if (!further && lastIndex === before) return entry;
  const more = lastIndex - Math.max(before, entry.marker?.readMessageIndex ?? 0);
  const room = { ...entry.room, ...(further && { top }), lastMessageIndex: lastIndex };
  return { ...entry, room, unreadCount: entry.unreadCount + Math.max(more, 0) };
}

/** What the room is by now, and stands where it was heard to: that moves with what is heard alone, so that it is counted. */
export function placed(entry: RoomEntry, room: Room = entry.room): RoomEntry {
  const { top = {}, lastMessageIndex = 0 } = entry.room;
  return { ...entry, room: { ...room, top, lastMessageIndex } };
}

/** How many messages to look at for the user's own. */
export function unsorted({ room, sortedIndex }: RoomEntry): number {
  return Math.min(Math.max((room.lastMessageIndex ?? 0) - sortedIndex, 1), PREVIEW_MESSAGES);
}

/** The room's newest messages, in rising order. */
export function previewed(entry: RoomEntry, { messages = [], asOf }: GetHistoryResponse, userId: string): RoomEntry {
  const { room, sortedIndex } = entry;
  const readIndex = entry.marker?.readMessageIndex ?? 0;
  const lastIndex = room.lastMessageIndex ?? 0;
  const own = messages
    .filter(({ sender }) => sender?.userId === userId)
    .map(({ messageIndex = 0 }) => messageIndex)
    .filter((index) => index > Math.max(sortedIndex, readIndex) && index <= lastIndex)
    // Others have been heard as events.
    .filter((index) => !entry.own.includes(index));
  const last = messages.at(-1);
  const firstIndex = messages[0]?.messageIndex ?? 0;
  const older = (asOf?.seq ?? 0) < seqOf(room) && (last?.messageIndex ?? 0) < (entry.lastMessage?.messageIndex ?? 0);
  return dated({
    ...entry,
    own: [...entry.own, ...own].slice(-MAX_OWN),
    unreadCount: Math.max(entry.unreadCount - own.length, 0),
    // More may have come since than were asked for: those before the page are asked for with the next.
    sortedIndex:
      firstIndex <= sortedIndex + 1 ? Math.max(sortedIndex, Math.min(lastIndex, last?.messageIndex ?? 0)) : sortedIndex,
    lastMessage: older ? entry.lastMessage : last,
  });
}

/** The next event of the room. Undefined: the room is none of the user's any more. */
export function happened(entry: RoomEntry, event: RoomEvent, userId: string): RoomEntry | undefined {
  const { position = {}, messageCreated, messageEdited, messageDeleted, memberJoined, memberLeft } = event;
  const { memberChanged, roomUpdated, roomDeleted } = event;
  if ((position.seq ?? 0) <= seqOf(entry.room)) return entry;
  if (roomDeleted !== undefined || memberLeft?.userId === userId) return undefined;
  const { lastMessage } = entry;
  const next = { ...entry, room: { ...entry.room, top: position } };
  if (messageCreated !== undefined) return said(next, event, userId);
  if (messageEdited !== undefined && messageEdited.messageId === lastMessage?.messageId)
    return { ...next, lastMessage: { ...lastMessage, ...messageEdited } };
  if (messageDeleted !== undefined && messageDeleted.messageId === lastMessage?.messageId)
    return { ...next, lastMessage: { ...lastMessage, body: undefined, deleted: true } };
  if (roomUpdated !== undefined) {
    const { lastMessageIndex, memberCount } = entry.room;
    return { ...next, room: { ...roomUpdated.room, top: position, lastMessageIndex, memberCount } };
  }
  if (memberChanged?.member?.userId === userId) return { ...next, member: memberChanged.member };
  const more = memberJoined !== undefined ? 1 : memberLeft !== undefined ? -1 : 0;
  return { ...next, room: { ...next.room, memberCount: (entry.room.memberCount ?? 0) + more } };
}

function said(before: RoomEntry, event: RoomEvent, userId: string): RoomEntry {
  const { eventId = "", position = {}, createdAt = "", actor = {}, messageCreated = {} } = event;
  const { messageIndex = 0, mentions = [] } = messageCreated;
  // Some before it may not have been heard: the room was opened after them.
  const entry = moved(before, { lastMessageIndex: messageIndex - 1 });
  const lastIndex = entry.room.lastMessageIndex ?? 0;
  const counts = messageIndex > Math.max(lastIndex, entry.marker?.readMessageIndex ?? 0);
  const own = counts && actor.userId === userId;
  const { roomId } = entry;
  const next = dated({
    ...entry,
    room: { ...entry.room, lastMessageIndex: Math.max(lastIndex, messageIndex) },
    lastMessage: { ...messageCreated, messageId: eventId, roomId, position, createdAt, sender: actor, version: 1 },
    unreadCount: entry.unreadCount + (counts && !own ? 1 : 0),
    own: own ? [...entry.own, messageIndex].slice(-MAX_OWN) : entry.own,
    sortedIndex: messageIndex === entry.sortedIndex + 1 ? messageIndex : entry.sortedIndex,
  });
  return !own && mentions.some((one) => one.userId === userId) ? mentioned(next, messageIndex) : next;
}

function dated(entry: RoomEntry): RoomEntry {
  return { ...entry, activeAtMs: Date.parse(entry.lastMessage?.createdAt ?? entry.room.createdAt ?? "") || 0 };
}

export function seqOf(room: Room | undefined): number {
  return room?.top?.seq ?? 0;
}
