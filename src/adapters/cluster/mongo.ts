// The connection to MongoDB and its collections: what they hold, and by what they are found.

import { Binary, type Collection, MongoClient } from "mongodb";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { Pem } from "../../rpc/tls.js";
import { refusalOf } from "./refusal.js";

/** Longest wait for an answer, in milliseconds. */
const DEADLINE_MS = 5_000;
const PROBE_DEADLINE_MS = 2_000;
const RETRY_AFTER_MS = 1_000;

/** A document folded from events, as protobuf. */
export interface FoldedRow {
  readonly _id: string;
  /** The last event folded in. */
  readonly seq: number;
  readonly doc: Binary;
}

export interface RoomRow extends FoldedRow {
  /** Of a room under another that was not deleted: that one, and the room id. */
  readonly under?: string;
  /** The tenant, of rooms that count: neither deleted nor inboxes. */
  readonly counted?: string;
}

export interface EventRow {
  /** Room and seq: events of a room are a range. */
  readonly _id: string;
  readonly seq: number;
  readonly tag: number;
  /** Room and event id. */
  readonly id: string;
  /** Message index; 0: it created none. */
  readonly index: number;
  /** When it was accepted, in milliseconds since 1970. */
  readonly at: number;
  /** trunkline.v1.RoomEvent */
  readonly event: Binary;
}

export interface MessageRow {
  /** Room and message index. */
  readonly _id: string;
  /** Seq of the event that created it. */
  readonly created: number;
  readonly messageId: string;
  /** Room and sender. */
  readonly by: string;
  /** When it expires, in milliseconds since 1970; absent: never, or it is scrubbed. */
  readonly expires?: number;
  /** The room's; of a message that expires. */
  readonly shard?: number;
  /** The last event folded into `doc`; 0: unchanged since it was created. */
  readonly seq: number;
  /** trunkline.store.v1.MessageDocument */
  readonly doc?: Binary;
}

export interface MemberRow extends FoldedRow {
  /** As `_id`, of present members alone. */
  readonly present?: string;
  /** Tenant and user, of present members alone. */
  readonly user?: string;
  readonly room: string;
}

export interface MarkerRow {
  /** Room and user. */
  readonly _id: string;
  readonly revision: number;
  /** trunkline.store.v1.MarkerDocument */
  readonly doc: Binary;
}

export interface HiddenRow {
  /** Inbox, room id and message index. */
  readonly _id: string;
  readonly index: number;
  /** Room and message index. */
  readonly message: string;
}

/** What was removed from a room for good. */
export interface RemovedRow {
  /** The room. */
  readonly _id: string;
  readonly seq?: number;
  readonly index?: number;
  readonly dismissed?: boolean;
}

/** How far a follower is in a shard: the offset that it goes on from. */
export interface FollowerRow {
  readonly _id: string;
  readonly offset: number;
  /** The latest term; absent: of one that has none. */
  readonly term?: number;
}

export interface IdleLookRow {
  /** Room and time. */
  readonly _id: string;
  /** The room's. */
  readonly shard: number;
  /** In milliseconds since 1970. */
  readonly at: number;
}

export interface DeviceRow {
  /** Tenant, user and device. */
  readonly _id: string;
  readonly seen: number;
  /** trunkline.store.v1.DeviceDocument */
  readonly doc: Binary;
}

export interface LastSeenRow {
  /** Tenant and user. */
  readonly _id: string;
  readonly at?: number;
  readonly visibility?: number;
}

export interface ParkedRow {
  /** Outlet, room and user. */
  readonly _id: string;
  readonly outlet: string;
  /** The room's. */
  readonly shard: number;
  /** The term that it was parked in, or taken up into; absent: none. */
  readonly term?: number;
  /** Which write of its term's owner has parked it; absent: it was parked before the term began. */
  readonly write?: number;
  /** trunkline.store.v1.ParkedDocument */
  readonly doc: Binary;
}

export interface DeadLetterRow {
  /** Outlet and letter id. */
  readonly _id: string;
  /** The room's. */
  readonly shard: number;
  /** The outlet, where it is to be tried once more. */
  readonly again?: string;
  /** trunkline.store.v1.DeadLetterDocument */
  readonly doc: Binary;
}

export interface BurstRow {
  /** Room and user. */
  readonly _id: string;
  /** trunkline.store.v1.BurstDocument */
  readonly doc: Binary;
}

