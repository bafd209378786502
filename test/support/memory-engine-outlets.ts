// What the memory engine keeps of outlets.

import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  type BurstDocument,
  BurstDocumentSchema,
  type DeadLetterDocument,
  DeadLetterDocumentSchema,
  type ParkedDocument,
  ParkedDocumentSchema,
} from "../../src/gen/trunkline/store/v1/documents_pb.js";
import type { Page } from "../../src/ports/archive.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { DEAD_LETTERS, type OutletStore } from "../../src/ports/outlet-store.js";
import { type Awaitable, type RoomRef, roomRef } from "../../src/ports/room-ref.js";
import { inShards } from "../../src/ports/shard.js";
import { TermOver } from "../../src/ports/term.js";
import type { Life, MemoryEngine } from "./memory-engine.js";
import { never } from "./memory-engine-log.js";
import type { OutletState, StoredParked } from "./memory-engine-state.js";

export class MemoryOutletStore implements OutletStore {
  readonly #engine: MemoryEngine;
  readonly #life: Life;
  #writes = 0;

  constructor(engine: MemoryEngine, life: Life) {
    this.#engine = engine;
    this.#life = life;
  }

  parked(outlet: string, shards: readonly number[]): Awaitable<readonly ParkedDocument[]> {
    const isThere = inShards(shards, this.#engine.shards);
    return this.#answer(({ parked }) =>
      parkedOf(parked.get(outlet)?.values()).filter((document) => isThere(roomKeyOf(document))),
    );
  }

