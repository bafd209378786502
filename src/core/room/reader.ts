// Answers that write nothing: members, rooms, history, events. Rights are judged at the owner, pages come from the archive.

import { create } from "@bufbuild/protobuf";
import {
  type Body,
  type Message,
  type Origin,
  OriginSchema,
  Permission,
  type Position,
  PositionSchema,
  RoomKind,
} from "../../gen/trunkline/v1/message_pb.js";
import * as rpc from "../../gen/trunkline/v1/room_pb.js";
import type { MessageRef } from "../../gen/trunkline/v1/session_pb.js";
import type { MessageRange, Page, StoredMessage } from "../../ports/archive.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { PAGE_BYTES } from "../limit/limits.js";
import { hasExpired, materialise } from "../message/materialise.js";
import { repliesAt } from "../message/replies-at.js";
import type { Receipts } from "../receipt/receipts.js";
import { pageSize, SYSTEM_ID_PREFIX, validateId, validateOptionalId } from "../validate.js";
import { ANNOUNCEMENTS_ID, withAnnouncements } from "./announcements.js";
import type { Caller } from "./calls.js";
import { inboxRef } from "./inbox.js";
import type { RoomOwner } from "./owner.js";
import { mayRead } from "./permissions.js";
import { membersRoomOf, rootOf } from "./sub-room.js";

const MEMBERS_PAGE = { usual: 100, most: 500 };
const ROOMS_PAGE = { usual: 100, most: 500 };
const HISTORY_PAGE = { usual: 50, most: 200 };
const EVENTS_PAGE = { usual: 200, most: 1_000 };

/** Messages looked through for one that is not hidden. */
const LOOK_BACK = 50;
/** Above every message_index. */
const END = 0xffff_ffff;

export class RoomReader {
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;
  readonly #receipts: Receipts;

  constructor(deps: CoreDependencies, owner: RoomOwner, receipts: Receipts) {
    this.#deps = deps;
    this.#owner = owner;
    this.#receipts = receipts;
  }

  async listMembers(caller: Caller, request: rpc.ListMembersRequest): Promise<rpc.ListMembersResponse> {
    validateOptionalId("page_token", request.pageToken);
    const { ref } = await this.#readable(caller, request.roomId, Permission.SEE_MEMBERS);
    const limit = pageSize("page_size", request.pageSize, MEMBERS_PAGE);
    const documents = await this.#deps.archive.members(membersRoomOf(ref), { after: request.pageToken, limit });
    const members = documents.flatMap(({ member }) => (member === undefined ? [] : [member]));
    return create(rpc.ListMembersResponseSchema, {
      members,
      nextPageToken: documents.length < limit ? "" : (members.at(-1)?.userId ?? ""),
    });
  }

