// The archive of a cluster: MongoDB, written by the shards' owners behind the log, read by everybody.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type MarkerDocument,
  MarkerDocumentSchema,
  type MemberDocument,
  MemberDocumentSchema,
  MessageDocumentSchema,
  type RoomDocument,
  RoomDocumentSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import type {
  Archive,
  ArchiveChanges,
  EventRange,
  ExpiredMessage,
  IdleLook,
  MarkerChange,
  MessageRange,
  Page,
  StoredMessage,
} from "../../ports/archive.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import { FEATURE_LEVEL, levelOfAll, NewerEvents } from "../../ports/event-level.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { type Term, TermOver } from "../../ports/term.js";
import type { DeviceChange, LastSeenChange } from "../../ports/user-archive.js";
import {
  asking,
  binary,
  bytesOf,
  type Collections,
  type EventRow,
  type FollowerRow,
  type MessageRow,
  named,
  numbered,
  numberOf,
  roomOfKey,
  userKey,
  within,
} from "./mongo.js";
import {
  applyChanges,
  idleLookKey,
  readRemoved,
  removeMembers,
  removeThrough,
  writeIdleLooks,
} from "./mongo-changes.js";
import { eventOf, MergedReading } from "./mongo-merged.js";
import { type Refusal, SetAside } from "./mongo-set-aside.js";
import { MongoUserArchive } from "./mongo-user-archive.js";
import { writeNewer } from "./mongo-writes.js";
import { OrderedWrites } from "./ordered-writes.js";

/** How often a term is tried to be begun, while others move the place or begin theirs. */
const TERM_TRIES = 20;

export class MongoArchive implements Archive {
  readonly #collections: Collections;
  readonly #users: MongoUserArchive;
  /** Each follower says of all its shards at once how far it is. */
  readonly #follows: OrderedWrites<FollowerRow>;

  readonly #aside: SetAside;
  readonly #merged: MergedReading;

  /** `onRefused` is told of each document that MongoDB refuses for good, once. */
  constructor(collections: Collections, onRefused: (refusal: Refusal) => void = () => {}) {
    this.#collections = collections;
    this.#aside = new SetAside(collections.setAside, collections.shardCount, onRefused);
    this.#merged = new MergedReading(collections, this.#aside);
    this.#users = new MongoUserArchive(collections);
    this.#follows = new OrderedWrites(collections.followers);
  }

  room(room: RoomRef): Promise<RoomDocument | undefined> {
    return asking(async () => {
      const doc = await this.#merged.room(room);
      return doc && fromBinary(RoomDocumentSchema, doc);
    });
  }

  member(room: RoomRef, userId: string): Promise<MemberDocument | undefined> {
    return asking(async () => {
      const doc = await this.#merged.member(room, userId);
      return doc && fromBinary(MemberDocumentSchema, doc);
    });
  }

  members(room: RoomRef, { after, limit }: Page): Promise<readonly MemberDocument[]> {
    return asking(async () => {
      if (limit <= 0) return [];
      const docs = await this.#merged.members(room, { after, limit });
      return docs.map((doc) => fromBinary(MemberDocumentSchema, doc));
    });
  }

  subRooms(root: RoomRef, { after, limit }: Page): Promise<readonly string[]> {
    return asking(async () => {
      if (limit <= 0) return [];
      const under = { ...within(root.key), ...(after === "" ? {} : { $gt: named(root.key, after) }) };
      const rows = await this.#collections.rooms
        .find({ under })
        .project<{ readonly under: string }>({ under: 1 })
        .sort({ under: 1 })
        .limit(limit)
        .toArray();
      return rows.map((row) => row.under.slice(named(root.key, "").length));
    });
  }

