// What is kept of outlets, in the tables.

import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
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
import { inShards, shardOf } from "../../ports/shard.js";
import { TermOver } from "../../ports/term.js";
import { type GroupCommit, unavailable, type Write } from "./group-commit.js";
import { after, lastPart, namedKey, outletKey, parkedKey, roomKey } from "./keys.js";
import type { Table } from "./table.js";
import type { Tables } from "./tables.js";

const PRESENT = Buffer.from([1]);
/** Bursts removed in one transaction. */
const REMOVED_AT_ONCE = 500;

export class EmbeddedOutletStore implements OutletStore {
  readonly #tables: Tables;
  readonly #commit: GroupCommit;
  /** One commit of dead letters after the other: each looks at what is there. */
  #turn: Promise<unknown> = Promise.resolve();
  /** What waits to be buried together. */
  #burials: Burials | undefined;
  /** How many dead letters there are, of outlets where that was counted since the last one was forgotten. */
  readonly #counts = new Map<string, number>();
  /** By outlet and shard: the latest term that anything was kept in. One process has the store, so that terms need not outlive it. */
  readonly #terms = new Map<string, number>();

  constructor(tables: Tables, commit: GroupCommit) {
    this.#tables = tables;
    this.#commit = commit;
  }

  parked(outlet: string, shards: readonly number[]): readonly ParkedDocument[] {
    const isThere = inShards(shards, this.#tables.shardCount);
    return documents(this.#tables.parked, ParkedDocumentSchema, all(outletKey(outlet))).filter((document) =>
      isThere(roomKeyOf(document)),
    );
  }

  async takeUp(outlet: string, shard: number, term: number): Promise<readonly ParkedDocument[]> {
    if (!this.#isLatest(outlet, shard, term)) throw new TermOver(`${outlet} in ${shard}`, term);
    return this.parked(outlet, [shard]);
  }

  async park(outlet: string, document: ParkedDocument, term: number): Promise<void> {
    if (!this.#isLatest(outlet, this.#shardOf(document), term)) throw new TermOver(outlet, term);
    await this.#commit.commit([this.#parking(outlet, document, toBinary(ParkedDocumentSchema, document))]);
  }

  async unpark(outlet: string, document: ParkedDocument, term: number): Promise<void> {
    if (!this.#isLatest(outlet, this.#shardOf(document), term)) return;
    await this.#commit.commit([this.#parking(outlet, document, undefined)]);
  }

  bury(outlet: string, letter: DeadLetterDocument): Promise<void> {
    const burials = this.#burials ?? this.#gather();
    const letters = burials.letters.get(outlet) ?? [];
    burials.letters.set(outlet, letters);
    letters.push(letter);
    return burials.done;
  }

  deadLetters(outlet: string, { after: last, limit }: Page): readonly DeadLetterDocument[] {
    const prefix = outletKey(outlet);
    const start = last === "" ? prefix : `${namedKey(prefix, last)}\0`;
    const range = { start, end: after(prefix), limit: Math.max(0, limit) };
    return documents(this.#tables.deadLetters, DeadLetterDocumentSchema, range);
  }

  deadLetter(outlet: string, letterId: string): DeadLetterDocument | undefined {
    return document(this.#tables.deadLetters, DeadLetterDocumentSchema, namedKey(outletKey(outlet), letterId));
  }

  async forget(outlet: string, letterId: string): Promise<void> {
    const key = namedKey(outletKey(outlet), letterId);
    const { deadLetters, retries } = this.#tables;
    await this.#inTurn(() => {
      this.#counts.delete(outlet);
      return [deadLetters, retries].map((table) => ({ table, key, value: undefined }));
    });
  }

  async retry(outlet: string, letterId: string): Promise<void> {
    await this.#setRetry(outlet, letterId, PRESENT);
  }

  retries(outlet: string, shards: readonly number[], limit: number): readonly string[] {
    const prefix = outletKey(outlet);
    const isThere = inShards(shards, this.#tables.shardCount);
    return reading(() => {
      const ids: string[] = [];
      for (const key of this.#tables.retries.getKeys(all(prefix))) {
        if (ids.length >= limit) break;
        const letter = document(this.#tables.deadLetters, DeadLetterDocumentSchema, key);
        if (letter === undefined || isThere(roomKeyOf(letter))) ids.push(lastPart(key, prefix));
      }
      return ids;
    });
  }

  async retried(outlet: string, letterId: string): Promise<void> {
    await this.#setRetry(outlet, letterId, undefined);
  }

  burst(room: RoomRef, userId: string): BurstDocument | undefined {
    return document(this.#tables.bursts, BurstDocumentSchema, namedKey(roomKey(room), userId));
  }

  async putBurst(room: RoomRef, userId: string, burst: BurstDocument): Promise<void> {
    const value = toBinary(BurstDocumentSchema, burst);
    await this.#commit.commit([{ table: this.#tables.bursts, key: namedKey(roomKey(room), userId), value }]);
  }

  async forgetBursts(room: RoomRef): Promise<void> {
    const table = this.#tables.bursts;
    for (;;) {
      const keys = reading(() => [...table.getKeys({ ...all(roomKey(room)), limit: REMOVED_AT_ONCE })]);
      if (keys.length > 0) await this.#commit.commit(keys.map((key) => ({ table, key, value: undefined })));
      if (keys.length < REMOVED_AT_ONCE) return;
    }
  }

  #isLatest(outlet: string, shard: number, term: number): boolean {
    const key = `${shard}/${outlet}`;
    if (term < (this.#terms.get(key) ?? 0)) return false;
    this.#terms.set(key, term);
    return true;
  }

  #shardOf(document: ParkedDocument): number {
    return shardOf(roomKeyOf(document), this.#tables.shardCount);
  }

  #parking(outlet: string, { tenantId, roomId, userId }: ParkedDocument, value: Uint8Array | undefined): Write {
    return { table: this.#tables.parked, key: parkedKey(outlet, roomKey(roomRef(tenantId, roomId)), userId), value };
  }

  #writesOf(outlet: string, letters: readonly DeadLetterDocument[]): readonly Write[] {
    const table = this.#tables.deadLetters;
    const prefix = outletKey(outlet);
    const buried = new Map(letters.map((letter) => [namedKey(prefix, letter.letterId), letter]));
    const removed = reading(() => {
      const before = this.#counts.get(outlet) ?? [...table.getKeys(all(prefix))].length;
      const added = [...buried.keys()].filter((key) => !table.doesExist(key));
      const excess = Math.max(0, before + added.length - DEAD_LETTERS);
      this.#counts.set(outlet, before + added.length - excess);
      if (excess === 0) return [];
      const least = [...table.getKeys({ ...all(prefix), limit: excess }), ...added].sort();
      return least.slice(0, excess);
    });
    const writes: Write[] = Array.from(buried, ([key, letter]) => {
      return { table, key, value: toBinary(DeadLetterDocumentSchema, letter) };
    });
    for (const key of removed) {
      writes.push({ table, key, value: undefined }, { table: this.#tables.retries, key, value: undefined });
    }
    return writes;
  }

  async #setRetry(outlet: string, letterId: string, value: Uint8Array | undefined): Promise<void> {
    const write = { table: this.#tables.retries, key: namedKey(outletKey(outlet), letterId), value };
    await this.#inTurn(() => [write]);
  }

  #gather(): Burials {
    const letters = new Map<string, DeadLetterDocument[]>();
    const done = this.#inTurn(() => {
      this.#burials = undefined;
      return [...letters].flatMap(([outlet, buried]) => this.#writesOf(outlet, buried));
    });
    // What was counted was not written.
    done.catch(() => this.#counts.clear());
    const burials = { letters, done };
    this.#burials = burials;
    return burials;
  }

  /** Commits after what was asked for before; what is buried from now on goes after it. */
  #inTurn(writes: () => readonly Write[]): Promise<void> {
    this.#burials = undefined;
    const done = this.#turn.then(() => this.#commit.commit(writes()));
    this.#turn = done.catch(() => {});
    return done;
  }
}

interface Burials {
  readonly letters: Map<string, DeadLetterDocument[]>;
  readonly done: Promise<void>;
}

function roomKeyOf({ tenantId, roomId }: ParkedDocument | DeadLetterDocument): string {
  return roomRef(tenantId, roomId).key;
}

function all(prefix: string): { readonly start: string; readonly end: string } {
  return { start: prefix, end: after(prefix) };
}

function documents<D extends DescMessage>(
  table: Table,
  schema: D,
  range: { readonly start: string; readonly end: string; readonly limit?: number },
): readonly MessageShape<D>[] {
  return reading(() => Array.from(table.getRange(range), ({ value }) => fromBinary(schema, value)));
}

function document<D extends DescMessage>(table: Table, schema: D, key: string): MessageShape<D> | undefined {
  return reading(() => {
    const stored = table.getBinary(key);
    return stored && fromBinary(schema, stored);
  });
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof RangeError ? error : unavailable(error);
  }
}
