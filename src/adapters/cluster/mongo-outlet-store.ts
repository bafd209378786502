// What is kept of outlets in a cluster, in MongoDB: written by the owners of the rooms' shards.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type BurstDocument,
  BurstDocumentSchema,
  type DeadLetterDocument,
  DeadLetterDocumentSchema,
  type ParkedDocument,
  ParkedDocumentSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import type { Page } from "../../ports/archive.js";
import { DEAD_LETTERS, type OutletStore } from "../../ports/outlet-store.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import { shardOf } from "../../ports/shard.js";
import { TermOver } from "../../ports/term.js";
import {
  asking,
  type BurstRow,
  binary,
  bytesOf,
  type Collections,
  type DeadLetterRow,
  named,
  type ParkedRow,
  within,
} from "./mongo.js";

import { OrderedWrites } from "./ordered-writes.js";

/** Dead letters that are counted anew after so many burials: other nodes bury too. Each node may be ahead of the bound by so many. */
const RECOUNT = 100;

export class MongoOutletStore implements OutletStore {
  readonly #collections: Collections;
  readonly #parked: OrderedWrites<ParkedRow>;
  readonly #letters: OrderedWrites<DeadLetterRow>;
  readonly #bursts: OrderedWrites<BurstRow>;
  /** Counts what is parked and taken away here. A term is of one owner: within it later is what has the greater number. */
  #writes = 0;
  /** By outlet: how many letters there were when they were counted last, and how many were buried here since. */
  readonly #counts = new Map<string, { count: number; since: number }>();
  /** One look at how many there are after the other. */
  #counted: Promise<unknown> = Promise.resolve();

  constructor(collections: Collections) {
    this.#collections = collections;
    this.#parked = new OrderedWrites(collections.parked);
    this.#letters = new OrderedWrites(collections.deadLetters);
    this.#bursts = new OrderedWrites(collections.bursts);
  }

  parked(outlet: string, shards: readonly number[]): Promise<readonly ParkedDocument[]> {
    return asking(async () => {
      const rows = await this.#collections.parked.find({ outlet, shard: { $in: [...shards] } }).toArray();
      return rows.map(({ doc }) => fromBinary(ParkedDocumentSchema, bytesOf(doc)));
    });
  }

  async takeUp(outlet: string, shard: number, term: number): Promise<readonly ParkedDocument[]> {
    const { parked } = this.#collections;
    const rows = await asking(async () => {
      // The index by which this finds it holds nothing that changes: it passes over nothing that is there all the while.
      await parked.updateMany(
        { outlet, shard, term: { $not: { $gte: term } } },
        { $set: { term }, $unset: { write: 1 } },
      );
      return await parked.find({ outlet, shard, term: { $gte: term } }).toArray();
    });
    if (rows.some((row) => row.term !== term)) throw new TermOver(`${outlet} in ${shard}`, term);
    return rows.map(({ doc }) => fromBinary(ParkedDocumentSchema, bytesOf(doc)));
  }