/** Part of a document that was refused. */
export interface SetAsideRow {
  /** Collection and key, of the document; seq; number of the part. */
  readonly _id: string;
  readonly seq: number;
  /** How many parts there are. */
  readonly parts: number;
  /** Room and event id; of an event's first part. */
  readonly id?: string;
  /** What the document holds, but for `bytes`. */
  readonly row: Readonly<Record<string, unknown>>;
  /** Of the document's protobuf; absent: it has none. */
  readonly bytes?: Binary;
}

export interface ShardRow {
  readonly _id: number;
  readonly archived: number;
  readonly level?: number;
  readonly aside?: boolean;
}

export interface Collections {
  /** How many shards the store has. */
  readonly shardCount: number;
  readonly events: Collection<EventRow>;
  readonly messages: Collection<MessageRow>;
  readonly rooms: Collection<RoomRow>;
  readonly members: Collection<MemberRow>;
  readonly markers: Collection<MarkerRow>;
  readonly hidden: Collection<HiddenRow>;
  readonly removed: Collection<RemovedRow>;
  readonly idleLooks: Collection<IdleLookRow>;
  /** Tenants and users whose reading is hidden. */
  readonly hiddenReading: Collection<{ readonly _id: string }>;
  /** By follower and shard. */
  readonly followers: Collection<FollowerRow>;
  /** By shard: up to where its log is archived, the highest level of the events of that, and whether anything of it was set aside. */
  readonly shards: Collection<ShardRow>;
  readonly setAside: Collection<SetAsideRow>;
  readonly devices: Collection<DeviceRow>;
  readonly lastSeen: Collection<LastSeenRow>;
  readonly parked: Collection<ParkedRow>;
  readonly deadLetters: Collection<DeadLetterRow>;
  readonly bursts: Collection<BurstRow>;
}

export interface MongoConnection {
  readonly collections: Collections;
  /** One server that is no member of a replica set: what it loses nobody has. */
  readonly isAlone: boolean;
  /** Rejects where the primary does not answer. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

export interface MongoOptions {
  /** `mongodb://…` with everything the driver understands: hosts, credentials, TLS, replica set. */
  readonly url: string;
  readonly database: string;
  /** How many shards the store has: the same whenever it is opened. */
  readonly shards: number;
  /** Longest wait for a server that takes commands, in milliseconds. Default 5,000. */
  readonly deadlineMs?: number;
  /** Whether indexes that are missing are made. Default true. */
  readonly indexes?: boolean;
  /** Turns TLS on, where the URL does not: who may have signed the servers' certificates, and the node's own; PEM. */
  readonly tls?: { readonly ca?: Pem; readonly cert?: Pem; readonly key?: Pem };
}

/** The hosts that a URL names. */
export function mongoHosts(url: string): readonly string[] {
  const authority = /^mongodb(?:\+srv)?:\/\/(?:[^@/]*@)?([^/?]*)/.exec(url)?.[1] ?? "";
  return authority.split(",").map((host) => host.replace(/:\d+$/, "").replaceAll(/[[\]]/g, ""));
}

