// What every store promises of what it keeps of outlets.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  BurstDocumentSchema,
  DeadLetterDocumentSchema,
  type ParkedDocument,
  ParkedDocumentSchema,
} from "../../src/gen/trunkline/store/v1/documents_pb.js";
import { ErrorCode } from "../../src/ports/error.js";
import { DEAD_LETTERS, type OutletStore } from "../../src/ports/outlet-store.js";
import { roomRef } from "../../src/ports/room-ref.js";
import { shardOf } from "../../src/ports/shard.js";
import { TermOver } from "../../src/ports/term.js";

export interface OutletStoreSubject {
  readonly outlets: OutletStore;
  /** How many the store has. */
  readonly shards: number;
  /** The next `unpark` is refused, and reaches the store when what this returns is called. Absent: nothing is late in this store. */
  readonly delayUnpark?: () => () => Promise<void>;
  close(): Promise<void>;
}

function parked(roomId: string, userId: string, seq: number): ParkedDocument {
  return create(ParkedDocumentSchema, { tenantId: "acme", roomId, userId, seq, tries: 1, sinceMs: 5 });
}

function letter(letterId: string, differing: MessageInitShape<typeof DeadLetterDocumentSchema> = {}) {
  return create(DeadLetterDocumentSchema, { tenantId: "acme", roomId: "r", ...differing, letterId });
}

