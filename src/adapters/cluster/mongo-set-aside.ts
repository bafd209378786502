// Documents that MongoDB refuses for good: kept in a collection of their own, in parts that fit, so that everything behind them goes on.
//
// Too long a document, one that a validator or an index of somebody else's does not let in: trying again changes nothing. Whoever owns a shard
// knows whether anything of it was ever set aside, and looks here only then.

import type { AnyBulkWriteOperation, Collection } from "mongodb";
import type { RoomRef } from "../../ports/room-ref.js";
import { shardOf } from "../../ports/shard.js";
import { binary, bytesOf, named, numbered, roomKeyOf, roomOfKey, type SetAsideRow, within } from "./mongo.js";
import { type Write, writeTaken } from "./mongo-writes.js";

/** Of the bytes of a document, in one part: with what else a part holds it is far below the 16 MiB of a document. */
const PART_BYTES = 8 * 1024 * 1024;
const PART_DIGITS = 3;
/** Parts asked for at once. */
const PARTS_PER_BATCH = 16;

/** Collections whose documents are set aside. */
export type AsideCollection = "rooms" | "members" | "events" | "messages" | "hidden" | "idle_looks";

export interface AsideDocument {
  readonly collection: AsideCollection;
  /** As `_id` there. */
  readonly key: string;
  /** The event it is, or the last one folded in; 0: none. */
  readonly seq: number;
  /** What is stored of it, but for `bytes`. */
  readonly row: Readonly<Record<string, unknown>>;
  /** Its protobuf. */
  readonly bytes?: Uint8Array;
}

/** A document was refused for good, and set aside. */
export interface Refusal {
  readonly collection: AsideCollection;
  readonly room: RoomRef;
  /** The event it is, or the last one folded in; 0: none. */
  readonly seq: number;
  readonly cause: unknown;
}

export class SetAside {
  readonly #rows: Collection<SetAsideRow>;
  readonly #shards: number;
  readonly #onRefused: (refusal: Refusal) => void;
  /** By shard, whether anything of it was ever set aside; absent: not known. */
  readonly #used = new Map<number, boolean>();

  constructor(rows: Collection<SetAsideRow>, shards: number, onRefused: (refusal: Refusal) => void) {
    this.#rows = rows;
    this.#shards = shards;
    this.#onRefused = onRefused;
  }