/** Connects, and makes the indexes that are missing. Rejects with UNAVAILABLE. */
export async function connectMongo(options: MongoOptions): Promise<MongoConnection> {
  const { url, database, shards, tls, indexes = true, deadlineMs = DEADLINE_MS } = options;
  const client = new MongoClient(url, {
    ...(tls && { tls: true, ...pemBuffers(tls) }),
    appName: "trunkline",
    // What was written once is not lost with one machine, nor read before it is safe from that.
    writeConcern: { w: "majority", journal: true },
    readConcern: { level: "majority" },
    readPreference: "primary",
    serverSelectionTimeoutMS: deadlineMs,
    connectTimeoutMS: DEADLINE_MS,
    socketTimeoutMS: 2 * DEADLINE_MS,
  });
  let isAlone = false;
  client.on("serverDescriptionChanged", ({ newDescription: { type } }) => {
    if (type !== "Unknown") isAlone = type === "Standalone";
  });
  // The driver asks again until its deadline, also where nobody takes this node, or it takes nobody.
  const refused = Promise.withResolvers<never>();
  refused.promise.catch(() => {});
  client.on("topologyDescriptionChanged", ({ newDescription: { servers } }) => {
    const errors = [...servers.values()].map(({ error }) => error);
    if (errors.length > 0 && errors.every((error) => refusalOf(error) !== undefined)) refused.reject(errors[0]);
  });
  try {
    await Promise.race([client.connect(), refused.promise]);
    const db = client.db(database);
    const collections: Collections = {
      shardCount: shards,
      events: db.collection("events"),
      messages: db.collection("messages"),
      rooms: db.collection("rooms"),
      members: db.collection("members"),
      markers: db.collection("markers"),
      hidden: db.collection("hidden"),
      removed: db.collection("removed"),
      idleLooks: db.collection("idle_looks"),
      hiddenReading: db.collection("hidden_reading"),
      followers: db.collection("followers"),
      shards: db.collection("shards"),
      setAside: db.collection("set_aside"),
      devices: db.collection("devices"),
      lastSeen: db.collection("last_seen"),
      parked: db.collection("parked"),
      deadLetters: db.collection("dead_letters"),
      bursts: db.collection("bursts"),
    };
    if (indexes) await makeIndexes(collections);
    const probe = async (): Promise<void> => void (await db.command({ ping: 1 }, { timeoutMS: PROBE_DEADLINE_MS }));
    return { collections, isAlone, probe, close: () => client.close() };
  } catch (cause) {
    await client.close().catch(() => {});
    throw unavailable(cause);
  }
}

async function makeIndexes(collections: Collections): Promise<void> {
  await Promise.all([
    collections.events.createIndex({ id: 1 }, { unique: true }),
    collections.messages.createIndex({ by: 1, _id: 1 }),
    collections.messages.createIndex({ shard: 1, expires: 1 }, { sparse: true }),
    collections.rooms.createIndex({ under: 1 }, { sparse: true }),
    collections.rooms.createIndex({ counted: 1 }, { sparse: true }),
    collections.members.createIndex({ present: 1 }, { sparse: true }),
    collections.members.createIndex({ user: 1, room: 1 }, { sparse: true }),
    collections.hidden.createIndex({ message: 1 }),
    collections.idleLooks.createIndex({ shard: 1, at: 1 }),
    collections.setAside.createIndex({ id: 1 }, { sparse: true }),
    collections.parked.createIndex({ outlet: 1, shard: 1 }),
    collections.deadLetters.createIndex({ again: 1, shard: 1 }, { sparse: true }),
  ]);
}

function pemBuffers(tls: NonNullable<MongoOptions["tls"]>): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  return Object.fromEntries(Object.entries(tls).map(([name, pem]) => [name, Buffer.from(pem)]));
}

/** Does it; rejects with UNAVAILABLE where MongoDB does not. */
export async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw cause instanceof TrunklineError ? cause : unavailable(cause);
  }
}

function unavailable(cause: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, "the archive is not available", {
    retryAfterMs: RETRY_AFTER_MS,
    cause,
  });
}

/** Stored bytes. */
export function binary(bytes: Uint8Array): Binary {
  return new Binary(bytes);
}

/** A copy, which the caller may keep and change. */
export function bytesOf(stored: Binary): Uint8Array {
  return Uint8Array.from(stored.buffer.subarray(0, stored.position));
}

// — keys: neither tenants nor ids hold a "#" —

const DIGITS = 10;

export function numbered(prefix: string, number: number): string {
  return `${prefix}#${String(number).padStart(DIGITS, "0")}`;
}

export function named(prefix: string, name: string): string {
  return `${prefix}#${name}`;
}

/** All keys that begin with the prefix and a "#"; "$" follows it. */
export function within(prefix: string): { readonly $gt: string; readonly $lt: string } {
  return { $gt: `${prefix}#`, $lt: `${prefix}$` };
}

export function numberOf(key: string): number {
  return Number(key.slice(-DIGITS));
}

export function userKey(tenantId: string, userId: string): string {
  return `${tenantId}/${userId}`;
}

/** The room of a key that begins with it. */
export function roomKeyOf(key: string): string {
  const at = key.indexOf("#");
  return at < 0 ? key : key.slice(0, at);
}

export function roomOfKey(key: string): RoomRef {
  const room = roomKeyOf(key);
  const slash = room.indexOf("/");
  return roomRef(room.slice(0, slash), room.slice(slash + 1));
}

export function inTenant({ tenantId }: RoomRef, roomId: string): string {
  return `${tenantId}/${roomId}`;
}
