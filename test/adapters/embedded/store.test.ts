// What is particular to the embedded store: opening, backup, closing.

import { readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { open } from "lmdb";
import { describe, expect, it } from "vitest";
import { keyEncoder } from "../../../src/adapters/embedded/keys.js";
import { EmbeddedStore } from "../../../src/adapters/embedded/lmdb.js";
import { closeTables, openTables, SCHEMA } from "../../../src/adapters/embedded/tables.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { type RoomRef, roomRef } from "../../../src/ports/room-ref.js";
import { ALL, changesOf, newRoom, roomDocument, sampleBatch } from "../../contract/samples.js";
import { StoppedClock, useDirectory, useStore } from "./use-store.js";

describe("opening", () => {
  it("creates the directory, for its owner only", async () => {
    const directory = join(await useDirectory(), "a", "b.d");
    await useStore({ directory });
    const { mode } = await stat(directory);
    expect(mode & 0o077).toBe(0);
  });

  it("reads back the number of shards, whatever is asked for later", async () => {
    const directory = await useDirectory();
    const store = await useStore({ directory, shards: 5 });
    await store.close();
    expect((await useStore({ directory, shards: 9 })).log.shards).toBe(5);
  });

  it("refuses a number of shards that is none", async () => {
    const directory = await useDirectory();
    for (const shards of [0, -1, 1.5, 70_000]) {
      await expect(EmbeddedStore.open({ directory, shards, clock: new StoppedClock() })).rejects.toThrow(RangeError);
    }
    await useStore({ directory });
  });

  it("refuses data of a newer version, and leaves it as it is", async () => {
    const directory = await useDirectory();
    const store = await useStore({ directory });
    await store.close();
    await writeSchema(directory, SCHEMA + 1);
    const opened = EmbeddedStore.open({ directory, clock: new StoppedClock() });
    await expect(opened).rejects.toThrow(`the data in ${directory} has schema ${SCHEMA + 1}, this version reads up to`);
    await writeSchema(directory, SCHEMA);
    await useStore({ directory });
  });

  it("refuses a file that is not a store", async () => {
    const directory = await useDirectory();
    await writeFile(join(directory, "data.mdb"), "not a store".repeat(10_000));
    await expect(EmbeddedStore.open({ directory, clock: new StoppedClock() })).rejects.toThrow(directory);
  });
});

describe("a backup", () => {
  it("of a live store is as of one moment and holds what was durable before", async () => {
    const store = await useStore();
    const rooms = [0, 1, 2, 3].map(() => newRoom());
    const load = new Load(store, rooms);
    await load.appends(20);
    const before = load.ends();
    const target = join(await useDirectory(), "copy");
    await Promise.all([store.backup(target), load.appends(200)]);
    await load.end();
    expect(await readdir(target)).toEqual(["data.mdb"]);
    const copy = await useStore({ directory: target });
    for (const [shard, room] of rooms.entries()) {
      const { end } = await copy.log.open(shard);
      expect(end).toBeGreaterThanOrEqual(before[shard] ?? 0);
      const seqs = Array.from({ length: end }, (_, index) => index + 1);
      expect((await copy.log.read(shard, 0, end + 1)).map(({ event }) => event.seq)).toEqual(seqs);
      expect((await copy.archive.events(room, ALL)).map(({ seq }) => seq)).toEqual(seqs);
      expect((await copy.archive.room(room))?.appliedSeq).toBe(end);
      expect((await copy.log.append(shard, end, sampleBatch(room, end + 1))).status).toBe("durable");
    }
  });

  it("goes on in an era of its own, and does not continue what came after it", async () => {
    const store = await useStore({ shards: 1 });
    const room = newRoom();
    await store.log.append(0, 0, sampleBatch(room, 1, 2));
    const target = join(await useDirectory(), "copy");
    await store.backup(target);
    await store.log.append(0, 2, sampleBatch(room, 3, 4));
    const copy = await useStore({ directory: target });
    const { era } = store.log;
    expect(copy.log.era).not.toBe(era);
    expect(await copy.log.continues(era, [3])).toBe(false);
    // Other events than those which were read.
    await copy.log.append(0, 2, sampleBatch(room, 3, 6));
    expect(await copy.log.continues(era, [2])).toBe(true);
    expect(await copy.log.continues(era, [3])).toBe(false);
    expect(await store.log.continues(copy.log.era, [0])).toBe(false);
  });

  it("begins another era with each start, and continues those before", async () => {
    const directory = await useDirectory();
    const eras: string[] = [];
    for (let start = 0; start < 3; start++) {
      const store = await EmbeddedStore.open({ directory, shards: 1, clock: new StoppedClock() });
      eras.push(store.log.era);
      await store.close();
    }
    const store = await useStore({ directory });
    expect(new Set(eras).size).toBe(3);
    expect(await Promise.all(eras.map((era) => store.log.continues(era, [0])))).toEqual([true, true, true]);
  });

  it("does not overwrite a store", async () => {
    const store = await useStore();
    const target = join(await useDirectory(), "copy");
    await store.backup(target);
    await expect(store.backup(target)).rejects.toThrow("holds a store already");
    await expect(store.backup(store.directory)).rejects.toThrow("holds a store already");
  });
});

describe("closing", () => {
  it("waits for appends that are under way", async () => {
    const directory = await useDirectory();
    const store = await useStore({ directory });
    const room = newRoom();
    const append = store.log.append(0, 0, sampleBatch(room, 1));
    await store.close();
    expect(await append).toEqual({ status: "durable", end: 1 });
    const again = await useStore({ directory });
    expect((await again.log.open(0)).end).toBe(1);
  });

  it("refuses what comes after as UNAVAILABLE", async () => {
    const store = await useStore();
    await store.close();
    await store.close();
    const unavailable = { code: ErrorCode.UNAVAILABLE };
    await expect(store.log.append(0, 0, sampleBatch(newRoom(), 1))).rejects.toMatchObject(unavailable);
    await expect(store.log.open(0)).rejects.toMatchObject(unavailable);
    await expect(store.log.read(0, 0, 1)).rejects.toMatchObject(unavailable);
    await expect(store.archive.apply(0, 0, sampleBatch(newRoom(), 1).changes)).rejects.toMatchObject(unavailable);
    await expect(store.archive.purge(newRoom(), 1)).rejects.toMatchObject(unavailable);
    await expect(async () => store.archive.room(newRoom())).rejects.toMatchObject(unavailable);
    await expect(store.backup(await useDirectory())).rejects.toThrow("closed");
  });

  it("refuses who reads while its last transaction is on the way to the disk", async () => {
    const tables = await openTables(await useDirectory(), 2);
    const large = Buffer.alloc(5_000_000);
    const written = tables.root.batch(() => tables.rooms.put("large", large));
    const closing = closeTables(tables);
    expect(() => tables.rooms.getBinary("large")).toThrow("closed");
    expect(() => tables.rooms.getKeys({})).toThrow("closed");
    expect(() => tables.rooms.getRange({})).toThrow("closed");
    expect(() => tables.rooms.doesExist("large")).toThrow("closed");
    await written;
    await closing;
    // What lmdb has against a read, it throws by a timer of its own.
    await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it("ends a count of rooms that is under way", async () => {
    const store = await useStore();
    const { roomId: tenantId } = newRoom();
    const rooms = Array.from({ length: 5_000 }, (_, index) => {
      const room = roomRef(tenantId, `r${index}`);
      return { room, document: roomDocument(room, 1) };
    });
    await store.archive.apply(0, 0, changesOf({ rooms }));
    const counted = expect(store.archive.countRooms(tenantId)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    await store.close();
    await counted;
  });
});

async function writeSchema(directory: string, schema: number): Promise<void> {
  const root = open({ path: directory, noSubdir: false, maxDbs: 16, encoding: "binary", overlappingSync: false });
  const options = { name: "meta", encoding: "binary" as const, keyEncoder };
  await root.openDB<Uint8Array, string>(options).put("schema", Buffer.from(String(schema)));
  await root.close();
}

/** Appends to all shards at once, for as long as it is not told to end. */
class Load {
  readonly #ends: number[];
  readonly #loops: Promise<void>[];
  #ended = false;
  #count = 0;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor(store: EmbeddedStore, rooms: readonly RoomRef[]) {
    this.#ends = rooms.map(() => 0);
    this.#loops = rooms.map((room, shard) => this.#append(store, shard, room));
  }

  ends(): readonly number[] {
    return [...this.#ends];
  }

  /** Resolves after so many more appends. */
  appends(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ count: this.#count + count, resolve });
    });
  }

  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#loops);
  }

  async #append(store: EmbeddedStore, shard: number, room: RoomRef): Promise<void> {
    while (!this.#ended) {
      const at = this.#ends[shard] ?? 0;
      const outcome = await store.log.append(shard, at, sampleBatch(room, at + 1, at + 1 + (this.#count % 7)));
      if (outcome.status !== "durable") throw new Error("displaced");
      this.#ends[shard] = outcome.end;
      this.#count += 1;
      for (const { count, resolve } of this.#waiting) if (count <= this.#count) resolve();
      this.#waiting = this.#waiting.filter(({ count }) => count > this.#count);
    }
  }
}