  /** What the shard's own row says of it. */
  learn(shard: number, used: boolean): void {
    if (used || !this.#used.has(shard)) this.#used.set(shard, used);
  }

  /** Whether anything of the shard is known to have been set aside. */
  used(shard: number): boolean {
    return this.#used.get(shard) === true;
  }

  /** Whether something of the room may have been. */
  concerns(room: RoomRef): boolean {
    return this.#used.get(shardOf(room.key, this.#shards)) !== false;
  }

  /** Writes all of them; sets aside what is refused for good. Rejects where anything else fails. */
  async write<T extends { readonly _id: string | number }>(
    collection: Collection<T>,
    writes: readonly (Write<T> & { readonly document: AsideDocument })[],
  ): Promise<void> {
    const refused = await writeTaken(collection, writes);
    for (const { write, cause } of refused) await this.put(write.document, cause);
  }

  /** One that is there already stays as it is: its content may have been taken away. */
  async put({ collection, key, seq, row, bytes }: AsideDocument, cause: unknown): Promise<void> {
    const room = roomOfKey(key);
    this.#used.set(shardOf(room.key, this.#shards), true);
    const of = ofDocument(collection, key);
    const first = partKey(of, seq, 0);
    if ((await this.#rows.findOne({ _id: first }, { projection: { _id: 1 } })) !== null) return;
    const pieces = piecesOf(bytes);
    const id = collection === "events" ? { id: `${row.id}` } : {};
    // The first one last: where it is, all are. Each by itself: together they might be too long for one request.
    for (const [part, piece] of [...pieces.entries()].reverse()) {
      const stored = { seq, parts: pieces.length, row, ...(part === 0 && id), ...(piece && { bytes: binary(piece) }) };
      await this.#rows.updateOne({ _id: partKey(of, seq, part) }, { $setOnInsert: stored }, { upsert: true });
    }
    this.#onRefused({ collection, room, seq, cause });
    await this.supersede([{ collection, key, seq }]);
  }

  /** Of these documents newer ones are stored now: what was set aside of older ones goes, but for what they began with. */
  async supersede(documents: readonly Pick<AsideDocument, "collection" | "key" | "seq">[]): Promise<void> {
    const operations: AnyBulkWriteOperation<SetAsideRow>[] = documents.map(({ collection, key, seq }) => {
      const of = ofDocument(collection, key);
      return { deleteMany: { filter: { _id: { $gte: numbered(of, 1), $lt: numbered(of, seq) } } } };
    });
    if (operations.length > 0) await this.#rows.bulkWrite(operations, { ordered: false });
  }

  /** Takes the content of an event away, if it was set aside. */
  async scrub(key: string, seq: number, bytes: Uint8Array): Promise<void> {
    const of = ofDocument("events", key);
    const first = partKey(of, seq, 0);
    await this.#rows.updateOne({ _id: first }, { $set: { parts: 1, bytes: binary(bytes) } });
    await this.#rows.deleteMany({ _id: { $gt: first, $lt: `${numbered(of, seq)}$` } });
  }

  /** The newest of the document that was set aside. */
  async one(collection: AsideCollection, key: string): Promise<AsideDocument | undefined> {
    for await (const document of this.#walk(collection, within(ofDocument(collection, key)))) return document;
    return undefined;
  }

  /** The event with this room and id. */
  async event(id: string): Promise<AsideDocument | undefined> {
    const first = await this.#rows.findOne({ id }, { projection: { seq: 1 } });
    return first === null ? undefined : this.one("events", numbered(roomKeyOf(id), first.seq));
  }

  /** Those with keys from `from` to `to`, both inclusive, each the newest, by key, or backward from the last. */
  async *range(collection: AsideCollection, from: string, to: string, backward = false): AsyncIterable<AsideDocument> {
    if (from > to) return;
    yield* this.#walk(
      collection,
      { $gte: ofDocument(collection, from), $lt: `${ofDocument(collection, to)}$` },
      backward,
    );
  }

  /** All of a room, each the newest, by key. */
  all(collection: AsideCollection, room: RoomRef): AsyncIterable<AsideDocument> {
    return this.#walk(collection, within(ofDocument(collection, room.key)));
  }

  /** Those of a room; of events and messages those up to the seq or index `through`. */
  async remove(collection: AsideCollection, room: RoomRef, through?: number): Promise<void> {
    const of = ofDocument(collection, room.key);
    const keys = through === undefined ? within(of) : { $gt: `${of}#`, $lt: `${numbered(of, through)}$` };
    await this.#rows.deleteMany({ _id: keys });
  }

  async *#walk(
    collection: AsideCollection,
    keys: Readonly<Record<string, string>>,
    backward = false,
  ): AsyncIterable<AsideDocument> {
    const cursor = this.#rows
      .find({ _id: keys })
      .sort({ _id: backward ? -1 : 1 })
      .batchSize(PARTS_PER_BATCH);
    let key = "";
    let rows: SetAsideRow[] = [];
    for await (const row of cursor) {
      const next = keyOf(row);
      if (next !== key) yield* documentsOf(collection, key, rows);
      rows = next === key ? [...rows, row] : [row];
      key = next;
    }
    yield* documentsOf(collection, key, rows);
  }
}

/** The newest document that all parts are there of, if there is one. */
function* documentsOf(collection: AsideCollection, key: string, rows: readonly SetAsideRow[]): Iterable<AsideDocument> {
  const byId = new Map(rows.map((row) => [row._id, row]));
  const of = ofDocument(collection, key);
  const whole = rows.filter(({ _id, seq }) => _id === partKey(of, seq, 0)).sort((one, other) => one.seq - other.seq);
  const newest = whole.at(-1);
  if (newest === undefined) return;
  const pieces: Uint8Array[] = [];
  for (let part = 0; part < newest.parts; part++) {
    const bytes = byId.get(partKey(of, newest.seq, part))?.bytes;
    if (bytes !== undefined) pieces.push(bytesOf(bytes));
  }
  // A message is what it began with, and what became of it.
  const row = Object.assign({}, ...whole.map((each) => each.row));
  yield { collection, key, seq: newest.seq, row, ...(pieces.length > 0 && { bytes: joined(pieces) }) };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return only;
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function piecesOf(bytes: Uint8Array | undefined): readonly (Uint8Array | undefined)[] {
  if (bytes === undefined) return [undefined];
  const count = Math.max(1, Math.ceil(bytes.length / PART_BYTES));
  return Array.from({ length: count }, (_, part) => bytes.subarray(part * PART_BYTES, (part + 1) * PART_BYTES));
}

// — keys: collection, ":", the key there, "#", seq, "#", part —

function ofDocument(collection: AsideCollection, key: string): string {
  return `${collection}:${key}`;
}

function partKey(of: string, seq: number, part: number): string {
  return named(numbered(of, seq), String(part).padStart(PART_DIGITS, "0"));
}

function keyOf({ _id, seq }: SetAsideRow): string {
  const at = _id.lastIndexOf(numbered("", seq));
  return _id.slice(_id.indexOf(":") + 1, at);
}