  async listRooms(caller: Caller, request: rpc.ListRoomsRequest): Promise<rpc.ListRoomsResponse> {
    validateOptionalId("page_token", request.pageToken);
    const limit = pageSize("page_size", request.pageSize, ROOMS_PAGE);
    const { tenantId, userId } = caller.identity;
    const roomIds = await this.#roomIds(tenantId, userId, request.pageToken, limit);
    const rooms = await Promise.all(roomIds.map((roomId) => this.#summary(roomRef(tenantId, roomId), caller)));
    return create(rpc.ListRoomsResponseSchema, {
      rooms: rooms.filter((room) => room !== undefined),
      nextPageToken: roomIds.length < limit ? "" : (roomIds.at(-1) ?? ""),
    });
  }

  /** The rooms of a user in the order of the list: each is followed by those under it. */
  async #roomIds(tenantId: string, userId: string, after: string, limit: number): Promise<readonly string[]> {
    const { archive } = this.#deps;
    const ids: string[] = [];
    const addUnder = async (rootId: string, afterId: string): Promise<void> => {
      if (ids.length >= limit || rootId.startsWith(SYSTEM_ID_PREFIX)) return;
      const page = { after: afterId, limit: limit - ids.length };
      ids.push(...(await archive.subRooms(roomRef(tenantId, rootId), page)));
    };
    let last = rootOf(roomRef(tenantId, after))?.roomId ?? after;
    if (after !== "") await addUnder(last, last === after ? "" : after);
    while (ids.length < limit) {
      const page = { after: last, limit: limit - ids.length };
      const found = await this.#ownRooms(tenantId, userId, page);
      for (const roomId of found) {
        if (ids.length >= limit) return ids;
        ids.push(roomId);
        last = roomId;
        await addUnder(roomId, "");
      }
      if (found.length < page.limit) break;
    }
    return ids;
  }

  /** The rooms that a user is a member of, and the tenant's announcements, where there are any. */
  async #ownRooms(tenantId: string, userId: string, page: Page): Promise<readonly string[]> {
    const found = await this.#deps.archive.roomsOf(tenantId, userId, page);
    const all = withAnnouncements(found, page);
    if (found.includes(ANNOUNCEMENTS_ID) || !all.includes(ANNOUNCEMENTS_ID)) return found;
    const made = await this.#owner.view(
      roomRef(tenantId, ANNOUNCEMENTS_ID),
      [],
      ({ state }) => state.room !== undefined,
    );
    return made ? all : found;
  }

  /** Undefined where the caller is no member, or may not read the room. */
  async #summary(ref: RoomRef, caller: Caller): Promise<rpc.RoomSummary | undefined> {
    const { userId } = caller.identity;
    const seen = await this.#owner
      .read(ref, caller, Permission.READ, ({ state }) => ({ room: state.view(), member: state.member(userId) }))
      .catch((error: unknown) => {
        if (TrunklineError.from(error).retryable) throw error;
        return undefined;
      });
    if (seen?.room === undefined || seen.member === undefined || !mayRead(seen.member)) return undefined;
    // It has its place in Welcome, and is no conversation.
    if (seen.room.kind === RoomKind.INBOX) return undefined;
    const last = await this.#lastShown(ref, userId);
    const message = last && materialise(ref.roomId, last);
    const lastMessage = message && hasExpired(message, this.#deps.clock.now()) ? undefined : message;
    const unread = await this.#receipts.unread(ref, userId, seen.room.lastMessageIndex);
    return create(rpc.RoomSummarySchema, { ...seen, lastMessage, ...unread });
  }

  /** The last message that the user has not hidden, if it is among the last ones. */
  async #lastShown(ref: RoomRef, userId: string): Promise<StoredMessage | undefined> {
    const [last] = await this.#deps.archive.messages(ref, { beforeIndex: END, limit: 1 });
    if (last === undefined || (await this.#hidden(ref, userId, [last])).size === 0) return last;
    const recent = await this.#deps.archive.messages(ref, { beforeIndex: last.messageIndex, limit: LOOK_BACK });
    const hidden = await this.#hidden(ref, userId, recent);
    return recent.findLast(({ messageIndex }) => !hidden.has(messageIndex));
  }

  /** The indexes of those among the messages, which are in order, that the user has hidden from themselves. */
  async #hidden({ tenantId, roomId }: RoomRef, userId: string, page: readonly StoredMessage[]): Promise<Set<number>> {
    const [first] = page;
    const last = page.at(-1);
    if (first === undefined || last === undefined) return new Set();
    const inbox = inboxRef(this.#deps.ids, tenantId, userId);
    return new Set(await this.#deps.archive.hidden(inbox, roomId, first.messageIndex, last.messageIndex));
  }

  async getHistory(caller: Caller, request: rpc.GetHistoryRequest): Promise<rpc.GetHistoryResponse> {
    const { ref, top, lastIndex } = await this.#readable(caller, request.roomId, Permission.READ);
    const limit = pageSize("limit", request.limit, HISTORY_PAGE);
    const forward = request.from.case === "afterIndex";
    // One more than wanted tells whether there are more.
    const range: MessageRange =
      request.from.case === "afterIndex"
        ? { afterIndex: request.from.value, limit: limit + 1 }
        : { beforeIndex: Math.min(request.from.value ?? END, lastIndex + 1), limit: limit + 1 };
    const stored = await this.#deps.archive.messages(ref, range);
    // Newer than the state that the page shows: not there yet, or the next page would begin after what this one left out.
    const { page, more } = cut(
      stored.filter(({ messageIndex }) => messageIndex <= lastIndex),
      limit,
      forward,
    );
    const nowMs = this.#deps.clock.now();
    const hidden = await this.#hidden(ref, caller.identity.userId, page);
    const messages = (await repliesAt(this.#deps.archive, ref, page, top.seq)).flatMap((entry) => {
      if (hidden.has(entry.messageIndex)) return [];
      const message = materialise(ref.roomId, entry);
      return message === undefined || hasExpired(message, nowMs) ? [] : [message];
    });
    return create(rpc.GetHistoryResponseSchema, {
      messages,
      asOf: top,
      more,
      nextIndex: (forward ? page.at(-1) : page.at(0))?.messageIndex ?? 0,
    });
  }

  async getEvents(caller: Caller, request: rpc.GetEventsRequest): Promise<rpc.GetEventsResponse> {
    const { ref, top } = await this.#readable(caller, request.roomId, Permission.READ);
    const limit = pageSize("limit", request.limit, EVENTS_PAGE);
    const from = Math.max(request.fromSeq, 1);
    const to = request.toSeq === 0 ? top.seq : Math.min(request.toSeq, top.seq);
    if (from > to) return create(rpc.GetEventsResponseSchema, { top });
    const events = await this.#deps.archive.events(ref, { from, to, limit, maxBytes: PAGE_BYTES });
    const [first] = events;
    if (first === undefined || first.seq !== from) {
      throw new TrunklineError(ErrorCode.NOT_FOUND, "events from here are no longer kept: load the history", {
        field: "from_seq",
        details: first === undefined ? {} : { first_seq: String(first.seq) },
      });
    }
    return create(rpc.GetEventsResponseSchema, {
      events: events.map(({ event }) => event),
      top,
      more: (events.at(-1)?.seq ?? to) < to,
    });
  }

  async forwarded(
    caller: Caller,
    { roomId, messageId }: MessageRef,
  ): Promise<{ readonly body: Body; readonly forwardedFrom: Origin }> {
    const message = await this.readableMessage(caller, roomId, messageId);
    if (message?.body === undefined) {
      throw new TrunklineError(ErrorCode.NOT_FOUND, "publish.forward: there is no such message in the room", {
        field: "publish.forward.message_id",
      });
    }
    const { body, sender, createdAt } = message;
    // What was passed on before keeps its first origin.
    const forwardedFrom = message.forwardedFrom ?? create(OriginSchema, { roomId, messageId, sender, createdAt });
    return { body, forwardedFrom };
  }

  /** The message, if the caller may read it. Undefined: there is none, or its time is over. */
  async readableMessage(caller: Caller, roomId: string, messageId: string): Promise<Message | undefined> {
    const { ref, top } = await this.#readable(caller, roomId, Permission.READ);
    const stored = await this.#deps.archive.message(ref, messageId);
    const message = stored && materialise(roomId, stored);
    const there = message !== undefined && (message.position?.seq ?? 0) <= top.seq;
    return there && !hasExpired(message, this.#deps.clock.now()) ? message : undefined;
  }

  /** The room's durable top, if the caller may do `permission` in it. */
  async #readable(
    caller: Caller,
    roomId: string,
    permission: Permission,
  ): Promise<{ readonly ref: RoomRef; readonly top: Position; readonly lastIndex: number }> {
    validateId("room_id", roomId);
    const ref = roomRef(caller.identity.tenantId, roomId);
    return await this.#owner.read(ref, caller, permission, ({ state }) => {
      // The answer waits until all of this is durable.
      const top = create(PositionSchema, { seq: state.seq, tag: state.tag });
      return { ref, top, lastIndex: state.lastMessageIndex };
    });
  }
}

/** The page out of what was read: at most `limit` entries and about PAGE_BYTES, from the end that was asked for. */
function cut(
  stored: readonly StoredMessage[],
  limit: number,
  forward: boolean,
): { readonly page: readonly StoredMessage[]; readonly more: boolean } {
  const wanted = forward ? stored : stored.toReversed();
  let bytes = 0;
  let count = 0;
  for (const entry of wanted) {
    if (count === limit || bytes >= PAGE_BYTES) break;
    bytes += entry.created?.bytes.length ?? PAGE_BYTES / HISTORY_PAGE.most;
    count++;
  }
  const page = wanted.slice(0, count);
  return { page: forward ? page : page.toReversed(), more: count < stored.length };
}
