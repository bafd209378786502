// Receipts: how far everybody has received and read rooms. A room's markers are merged, kept and told of where the room is owned; what is said and
// asked at other nodes goes there. Markers are no events: the furthest counts, whenever it
// is said and however often, so they need no order and no log.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Member,
  Permission,
  ReceiptPrivacySchema,
  type Room,
  type Marker as WireMarker,
} from "../../gen/trunkline/v1/message_pb.js";
import * as rpc from "../../gen/trunkline/v1/room_pb.js";
import { type Mark, ServerFrameSchema } from "../../gen/trunkline/v1/session_pb.js";
import type { Page } from "../../ports/archive.js";
import { EncodedFrame } from "../../ports/encoded-frame.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import { shardOf } from "../../ports/shard.js";
import type { CoreDependencies } from "../core.js";
import { isAnnouncements } from "../room/announcements.js";
import type { Caller } from "../room/calls.js";
import { inboxRef } from "../room/inbox.js";
import type { RoomOwner } from "../room/owner.js";
import { hasPermission, isAdministrator, permit } from "../room/permissions.js";
import { membersRoomOf } from "../room/sub-room.js";
import { isNotTheOwner, notTheOwner } from "../room/unavailable.js";
import { pageSize, validateId, validateOptionalId } from "../validate.js";
import { FarReceipts, type Marks, type OwnedReceipts } from "./far-receipts.js";
import { MarkerKeeper } from "./keeper.js";
import { Marker, type Passed } from "./marker.js";
import { messageIndexAt, type Top } from "./place.js";
import { ReadingPrivacy } from "./privacy.js";
import { isBlocked, MarkerTeller } from "./teller.js";
import { leapOf, Tracker } from "./tracker.js";

/** In rooms of up to so many members everybody follows everybody's markers. */
export const SMALL_ROOM = 100;
/** Unread messages among which the user's own are looked for: a bound for who comes back after a year. */
const MAX_COUNTED = 1_000;
const PAGE = { usual: 100, most: 500 };

/** What is told of markers when a subscription is opened. */
export interface OpeningMarkers {
  readonly marker: WireMarker | undefined;
  readonly markers: WireMarker[];
  readonly seesMembers: boolean;
  /** Whether the user's own reading is hidden. */
  readonly hidesReading: boolean;
}

/** What ListRooms tells of a room. */
export interface Unread {
  readonly marker: WireMarker | undefined;
  readonly readSeq: number;
  readonly unreadCount: number;
}