  /** One after the other: others may come between. */
  async takeUp(outlet: string, shard: number, term: number): Promise<readonly ParkedDocument[]> {
    const isThere = inShards([shard], this.#engine.shards);
    let keys: readonly string[] = [];
    await this.#write(({ parked }) => {
      keys = [...(parked.get(outlet)?.keys() ?? [])].filter((key) => isThere(key.slice(0, key.lastIndexOf("/"))));
    });
    for (const key of keys) {
      await this.#write(({ parked }) => {
        const stored = parked.get(outlet)?.get(key);
        if (stored !== undefined && stored.term < term) parked.get(outlet)?.set(key, { ...stored, term, write: 0 });
      });
    }
    let found: readonly StoredParked[] = [];
    await this.#write(({ parked }) => {
      const here = [...(parked.get(outlet) ?? [])].filter(([key]) => isThere(key.slice(0, key.lastIndexOf("/"))));
      found = here.map(([, stored]) => stored).filter((stored) => stored.term >= term);
    });
    if (found.some((stored) => stored.term > term)) throw new TermOver(`${outlet} in ${shard}`, term);
    return parkedOf(found);
  }

  park(outlet: string, document: ParkedDocument, term: number): Promise<void> {
    const write = ++this.#writes;
    return this.#write(({ parked }) => {
      const [there, key] = [within(parked, outlet), placeOf(document)];
      if ((there.get(key)?.term ?? 0) > term) throw new TermOver(outlet, term);
      there.set(key, { term, write, bytes: toBinary(ParkedDocumentSchema, document) });
    });
  }

  unpark(outlet: string, document: ParkedDocument, term: number): Promise<void> {
    const write = ++this.#writes;
    const arrive = ({ parked }: OutletState): void => {
      const [there, key] = [parked.get(outlet), placeOf(document)];
      const stored = there?.get(key);
      if (stored === undefined || stored.term > term) return;
      if (stored.term < term || stored.write < write) there?.delete(key);
    };
    if (!this.#engine.holdsUnpark(() => arrive(this.#engine.state.outlets))) return this.#write(arrive);
    return Promise.reject(new TrunklineError(ErrorCode.UNAVAILABLE, "the store does not answer"));
  }

  bury(outlet: string, letter: DeadLetterDocument): Promise<void> {
    return this.#write(({ letters, retries }) => {
      const kept = within(letters, outlet);
      kept.set(letter.letterId, toBinary(DeadLetterDocumentSchema, letter));
      for (const id of [...kept.keys()].sort().slice(0, Math.max(0, kept.size - DEAD_LETTERS))) {
        kept.delete(id);
        retries.get(outlet)?.delete(id);
      }
    });
  }

  deadLetters(outlet: string, { after, limit }: Page): Awaitable<readonly DeadLetterDocument[]> {
    return this.#answer(({ letters }) => {
      const kept = letters.get(outlet) ?? new Map<string, Uint8Array>();
      const page = [...kept].filter(([id]) => id > after).sort(([a], [b]) => (a < b ? -1 : 1));
      return decoded(
        DeadLetterDocumentSchema,
        page.slice(0, Math.max(0, limit)).map(([, bytes]) => bytes),
      );
    });
  }

  deadLetter(outlet: string, letterId: string): Awaitable<DeadLetterDocument | undefined> {
    return this.#answer(({ letters }) => {
      const bytes = letters.get(outlet)?.get(letterId);
      return bytes && fromBinary(DeadLetterDocumentSchema, bytes);
    });
  }

  forget(outlet: string, letterId: string): Promise<void> {
    return this.#write(({ letters, retries }) => {
      letters.get(outlet)?.delete(letterId);
      retries.get(outlet)?.delete(letterId);
    });
  }

  retry(outlet: string, letterId: string): Promise<void> {
    return this.#write(({ retries }) => {
      retries.set(outlet, (retries.get(outlet) ?? new Set()).add(letterId));
    });
  }

  retries(outlet: string, shards: readonly number[], limit: number): Awaitable<readonly string[]> {
    const isThere = inShards(shards, this.#engine.shards);
    return this.#answer(({ letters, retries }) => {
      const wanted = [...(retries.get(outlet) ?? [])].filter((id) => {
        const bytes = letters.get(outlet)?.get(id);
        return bytes === undefined || isThere(roomKeyOf(fromBinary(DeadLetterDocumentSchema, bytes)));
      });
      return wanted.sort().slice(0, limit);
    });
  }

  retried(outlet: string, letterId: string): Promise<void> {
    return this.#write(({ retries }) => retries.get(outlet)?.delete(letterId));
  }

  burst(room: RoomRef, userId: string): Awaitable<BurstDocument | undefined> {
    return this.#answer(({ bursts }) => {
      const bytes = bursts.get(room.key)?.get(userId);
      return bytes && fromBinary(BurstDocumentSchema, bytes);
    });
  }

  putBurst(room: RoomRef, userId: string, document: BurstDocument): Promise<void> {
    return this.#write(({ bursts }) => {
      within(bursts, room.key).set(userId, toBinary(BurstDocumentSchema, document));
    });
  }

  forgetBursts(room: RoomRef): Promise<void> {
    return this.#write(({ bursts }) => bursts.delete(room.key));
  }

  /** An adapter of before a crash never answers again. */
  async #write(change: (state: OutletState) => unknown): Promise<void> {
    this.#requireStore();
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#life.dead) return never();
    change(this.#engine.state.outlets);
  }

  #answer<T>(read: (state: OutletState) => T): Awaitable<T> {
    this.#requireStore();
    if (this.#life.dead) return never();
    if (!this.#engine.answersLater) return read(this.#engine.state.outlets);
    return new Promise((resolve) => setImmediate(resolve)).then(() => read(this.#engine.state.outlets));
  }

  #requireStore(): void {
    if (this.#engine.archiveDown) throw new TrunklineError(ErrorCode.UNAVAILABLE, "the store is away");
  }
}

function roomKeyOf({ tenantId, roomId }: ParkedDocument | DeadLetterDocument): string {
  return roomRef(tenantId, roomId).key;
}

function placeOf({ tenantId, roomId, userId }: ParkedDocument): string {
  return `${tenantId}/${roomId}/${userId}`;
}

function parkedOf(stored: Iterable<StoredParked> | undefined): readonly ParkedDocument[] {
  return decoded(
    ParkedDocumentSchema,
    Array.from(stored ?? [], ({ bytes }) => bytes),
  );
}

function within<T>(tables: Map<string, Map<string, T>>, key: string): Map<string, T> {
  const found = tables.get(key) ?? new Map<string, T>();
  tables.set(key, found);
  return found;
}

function decoded<D extends DescMessage>(
  schema: D,
  values: Iterable<Uint8Array> | undefined,
): readonly MessageShape<D>[] {
  return Array.from(values ?? [], (bytes) => fromBinary(schema, bytes));
}