  countRooms(tenantId: string): Promise<number> {
    return asking(() => this.#collections.rooms.countDocuments({ counted: tenantId }));
  }

  roomsOf(tenantId: string, userId: string, { after, limit }: Page): Promise<readonly string[]> {
    return asking(async () => {
      if (limit <= 0) return [];
      const rows = await this.#collections.members
        .find({ user: userKey(tenantId, userId), room: { $gt: after } })
        .project<{ readonly room: string }>({ room: 1 })
        .sort({ room: 1 })
        .limit(limit)
        .toArray();
      return rows.map(({ room }) => room);
    });
  }

  events(room: RoomRef, range: EventRange): Promise<readonly EncodedEvent[]> {
    return asking(async () => (range.from > range.to || range.limit <= 0 ? [] : this.#merged.events(room, range)));
  }

  seqOf(room: RoomRef, eventId: string): Promise<number | undefined> {
    return asking(async () => {
      const row = await this.#collections.events.findOne({ id: named(room.key, eventId) }, { projection: { seq: 1 } });
      return row?.seq ?? (await this.#merged.asideEvent(room, eventId))?.event.seq;
    });
  }

  message(room: RoomRef, messageId: string): Promise<StoredMessage | undefined> {
    return asking(async () => {
      const created =
        (await this.#collections.events.findOne({ id: named(room.key, messageId) })) ??
        (await this.#merged.asideEvent(room, messageId))?.row;
      if (created === undefined || created.index === 0) return undefined;
      const row = await this.#merged.message(room, created.index);
      return row && storedMessage(row, created);
    });
  }

  expired(shards: readonly number[], beforeMs: number, limit: number): Promise<readonly ExpiredMessage[]> {
    return asking(async () => {
      const rows = await this.#collections.messages
        .find({ shard: { $in: [...shards] }, expires: { $lt: beforeMs } })
        .sort({ expires: 1 })
        .limit(limit)
        .toArray();
      return rows.map(({ _id, messageId }) => ({ room: roomOfKey(_id), messageId }));
    });
  }

  idleLooks(shards: readonly number[], beforeMs: number, limit: number): Promise<readonly IdleLook[]> {
    return asking(async () => {
      const rows = await this.#collections.idleLooks
        .find({ shard: { $in: [...shards] }, at: { $lt: beforeMs } })
        .sort({ at: 1 })
        .limit(limit)
        .toArray();
      return rows.map(({ _id, at }) => ({ room: roomOfKey(_id), atMs: at }));
    });
  }

  moveIdleLooks(from: readonly IdleLook[], to: readonly IdleLook[]): Promise<void> {
    return asking(async () => {
      // What is to come first: a crash in between leaves a look too many, and never one too few.
      await writeIdleLooks(this.#collections, to);
      const kept = new Set(to.map(idleLookKey));
      const gone = from.map(idleLookKey).filter((key) => !kept.has(key));
      if (gone.length > 0) await this.#collections.idleLooks.deleteMany({ _id: { $in: gone } });
    });
  }

  rooms({ after, limit }: Page): Promise<readonly RoomDocument[]> {
    return asking(async () => {
      if (limit <= 0) return [];
      const rows = await this.#collections.rooms
        .find({ _id: { $gt: after } })
        .sort({ _id: 1 })
        .limit(limit)
        .toArray();
      return rows.map(({ doc }) => fromBinary(RoomDocumentSchema, bytesOf(doc)));
    });
  }

  messages(room: RoomRef, range: MessageRange): Promise<readonly StoredMessage[]> {
    return asking(async () => {
      if (range.limit <= 0) return [];
      const rows = await this.#merged.messages(room, range);
      const bySeq = await this.#merged.created(room, rows);
      return rows.map((row) => storedMessage(row, bySeq.get(row.created)));
    });
  }

  hidden(inbox: RoomRef, roomId: string, from: number, to: number): Promise<readonly number[]> {
    return asking(async () => {
      if (from > to) return [];
      const key = named(inbox.key, roomId);
      const rows = await this.#collections.hidden
        .find({ _id: { $gte: numbered(key, from), $lte: numbered(key, to) } })
        .sort({ _id: 1 })
        .toArray();
      return rows.map(({ index }) => index);
    });
  }

  apply(shard: number, end: number, changes: ArchiveChanges): Promise<void> {
    return asking(async () => {
      const level = levelOfAll(changes.events.map(({ event: { event } }) => event));
      await applyChanges(this.#collections, this.#aside, changes);
      // Whoever owns the shard next learns with the watermark whether to look aside.
      const isUsed = this.#aside.used(shard);
      const reached = { $max: { archived: end, level }, ...(isUsed && { $set: { aside: true } }) };
      await this.#collections.shards.updateOne({ _id: shard }, reached, { upsert: true });
    });
  }

  archived(shard: number): Promise<number> {
    return asking(async () => {
      const { archived = 0, level = 0, aside = false } = (await this.#collections.shards.findOne({ _id: shard })) ?? {};
      this.#aside.learn(shard, aside);
      if (level > FEATURE_LEVEL)
        throw new NewerEvents(`shard ${shard} is of level ${level}, this version of ${FEATURE_LEVEL}`);
      return archived;
    });
  }

  followed(follower: string, shard: number): Promise<number | undefined> {
    return asking(async () => {
      const row = await this.#collections.followers.findOne({ _id: named(follower, `${shard}`) });
      return row?.offset;
    });
  }

  beginTerm(follower: string, shard: number, end: number): Promise<Term> {
    return asking(async () => {
      const { followers } = this.#collections;
      const _id = named(follower, `${shard}`);
      const fresh = { $setOnInsert: { offset: end } };
      for (let tries = 0; tries < TERM_TRIES; tries++) {
        const row = await followers.findOne({ _id });
        if (row === null) {
          await followers.updateOne({ _id }, fresh, { upsert: true });
          continue;
        }
        const { offset, term } = row;
        const asRead = { _id, offset, term: term ?? { $exists: false } };
        const number = (term ?? 0) + 1;
        const { matchedCount } = await followers.updateOne(asRead, { $set: { term: number } });
        if (matchedCount > 0) return { number, at: offset };
      }
      throw new Error(`others have moved ${follower} in ${shard} all the while`);
    });
  }

  async follow(follower: string, shard: number, offset: number, term?: number): Promise<void> {
    const filter = { _id: named(follower, `${shard}`), ...(term !== undefined && { term }) };
    const written = await this.#follows.writeIf({ updateOne: { filter, update: { $max: { offset } }, upsert: true } });
    if (!written && term !== undefined) throw new TermOver(`${follower} in ${shard}`, term);
  }

  marker(room: RoomRef, userId: string): Promise<MarkerDocument | undefined> {
    return asking(async () => {
      const row = await this.#collections.markers.findOne({ _id: named(room.key, userId) });
      return row === null ? undefined : fromBinary(MarkerDocumentSchema, bytesOf(row.doc));
    });
  }

  markedBy(room: RoomRef, { after, limit }: Page): Promise<readonly string[]> {
    return asking(async () => {
      if (limit <= 0) return [];
      const rows = await this.#collections.markers
        .find({ _id: { ...within(room.key), ...(after === "" ? {} : { $gt: named(room.key, after) }) } })
        .project<{ readonly _id: string }>({ _id: 1 })
        .sort({ _id: 1 })
        .limit(limit)
        .toArray();
      return rows.map(({ _id }) => _id.slice(named(room.key, "").length));
    });
  }

  putMarkers(markers: readonly MarkerChange[]): Promise<void> {
    return asking(async () => {
      const rooms = new Map(markers.map(({ room }) => [room.key, room]));
      const removed = await readRemoved(this.#collections, rooms);
      const kept = markers.filter(({ room }) => removed.get(room.key)?.dismissed !== true);
      await writeNewer(
        this.#collections.markers,
        kept.map(({ room, document }) => ({
          key: named(room.key, document.userId),
          operation: {
            updateOne: {
              filter: { _id: named(room.key, document.userId), revision: { $lt: document.revision } },
              update: { $set: { revision: document.revision, doc: binary(toBinary(MarkerDocumentSchema, document)) } },
              upsert: true,
            },
          },
        })),
      );
      const later = await readRemoved(this.#collections, rooms);
      for (const room of rooms.values()) {
        if (later.get(room.key)?.dismissed === true && removed.get(room.key)?.dismissed !== true) {
          await removeMembers(this.#collections, this.#aside, room);
        }
      }
    });
  }

  sentBy(room: RoomRef, userId: string, afterIndex: number, throughIndex: number): Promise<number> {
    return asking(() =>
      this.#collections.messages.countDocuments({
        by: named(room.key, userId),
        _id: { $gt: numbered(room.key, afterIndex), $lte: numbered(room.key, throughIndex) },
      }),
    );
  }

  readingHidden(tenantId: string, userId: string): Promise<boolean> {
    return asking(
      async () => (await this.#collections.hiddenReading.findOne({ _id: userKey(tenantId, userId) })) !== null,
    );
  }

  hideReading(tenantId: string, userId: string, hidden: boolean): Promise<void> {
    return asking(async () => {
      const _id = userKey(tenantId, userId);
      if (hidden) await this.#collections.hiddenReading.replaceOne({ _id }, {}, { upsert: true });
      else await this.#collections.hiddenReading.deleteOne({ _id });
    });
  }

  devices(tenantId: string, userId: string) {
    return this.#users.devices(tenantId, userId);
  }

  putDevices(changes: readonly DeviceChange[]): Promise<void> {
    return this.#users.putDevices(changes);
  }

  lastSeen(tenantId: string, userIds: readonly string[]) {
    return this.#users.lastSeen(tenantId, userIds);
  }

  putLastSeen(changes: readonly LastSeenChange[]): Promise<void> {
    return this.#users.putLastSeen(changes);
  }

  purge(room: RoomRef, through: number): Promise<void> {
    return asking(async () => {
      const { messages, removed } = this.#collections;
      const last = await messages
        .find({ _id: within(room.key), created: { $lte: through } })
        .sort({ _id: -1 })
        .limit(1)
        .next();
      const index = last === null ? 0 : numberOf(last._id);
      // Known before anything goes: what is applied meanwhile sees it, or is seen.
      await removed.updateOne({ _id: room.key }, { $max: { seq: through, index } }, { upsert: true });
      await removeThrough(this.#collections, this.#aside, room, through, index);
    });
  }

  dismiss(room: RoomRef): Promise<void> {
    return asking(async () => {
      await this.#collections.removed.updateOne({ _id: room.key }, { $set: { dismissed: true } }, { upsert: true });
      await removeMembers(this.#collections, this.#aside, room);
    });
  }
}

function storedMessage(row: MessageRow, created: EventRow | undefined): StoredMessage {
  return {
    messageIndex: numberOf(row._id),
    created: created && eventOf(created),
    document: row.doc && fromBinary(MessageDocumentSchema, bytesOf(row.doc)),
  };
}