export class Receipts {
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;
  readonly #privacy: ReadingPrivacy;
  readonly #tracker: Tracker;
  readonly #teller: MarkerTeller;
  readonly #keeper: MarkerKeeper;
  readonly #here: OwnedReceipts = {
    mark: (ref, caller, marks) => this.#mark(ref, caller, marks),
    markers: async (ref, userIds) => {
      const markers = await this.#ownMarkers(ref, userIds);
      return markers.filter(({ revision }) => revision > 0).map((marker) => marker.document());
    },
    markedBy: (ref, page) => this.#markedHere(ref, page),
  };
  /** Rooms that other nodes own, and what those ask. */
  readonly far: FarReceipts;

  constructor(deps: CoreDependencies, owner: RoomOwner) {
    this.#deps = deps;
    this.#owner = owner;
    this.#privacy = new ReadingPrivacy(deps.archive, owner.notices);
    this.#tracker = new Tracker(deps.archive, leapOf(deps));
    this.far = new FarReceipts(owner, this.#here);
    this.#teller = new MarkerTeller(deps, owner, this.#privacy);
    this.#keeper = new MarkerKeeper(deps);
  }

  /** Tells nobody any more, and stores what is left. */
  async stop(): Promise<void> {
    this.#teller.stop();
    await this.#keeper.stop();
  }

  /** The shard is to be another node's: stores what is left, for that node. Never rejects. */
  async yielding(shard: number): Promise<void> {
    this.#teller.tellNow(this.#isIn(shard));
    await this.#keeper.flush(this.#isIn(shard));
  }

  /** The shard is another node's: forgets its rooms. What was not stored is as lost as in a crash, where it was not yielded. */
  released(shard: number): void {
    const isGone = this.#isIn(shard);
    this.#teller.tellNow(isGone);
    // Too late, perhaps: what the other node has stored meanwhile counts then.
    void this.#keeper.flush(isGone);
    this.#tracker.release(isGone);
    this.#keeper.forgetGone();
  }

  #isIn(shard: number): (ref: RoomRef) => boolean {
    const { shards } = this.#deps.log;
    return ({ key }) => shardOf(key, shards) === shard;
  }

  /** Takes a mark. Resolves once it counts; rejects with the refusal. */
  async mark(caller: Caller, { roomId, delivered, read }: Mark): Promise<void> {
    validateId("mark.room_id", roomId);
    if (delivered === undefined && read === undefined) {
      throw TrunklineError.invalid("mark", "neither delivered nor read is set");
    }
    const ref = roomRef(caller.identity.tenantId, roomId);
    await this.#atOwner(
      ref,
      () => this.#mark(ref, caller, { delivered, read }),
      () => this.far.mark(ref, caller, { delivered, read }),
    );
  }

  /** Here where this node owns the room, else there. */
  async #atOwner<T>(ref: RoomRef, here: () => Promise<T>, there: () => Promise<T>): Promise<T> {
    if (!this.#owner.owns(ref)) return await there();
    try {
      return await here();
    } catch (error) {
      if (!isNotTheOwner(error)) throw error;
      return await there();
    }
  }

  #requireOwned(ref: RoomRef): void {
    if (!this.#owner.owns(ref)) throw notTheOwner();
  }

  async #mark(ref: RoomRef, caller: Caller, { delivered, read }: Marks): Promise<void> {
    this.#requireOwned(ref);
    const { userId } = caller.identity;
    const { top, small, pair } = await this.#owner.read(ref, caller, Permission.READ, ({ state }) => {
      if (state.member(userId) === undefined)
        throw new TrunklineError(ErrorCode.NOT_A_MEMBER, "you are not a member of the room");
      const { seq, tag, lastMessageIndex, directUsers: pair } = state;
      return { top: { seq, tag, lastIndex: lastMessageIndex }, small: !state.isWiderThan(SMALL_ROOM), pair };
    });
    const loaded = await this.#tracker.load(ref, userId);
    const to = await this.#progress(ref, top, loaded.marker, delivered, read);
    this.#requireOwned(ref);
    if (loaded.room.gone) throw notTheOwner();
    const tracked = this.#tracker.current(loaded);
    Object.assign(tracked.room, { small, pair });
    if (!tracked.marker.advance(to, this.#deps.clock.now(), tracked.waiting)) return;
    this.#teller.moved(tracked);
    this.#keeper.moved(tracked);
  }

  /** What of a mark goes forward; places behind the marker are not looked at. */
  async #progress(ref: RoomRef, top: Top, marker: Marker, delivered: Mark["delivered"], read: Mark["read"]) {
    const { archive } = this.#deps;
    let { deliveredSeq, readSeq, readIndex } = marker;
    if (delivered !== undefined && delivered.seq > deliveredSeq) {
      await messageIndexAt(archive, ref, top, "mark.delivered", delivered, readIndex);
      deliveredSeq = delivered.seq;
    }
    if (read !== undefined && read.seq > readSeq) {
      readIndex = await messageIndexAt(archive, ref, top, "mark.read", read, readIndex);
      readSeq = read.seq;
    }
    return { deliveredSeq, readSeq, readIndex };
  }

  /** The markers for a subscription of `caller` to the room as it was seen. `membersSeq`: the event that last changed who is a member. `pair`: the two users of a direct room. */
  async opening(
    ref: RoomRef,
    { identity }: Caller,
    {
      room,
      member,
      membersSeq,
      pair,
    }: {
      readonly room: Room | undefined;
      readonly member: Member | undefined;
      readonly membersSeq: number;
      readonly pair: readonly string[];
    },
  ): Promise<OpeningMarkers> {
    const { tenantId, userId } = identity;
    const hidden = await this.#privacy.hidden(tenantId, userId);
    const seesMembers =
      isAdministrator(identity) || (member !== undefined && hasPermission(member, Permission.SEE_MEMBERS));
    const markers: WireMarker[] = [];
    const others: string[] = [];
    const small = (room?.memberCount ?? 0) <= SMALL_ROOM && !isAnnouncements(ref.roomId);
    if (seesMembers && small && !(await isBlocked(this.#owner, tenantId, pair))) {
      others.push(...(await this.#membersOf(ref, membersSeq)).filter((other) => other !== userId));
    }
    const [own = new Marker(userId), ...theirs] = await this.#markers(ref, [userId, ...others]);
    for (const marker of theirs) {
      if (marker.revision === 0) continue;
      markers.push(marker.wire(hidden || (await this.#privacy.hidden(tenantId, marker.userId))));
    }
    return { marker: own.revision === 0 ? undefined : own.wire(false), markers, seesMembers, hidesReading: hidden };
  }

  /** The members of a small room, read once as long as nobody comes or goes. */
  async #membersOf(ref: RoomRef, asOf: number): Promise<readonly string[]> {
    const { members } = this.#tracker.room(ref);
    if (members?.asOf === asOf) return members.userIds;
    const documents = await this.#deps.archive.members(membersRoomOf(ref), { after: "", limit: SMALL_ROOM });
    const userIds = documents.flatMap(({ member }) => (member === undefined ? [] : [member.userId]));
    this.#tracker.room(ref).members = { asOf, userIds };
    return userIds;
  }

  /** What the user has not read of a room whose last message has this index. */
  async unread(ref: RoomRef, userId: string, lastIndex: number): Promise<Unread> {
    const marker = await this.#marker(ref, userId);
    // As of one moment: it may move while the store is read.
    const { readSeq, revision } = marker;
    const told = revision === 0 ? undefined : marker.wire(false);
    const readIndex = Math.min(marker.readIndex, lastIndex);
    const through = Math.min(lastIndex, readIndex + MAX_COUNTED);
    const own = through === readIndex ? 0 : await this.#deps.archive.sentBy(ref, userId, readIndex, through);
    return { marker: told, readSeq, unreadCount: Math.max(lastIndex - readIndex - own, 0) };
  }

  /** How far the user has received the room. */
  async deliveredSeq(ref: RoomRef, userId: string): Promise<number> {
    return (await this.#marker(ref, userId)).deliveredSeq;
  }

  async getReceipts(caller: Caller, request: rpc.GetReceiptsRequest): Promise<rpc.GetReceiptsResponse> {
    validateId("message_id", request.messageId);
    const { ref, topSeq, pair } = await this.#visible(caller, request.roomId);
    const stored = await this.#deps.archive.message(ref, request.messageId);
    const created = stored?.created?.event;
    const seq = stored?.document?.message?.position?.seq ?? created?.position?.seq ?? 0;
    const sender = stored?.document?.message?.sender ?? created?.actor;
    if (seq === 0 || seq > topSeq) {
      throw new TrunklineError(ErrorCode.NOT_FOUND, "there is no such message in the room", { field: "message_id" });
    }
    const { page, nextPageToken } = await this.#page(caller, ref, pair, request);
    const receipts = page.flatMap(({ marker, hidden }) => {
      if (marker.userId === sender?.userId) return [];
      return [receiptOf(marker.userId, marker.passed(seq), hidden)];
    });
    return create(rpc.GetReceiptsResponseSchema, { receipts, nextPageToken });
  }

  async listMarkers(caller: Caller, request: rpc.ListMarkersRequest): Promise<rpc.ListMarkersResponse> {
    const { ref, pair } = await this.#visible(caller, request.roomId);
    const { page, nextPageToken } = await this.#page(caller, ref, pair, request);
    const markers = page.flatMap(({ marker, hidden }) => (marker.revision === 0 ? [] : [marker.wire(hidden)]));
    return create(rpc.ListMarkersResponseSchema, { markers, nextPageToken });
  }

  async getPrivacy({ identity }: Caller): Promise<rpc.GetReceiptPrivacyResponse> {
    const hidden = await this.#privacy.hidden(identity.tenantId, identity.userId);
    return create(rpc.GetReceiptPrivacyResponseSchema, { privacy: { hidden } });
  }

  async setPrivacy(
    { identity }: Caller,
    { privacy }: rpc.SetReceiptPrivacyRequest,
  ): Promise<rpc.SetReceiptPrivacyResponse> {
    if (privacy === undefined) throw TrunklineError.invalid("privacy", "is required");
    const { tenantId, userId } = identity;
    const value = create(ReceiptPrivacySchema, { hidden: privacy.hidden });
    await this.#privacy.set(tenantId, userId, value.hidden);
    const frame = create(ServerFrameSchema, { frame: { case: "receiptPrivacy", value } });
    this.#deps.fanout.signal(inboxRef(this.#deps.ids, tenantId, userId), EncodedFrame.of(frame));
    return create(rpc.SetReceiptPrivacyResponseSchema, { privacy: value });
  }

  /** A page of the members with their markers, and whether the caller may not see when they read. */
  async #page(
    { identity: { tenantId, userId } }: Caller,
    ref: RoomRef,
    pair: readonly string[],
    request: { readonly pageSize: number; readonly pageToken: string },
  ) {
    validateOptionalId("page_token", request.pageToken);
    const limit = pageSize("page_size", request.pageSize, PAGE);
    const userIds = await this.#marking(ref, { after: request.pageToken, limit });
    const callerHides = await this.#privacy.hidden(tenantId, userId);
    const blocked = await isBlocked(this.#owner, tenantId, pair);
    const seen = blocked ? userIds.filter((other) => other === userId) : userIds;
    const markers = new Map((await this.#markers(ref, seen)).map((marker) => [marker.userId, marker]));
    const page: { readonly marker: Marker; readonly hidden: boolean }[] = [];
    for (const other of userIds) {
      const hidden = other !== userId && (callerHides || (await this.#privacy.hidden(tenantId, other)));
      page.push({ marker: markers.get(other) ?? new Marker(other), hidden });
    }
    return { page, nextPageToken: userIds.length < limit ? "" : (userIds.at(-1) ?? "") };
  }

  /** Whose markers a room has: its members'; of the announcements, which everybody reads, those of who has marked them. */
  async #marking(ref: RoomRef, page: Page): Promise<readonly string[]> {
    const { archive } = this.#deps;
    if (!isAnnouncements(ref.roomId)) {
      const documents = await archive.members(membersRoomOf(ref), page);
      return documents.flatMap(({ member }) => (member === undefined ? [] : [member.userId]));
    }
    return await this.#atOwner(
      ref,
      () => this.#markedHere(ref, page),
      () => this.far.markedBy(ref, page),
    );
  }

  async #markedHere(ref: RoomRef, page: Page): Promise<readonly string[]> {
    this.#requireOwned(ref);
    const { archive } = this.#deps;
    // Before the store is read: what is stored meanwhile is in one of the two.
    const unstored = this.#tracker.unstored(ref).filter((userId) => userId > page.after);
    const stored = await archive.markedBy(ref, page);
    return [...new Set([...unstored, ...stored])].sort().slice(0, page.limit);
  }

  /** The marker as it is now, for an answer. */
  async #marker(ref: RoomRef, userId: string): Promise<Marker> {
    const [marker = new Marker(userId)] = await this.#markers(ref, [userId]);
    return marker;
  }

  /** The markers of these users as they are now, in their order. */
  async #markers(ref: RoomRef, userIds: readonly string[]): Promise<readonly Marker[]> {
    if (userIds.length === 0) return [];
    return await this.#atOwner(
      ref,
      () => this.#ownMarkers(ref, userIds),
      async () => {
        const documents = await this.far.markers(ref, userIds);
        const known = new Map(documents.map((document) => [document.userId, new Marker(document.userId, document)]));
        return userIds.map((userId) => known.get(userId) ?? new Marker(userId));
      },
    );
  }

  /** Those of a small room are remembered: everybody who opens it asks for them. */
  async #ownMarkers(ref: RoomRef, userIds: readonly string[]): Promise<readonly Marker[]> {
    this.#requireOwned(ref);
    const remembered = userIds.length > 1 && userIds.length <= SMALL_ROOM;
    return await Promise.all(
      userIds.map(async (userId) => {
        const known = this.#tracker.find(ref, userId);
        if (known !== undefined) return known.marker;
        if (remembered) return (await this.#tracker.load(ref, userId)).marker;
        const stored = await this.#deps.archive.marker(ref, userId);
        // It may have been marked meanwhile.
        return this.#tracker.find(ref, userId)?.marker ?? new Marker(userId, stored);
      }),
    );
  }

  /** The room, if the caller may read it and see who is in it. */
  async #visible(caller: Caller, roomId: string): Promise<Visible> {
    validateId("room_id", roomId);
    const { identity } = caller;
    const ref = roomRef(identity.tenantId, roomId);
    return await this.#owner.read(ref, caller, Permission.READ, ({ state }) => {
      permit(state, caller, Permission.SEE_MEMBERS, this.#deps.clock.now());
      return { ref, topSeq: state.seq, pair: state.directUsers };
    });
  }
}

/** A room of which the caller may know who is in it. */
interface Visible {
  readonly ref: RoomRef;
  readonly topSeq: number;
  /** The two users of a direct room. */
  readonly pair: readonly string[];
}

function receiptOf(userId: string, { deliveredAtMs, readAtMs }: Passed, hidden: boolean): rpc.Receipt {
  return create(rpc.ReceiptSchema, {
    userId,
    deliveredAt: deliveredAtMs === undefined ? undefined : timestampFromMs(deliveredAtMs),
    readAt: readAtMs === undefined || hidden ? undefined : timestampFromMs(readAtMs),
  });
}