export function describeOutletStore(name: string, open: () => Promise<OutletStoreSubject>): void {
  describe(`what is kept of outlets by ${name}`, () => {
    type Test = (outlets: OutletStore, shards: readonly number[], subject: OutletStoreSubject) => Promise<void>;
    const using = (test: Test) => async () => {
      const subject = await open();
      try {
        const shards = Array.from({ length: subject.shards }, (_, shard) => shard);
        await test(subject.outlets, shards, subject);
      } finally {
        await subject.close();
      }
    };
    const ids = async (outlets: OutletStore, outlet: string, after = "", limit = 100) =>
      (await outlets.deadLetters(outlet, { after, limit })).map(({ letterId }) => letterId);

    it(
      "keeps one parked document per outlet, room and user, as it was parked last, until it is taken away",
      using(async (outlets, shards) => {
        await outlets.park("one", parked("r", "", 1), 1);
        await outlets.park("one", parked("r", "u", 2), 1);
        await outlets.park("one", parked("r", "", 3), 1);
        await outlets.park("other", parked("r", "", 4), 1);
        const seqs = async (outlet: string) => (await outlets.parked(outlet, shards)).map(({ seq }) => seq).sort();
        expect(await seqs("one")).toEqual([2, 3]);
        await outlets.unpark("one", parked("r", "", 0), 1);
        await outlets.unpark("one", parked("r", "", 0), 1);
        expect(await seqs("one")).toEqual([2]);
        expect(await seqs("other")).toEqual([4]);
        expect(await seqs("none")).toEqual([]);
      }),
    );

    it(
      "keeps of what a later term has taken up all that was parked, whatever is done in an earlier one",
      using(async (outlets, shards) => {
        const shard = shardOf("acme/r", shards.length);
        const found = async (term: number) =>
          (await outlets.takeUp("one", shard, term)).map(({ userId, seq }) => `${userId} ${seq}`).sort();
        await outlets.park("one", parked("r", "ann", 1), 1);
        await outlets.park("one", parked("r", "bob", 2), 1);
        await outlets.park("other", parked("r", "ann", 9), 1);
        expect(await found(2)).toEqual(["ann 1", "bob 2"]);
        // They come together with what is in its time.
        const late = [
          outlets.park("one", parked("r", "ann", 5), 1),
          outlets.park("one", parked("r", "cid", 3), 2),
          outlets.park("one", parked("r", "bob", 6), 1),
          outlets.unpark("one", parked("r", "ann", 1), 1),
          outlets.unpark("one", parked("r", "bob", 2), 2),
          outlets.unpark("one", parked("r", "cid", 3), 1),
        ];
        const done = await Promise.allSettled(late);
        expect(done.map((each) => (each.status === "rejected" ? each.reason : ""))).toEqual([
          expect.any(TermOver),
          "",
          expect.any(TermOver),
          "",
          "",
          "",
        ]);
        await expect(outlets.takeUp("one", shard, 1)).rejects.toBeInstanceOf(TermOver);
        expect(await found(2)).toEqual(["ann 1", "cid 3"]);
        await outlets.park("one", parked("r", "ann", 4), 3);
        await expect(outlets.park("one", parked("r", "ann", 5), 2)).rejects.toBeInstanceOf(TermOver);
        expect(await found(3)).toEqual(["ann 4", "cid 3"]);
        await outlets.unpark("one", parked("r", "cid", 3), 2);
        expect(await found(4)).toEqual(["ann 4", "cid 3"]);
        expect((await outlets.parked("other", shards)).map(({ seq }) => seq)).toEqual([9]);
      }),
    );

    it(
      "keeps what was parked after something was taken away, in whatever order the two arrive",
      using(async (outlets, shards, { delayUnpark }) => {
        const seqs = async () => (await outlets.parked("one", shards)).map(({ seq }) => seq).sort();
        /** Resolves with what has it arrive, where it is late. */
        const takeAway = async (term: number): Promise<(() => Promise<void>) | undefined> => {
          const arrives = delayUnpark?.();
          const taken = outlets.unpark("one", parked("r", "", 5), term);
          if (arrives === undefined) await taken;
          else await expect(taken).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
          return arrives;
        };
        await outlets.park("one", parked("r", "", 5), 1);
        const first = await takeAway(1);
        // The same event may be set aside again.
        await outlets.park("one", parked("r", "", 5), 1);
        await first?.();
        expect(await seqs()).toEqual([5]);
        const second = await takeAway(1);
        await outlets.park("one", parked("r", "", 4), 1);
        await second?.();
        expect(await seqs()).toEqual([4]);
        // Nothing came in its place.
        const third = await takeAway(1);
        await third?.();
        expect(await seqs()).toEqual([]);
        // What is taken up was parked before, however much its owner had done.
        await outlets.park("one", parked("r", "", 9), 1);
        expect(await outlets.takeUp("one", shardOf("acme/r", shards.length), 2)).toHaveLength(1);
        const fourth = await takeAway(2);
        await fourth?.();
        expect(await seqs()).toEqual([]);
      }),
    );

    it(
      "takes up what is parked of one shard, and leaves what is of others",
      using(async (outlets, shards) => {
        const rooms = Array.from({ length: 20 }, (_, index) => `room-${index}`);
        for (const roomId of rooms) await outlets.park("one", parked(roomId, "", 1), 1);
        const [shard = 0, other = 0] = shards;
        const here = rooms.filter((roomId) => shardOf(`acme/${roomId}`, shards.length) === shard);
        expect((await outlets.takeUp("one", shard, 7)).map(({ roomId }) => roomId).sort()).toEqual(here.sort());
        expect(await outlets.takeUp("one", other, 2)).not.toEqual([]);
        await expect(outlets.takeUp("one", shard, 2)).rejects.toBeInstanceOf(TermOver);
      }),
    );

    it(
      "lists dead letters of an outlet by id, in pages, and forgets them one by one",
      using(async (outlets) => {
        for (const id of ["b", "c", "a"]) await outlets.bury("one", letter(id, { firstSeq: 7, reason: "because" }));
        await outlets.bury("one", letter("b", { firstSeq: 8 }));
        await outlets.bury("other", letter("z"));
        expect(await ids(outlets, "one")).toEqual(["a", "b", "c"]);
        expect(await ids(outlets, "one", "a", 1)).toEqual(["b"]);
        expect(await outlets.deadLetter("one", "b")).toMatchObject({ firstSeq: 8 });
        await outlets.forget("one", "b");
        await outlets.forget("one", "b");
        expect(await outlets.deadLetter("one", "b")).toBeUndefined();
        expect(await ids(outlets, "one")).toEqual(["a", "c"]);
      }),
    );

    it(
      "remembers which dead letters are to be tried once more, until they were or are gone",
      using(async (outlets, shards) => {
        for (const id of ["a", "b", "c"]) {
          await outlets.bury("one", letter(id));
          await outlets.retry("one", id);
        }
        expect(await outlets.retries("one", shards, 2)).toEqual(["a", "b"]);
        await outlets.retried("one", "a");
        await outlets.forget("one", "b");
        expect(await outlets.retries("one", shards, 10)).toEqual(["c"]);
        expect(await outlets.retries("other", shards, 10)).toEqual([]);
        expect(await ids(outlets, "one")).toEqual(["a", "c"]);
      }),
    );

    it(
      "takes writes in the order of the calls, whoever waits for them",
      using(async (outlets, shards) => {
        const writes: Promise<void>[] = [];
        for (let seq = 1; seq <= 20; seq++) {
          writes.push(outlets.park("one", parked("r", "", seq), 1), outlets.park("one", parked("gone", "", seq), 1));
          if (seq < 20) writes.push(outlets.unpark("one", parked("r", "", seq), 1));
          writes.push(outlets.unpark("one", parked("gone", "", seq), 1), outlets.bury("one", letter(`l${seq}`)));
          writes.push(outlets.retry("one", `l${seq}`), outlets.forget("one", `l${seq}`));
          if (seq > 18) writes.push(outlets.bury("one", letter(`l${seq}`, { tries: seq })));
        }
        await Promise.all(writes);
        expect((await outlets.parked("one", shards)).map(({ roomId, seq }) => `${roomId} ${seq}`)).toEqual(["r 20"]);
        expect(await ids(outlets, "one")).toEqual(["l19", "l20"]);
        expect(await outlets.retries("one", shards, 10)).toEqual([]);
      }),
    );

    it(
      "tells of the shards it is asked for alone what is parked and what is to be tried once more",
      using(async (outlets, shards) => {
        const rooms = Array.from({ length: 40 }, (_, index) => `room-${index}`);
        const under = rooms.slice(0, 3).map((roomId) => `${roomId}~under`);
        for (const roomId of [...rooms, ...under]) {
          await outlets.park("one", parked(roomId, "", 1), 1);
          await outlets.bury("one", letter(roomId, { roomId }));
          await outlets.retry("one", roomId);
        }
        for (const shard of shards) {
          const here = [...rooms, ...under]
            .filter((roomId) => shardOf(`acme/${roomId}`, shards.length) === shard)
            .sort();
          expect((await outlets.parked("one", [shard])).map(({ roomId }) => roomId).sort()).toEqual(here);
          expect(await outlets.retries("one", [shard], 100)).toEqual(here);
          expect(await outlets.retries("one", [shard], 1)).toEqual(here.slice(0, 1));
        }
        expect(await outlets.parked("one", [])).toEqual([]);
        expect(await outlets.retries("one", [], 10)).toEqual([]);
      }),
    );

    it(
      "keeps so many dead letters and no more: the oldest go",
      using(async (outlets) => {
        const idOf = (index: number) => String(index).padStart(6, "0");
        await Promise.all(Array.from({ length: 3 }, (_, index) => outlets.bury("one", letter(idOf(index)))));
        const more = Array.from({ length: DEAD_LETTERS - 2 }, (_, index) => letter(idOf(index + 3)));
        for (let from = 0; from < more.length; from += 500) {
          await Promise.all(more.slice(from, from + 500).map((each) => outlets.bury("one", each)));
        }
        expect(await ids(outlets, "one", "", 2)).toEqual([idOf(1), idOf(2)]);
      }),
      60_000,
    );

    it(
      "keeps what each user was told of each room last, and forgets it room by room",
      using(async (outlets) => {
        const [one, other] = [roomRef("acme", "one"), roomRef("acme", "other")];
        const burst = (lastSeq: number) => create(BurstDocumentSchema, { lastSeq, toldAtMs: 9 });
        await outlets.putBurst(one, "ann", burst(1));
        await outlets.putBurst(one, "ann", burst(2));
        await outlets.putBurst(one, "bob", burst(3));
        await outlets.putBurst(other, "ann", burst(4));
        expect(await outlets.burst(one, "ann")).toMatchObject({ lastSeq: 2, toldAtMs: 9 });
        await outlets.forgetBursts(one);
        expect(await outlets.burst(one, "ann")).toBeUndefined();
        expect(await outlets.burst(one, "bob")).toBeUndefined();
        expect(await outlets.burst(other, "ann")).toMatchObject({ lastSeq: 4 });
      }),
    );
  });
}