  async park(outlet: string, document: ParkedDocument, term: number): Promise<void> {
    const filter = { _id: parkedKey(outlet, document), ...notAfter(term) };
    const [shard, write] = [this.#shardOf(document), ++this.#writes];
    const row = { outlet, shard, term, write, doc: binary(toBinary(ParkedDocumentSchema, document)) };
    const written = await this.#parked.writeIf({ updateOne: { filter, update: { $set: row }, upsert: true } });
    if (!written) throw new TermOver(outlet, term);
  }

  async unpark(outlet: string, document: ParkedDocument, term: number): Promise<void> {
    // A write that was given up may be carried out yet, when its document was parked again.
    const parkedSince = { term, write: { $gt: ++this.#writes } };
    const filter = { _id: parkedKey(outlet, document), ...notAfter(term), $nor: [parkedSince] };
    await this.#parked.write({ deleteOne: { filter } });
  }

  async bury(outlet: string, letter: DeadLetterDocument): Promise<void> {
    const filter = { _id: named(outlet, letter.letterId) };
    const row = { shard: this.#shardOf(letter), doc: binary(toBinary(DeadLetterDocumentSchema, letter)) };
    await this.#letters.write({ updateOne: { filter, update: { $set: row }, upsert: true } });
    // The letter is kept: that they could not be counted is no reason to bury it once more, and the next counts again.
    this.#counted = this.#counted.then(() => this.#count(outlet)).catch(() => {});
    await this.#counted;
  }

  deadLetters(outlet: string, { after, limit }: Page): Promise<readonly DeadLetterDocument[]> {
    return asking(async () => {
      if (limit <= 0) return [];
      const rows = await this.#collections.deadLetters
        .find({ _id: { ...within(outlet), ...(after === "" ? {} : { $gt: named(outlet, after) }) } })
        .sort({ _id: 1 })
        .limit(limit)
        .toArray();
      return rows.map(({ doc }) => fromBinary(DeadLetterDocumentSchema, bytesOf(doc)));
    });
  }

  deadLetter(outlet: string, letterId: string): Promise<DeadLetterDocument | undefined> {
    return asking(async () => {
      const row = await this.#collections.deadLetters.findOne({ _id: named(outlet, letterId) });
      return row === null ? undefined : fromBinary(DeadLetterDocumentSchema, bytesOf(row.doc));
    });
  }

  async forget(outlet: string, letterId: string): Promise<void> {
    await this.#letters.write({ deleteOne: { filter: { _id: named(outlet, letterId) } } });
  }

  async retry(outlet: string, letterId: string): Promise<void> {
    const update = { $set: { again: outlet } };
    await this.#letters.write({ updateOne: { filter: { _id: named(outlet, letterId) }, update } });
  }

  retries(outlet: string, shards: readonly number[], limit: number): Promise<readonly string[]> {
    return asking(async () => {
      if (limit <= 0) return [];
      const rows = await this.#collections.deadLetters
        .find({ again: outlet, shard: { $in: [...shards] } })
        .project<{ readonly _id: string }>({ _id: 1 })
        .sort({ _id: 1 })
        .limit(limit)
        .toArray();
      return rows.map(({ _id }) => _id.slice(named(outlet, "").length));
    });
  }

  async retried(outlet: string, letterId: string): Promise<void> {
    const update = { $unset: { again: 1 as const } };
    await this.#letters.write({ updateOne: { filter: { _id: named(outlet, letterId) }, update } });
  }

  burst(room: RoomRef, userId: string): Promise<BurstDocument | undefined> {
    return asking(async () => {
      const row = await this.#collections.bursts.findOne({ _id: named(room.key, userId) });
      return row === null ? undefined : fromBinary(BurstDocumentSchema, bytesOf(row.doc));
    });
  }

  async putBurst(room: RoomRef, userId: string, document: BurstDocument): Promise<void> {
    const filter = { _id: named(room.key, userId) };
    const update = { $set: { doc: binary(toBinary(BurstDocumentSchema, document)) } };
    await this.#bursts.write({ updateOne: { filter, update, upsert: true } });
  }

  async forgetBursts(room: RoomRef): Promise<void> {
    await this.#bursts.write({ deleteMany: { filter: { _id: within(room.key) } } });
  }

  /** One letter more was buried: where there are too many of the outlet, the least go. */
  async #count(outlet: string): Promise<void> {
    const known = this.#counts.get(outlet);
    if (known !== undefined && known.count < DEAD_LETTERS && known.since < RECOUNT) {
      known.count++;
      known.since++;
      return;
    }
    const { deadLetters } = this.#collections;
    await asking(async () => {
      const count = await deadLetters.countDocuments({ _id: within(outlet) });
      this.#counts.set(outlet, { count: Math.min(count, DEAD_LETTERS), since: 0 });
      if (count <= DEAD_LETTERS) return;
      const least = await deadLetters
        .find({ _id: within(outlet) })
        .project<{ readonly _id: string }>({ _id: 1 })
        .sort({ _id: 1 })
        .limit(count - DEAD_LETTERS)
        .toArray();
      await deadLetters.deleteMany({ _id: { $in: least.map(({ _id }) => _id) } });
    });
  }

  #shardOf({ tenantId, roomId }: ParkedDocument | DeadLetterDocument): number {
    return shardOf(roomRef(tenantId, roomId).key, this.#collections.shardCount);
  }
}

/** Also of what was parked in none. */
function notAfter(term: number) {
  return { term: { $not: { $gt: term } } };
}

function parkedKey(outlet: string, { tenantId, roomId, userId }: ParkedDocument): string {
  return named(named(outlet, roomRef(tenantId, roomId).key), userId);
}
