// What every placement must do: the guarantees of src/ports/placement.ts, as tests.

import { describe, expect, it, onTestFinished } from "vitest";
import type { Placement, PlacementListener } from "../../src/ports/placement.js";
import { between, seeded } from "../support/story/random.js";

export interface PlacementNode {
  readonly placement: Placement;
  /** The node can no longer reach what keeps the leases, and does not know. */
  cutOff(): void;
}

/** A cluster of its own for each test. */
export interface PlacementSubject {
  readonly shards: number;
  /** `level`: what it can fold. Default 1. */
  node(level?: number): Promise<PlacementNode>;
  /** Lets so many rounds pass: a node says once in each that it lives. */
  rounds(count: number): Promise<void>;
  /** What keeps the leases loses them, and forgets all nodes. */
  forget(): Promise<void>;
  /** Whose of these nodes the shard is to be. */
  dueTo(shard: number, nodeIds: readonly string[]): string | undefined;
  close(): Promise<void>;
}

/** Longer than any lease, and than any node is known. */
const LAPSE = 6;
/** A lease, and the round after it. */
const LEASE = 4;

/** A node that died is forgotten, what was forgotten is said again, and who has come to stay is given its share. */
const CONVERGES = 2 * LAPSE;

/** Remembers what its node was told it owns. */
class Recorder implements PlacementListener {
  readonly owned = new Set<number>();
  readonly told: string[] = [];
  /** What a yield waits for. */
  yielding: Promise<void> = Promise.resolve();

  gained(shard: number): void {
    if (this.owned.has(shard)) throw new Error(`shard ${shard} was gained twice`);
    this.owned.add(shard);
    this.told.push(`gained ${shard}`);
  }

  lost(shard: number): void {
    if (!this.owned.delete(shard)) throw new Error(`shard ${shard} was lost and not owned`);
    this.told.push(`lost ${shard}`);
  }

  async yields(shard: number): Promise<void> {
    this.told.push(`yields ${shard}`);
    await this.yielding;
    // Lost meanwhile: then nobody waits for it.
    this.owned.delete(shard);
  }
}

export function describePlacement(name: string, factory: () => Promise<PlacementSubject>): void {
  describe(`the placement of ${name}`, () => {
    async function useCluster() {
      const subject = await factory();
      onTestFinished(() => subject.close());
      const all = Array.from({ length: subject.shards }, (_, shard) => shard);
      const join = async (level = 1) => {
        const node = await subject.node(level);
        const recorder = new Recorder();
        await node.placement.start(recorder);
        return { ...node, recorder };
      };
      return { subject, all, join };
    }

    const sorted = (shards: Iterable<number>): number[] => [...shards].sort((a, b) => a - b);

    it("gives a node that is alone every shard", async () => {
      const { all, join } = await useCluster();
      const { placement, recorder } = await join();
      expect(sorted(recorder.owned)).toEqual(all);
      for (const shard of all) {
        expect(placement.holds(shard)).toBe(true);
        expect(placement.ownerOf(shard)?.nodeId).toBe(placement.nodeId);
      }
      expect(placement.nodes().map(({ nodeId }) => nodeId)).toEqual([placement.nodeId]);
    });

    it("keeps a lease as long as its node lives", async () => {
      const { subject, all, join } = await useCluster();
      const { recorder } = await join();
      await subject.rounds(LAPSE);
      expect(sorted(recorder.owned)).toEqual(all);
      expect(recorder.told.filter((told) => !told.startsWith("gained"))).toEqual([]);
    });

    it("hands a share over to a node that has come to stay, each shard to one node at a time", async () => {
      const { subject, all, join } = await useCluster();
      const one = await join();
      const two = await join();
      await subject.rounds(LAPSE);
      expect(sorted([...one.recorder.owned, ...two.recorder.owned])).toEqual(all);
      expect(two.recorder.owned.size).toBeGreaterThan(0);
      expect(one.recorder.owned.size).toBeGreaterThan(0);
      for (const { placement } of [one, two]) {
        for (const shard of one.recorder.owned) expect(placement.ownerOf(shard)?.nodeId).toBe(one.placement.nodeId);
        for (const shard of two.recorder.owned) expect(placement.ownerOf(shard)?.nodeId).toBe(two.placement.nodeId);
        expect(placement.nodes()).toHaveLength(2);
      }
      expect(one.recorder.told.filter((told) => told.startsWith("lost"))).toEqual([]);
    });

    it("hands nothing over before what is under way is done", async () => {
      const { subject, join } = await useCluster();
      const one = await join();
      const done = Promise.withResolvers<void>();
      one.recorder.yielding = done.promise;
      const two = await join();
      await subject.rounds(3);
      expect(one.recorder.told.some((told) => told.startsWith("yields"))).toBe(true);
      expect(two.recorder.owned.size).toBe(0);
      done.resolve();
      await subject.rounds(1);
      expect(two.recorder.owned.size).toBeGreaterThan(0);
    });

    it("hands few shards over at a time, be it to a node that comes or because it leaves", async () => {
      const { subject, all, join } = await useCluster();
      const atOnce = Math.max(2, subject.shards / 16);
      const yielded = (recorder: Recorder) => recorder.told.filter((told) => told.startsWith("yields")).length;
      const one = await join();
      const first = Promise.withResolvers<void>();
      one.recorder.yielding = first.promise;
      const two = await join();
      await subject.rounds(3);
      expect(yielded(one.recorder)).toBe(atOnce);
      first.resolve();
      await subject.rounds(2 * LAPSE);
      expect(two.recorder.owned.size).toBeGreaterThan(atOnce);
      const second = Promise.withResolvers<void>();
      two.recorder.yielding = second.promise;
      const left = two.placement.leave();
      await subject.rounds(1);
      expect(yielded(two.recorder)).toBe(atOnce);
      second.resolve();
      await subject.rounds(4);
      await left;
      await subject.rounds(0.5);
      expect(sorted(one.recorder.owned)).toEqual(all);
    });

    // The round that is under way says still that the lease is this node's: in one of these quarters it is.
    it.each([0, 1, 2, 3])(
      "takes nothing back that it gave up while a round was under way (quarter %i)",
      async (quarter) => {
        const { subject, all, join } = await useCluster();
        const one = await join();
        const done = Promise.withResolvers<void>();
        one.recorder.yielding = done.promise;
        const two = await join();
        while (!one.recorder.told.some((told) => told.startsWith("yields"))) await subject.rounds(0.25);
        for (let passed = 0; passed < 4; passed++) {
          const passing = subject.rounds(0.25);
          if (passed === quarter) done.resolve();
          await passing;
        }
        await subject.rounds(1);
        expect(sorted([...one.recorder.owned, ...two.recorder.owned])).toEqual(all);
        const gained = one.recorder.told.filter((told) => told.startsWith("gained"));
        expect(gained).toHaveLength(all.length);
      },
    );

    it("gives the shards of a node that leaves to others at once", async () => {
      const { subject, all, join } = await useCluster();
      const one = await join();
      const two = await join();
      await subject.rounds(LAPSE);
      await two.placement.leave();
      await subject.rounds(0.5);
      expect(two.recorder.owned.size).toBe(0);
      expect(two.recorder.told.filter((told) => told.startsWith("lost"))).toEqual([]);
      expect(sorted(one.recorder.owned)).toEqual(all);
      expect(one.placement.nodes().map(({ nodeId }) => nodeId)).toEqual([one.placement.nodeId]);
    });

    it("tells every node at once who has a shard that was given up", async () => {
      const { subject, all, join } = await useCluster();
      const [one, two, three] = [await join(), await join(), await join()];
      await subject.rounds(LAPSE);
      await three.placement.leave();
      await subject.rounds(0.25);
      for (const { placement } of [one, two]) {
        for (const { placement: owner, recorder } of [one, two]) {
          expect(all.filter((shard) => placement.ownerOf(shard)?.nodeId === owner.nodeId)).toEqual(
            sorted(recorder.owned),
          );
        }
      }
      expect(sorted([...one.recorder.owned, ...two.recorder.owned])).toEqual(all);
    });

    it("gives the shards of a node that died to others once its leases are over", async () => {
      const { subject, all, join } = await useCluster();
      const one = await join();
      const two = await join();
      await subject.rounds(LAPSE);
      expect(two.recorder.owned.size).toBeGreaterThan(0);
      two.placement.stop();
      await subject.rounds(LEASE);
      expect(sorted(one.recorder.owned)).toEqual(all);
    });

    it("ends the leases of a node that cannot renew them, by that node's own clock and before another has them", async () => {
      const { subject, all, join } = await useCluster();
      const one = await join();
      const two = await join();
      await subject.rounds(LAPSE);
      two.cutOff();
      await subject.rounds(LAPSE);
      expect(two.recorder.owned.size).toBe(0);
      for (const shard of all) expect(two.placement.holds(shard)).toBe(false);
      expect(sorted(one.recorder.owned)).toEqual(all);
    });

    it("gives nobody a shard that a node holds still which cannot say so since all leases were lost", async () => {
      const { subject, all, join } = await useCluster();
      const one = await join();
      // So that it has just said again what it holds, and the other is about to.
      await subject.rounds(0.75);
      const two = await join();
      await subject.rounds(LAPSE);
      two.cutOff();
      await subject.forget();
      for (let quarter = 0; quarter < 2 * LAPSE; quarter++) {
        await subject.rounds(0.25);
        for (const shard of one.recorder.owned) expect(two.placement.holds(shard)).toBe(false);
      }
      await subject.rounds(LAPSE);
      expect(sorted(one.recorder.owned)).toEqual(all);
    });

    it("leaves every shard with its owner where all leases are lost", async () => {
      const { subject, all, join } = await useCluster();
      const one = await join();
      // So that one of them comes back first.
      await subject.rounds(0.5);
      const two = await join();
      await subject.rounds(LAPSE);
      const owned = [one, two].map(({ recorder }) => sorted(recorder.owned));
      for (const { recorder } of [one, two]) recorder.told.length = 0;
      await subject.forget();
      await subject.rounds(LAPSE);
      expect([one, two].map(({ recorder }) => sorted(recorder.owned))).toEqual(owned);
      expect([one, two].map(({ recorder }) => recorder.told)).toEqual([[], []]);
      for (const shard of all) expect(one.placement.ownerOf(shard)).toBeDefined();
    });

    it("knows the level that every live node has", async () => {
      const { subject, join } = await useCluster();
      const newer = await join(2);
      expect(newer.placement.level).toBe(2);
      const old = await join(1);
      await subject.rounds(LAPSE);
      expect([newer, old].map(({ placement }) => placement.level)).toEqual([1, 1]);
      await old.placement.leave();
      await subject.rounds(LAPSE);
      expect(newer.placement.level).toBe(2);
    });

    it("gives a shard that a node is too old for to a newer one, and to no other", async () => {
      const { subject, all, join } = await useCluster();
      const [old, alike] = [await join(), await join()];
      await subject.rounds(LAPSE);
      const [shard = -1, other = -1] = sorted(old.recorder.owned);
      old.placement.decline(shard);
      expect(old.recorder.told.at(-1)).toBe(`lost ${shard}`);
      expect(old.placement.holds(shard)).toBe(false);
      await subject.rounds(LAPSE);
      expect(sorted([...old.recorder.owned, ...alike.recorder.owned])).toEqual(all.filter((each) => each !== shard));
      for (const { placement } of [old, alike]) expect(placement.ownerOf(shard)).toBeUndefined();
      const newer = await join(2);
      await subject.rounds(LAPSE);
      expect(newer.recorder.owned).toContain(shard);
      expect(old.placement.ownerOf(shard)?.nodeId).toBe(newer.placement.nodeId);
      await newer.placement.leave();
      await subject.rounds(LAPSE);
      expect(sorted([...old.recorder.owned, ...alike.recorder.owned])).toEqual(all.filter((each) => each !== shard));
      expect(old.placement.ownerOf(other)).toBeDefined();
    });

    it.each([1, 2, 3])("comes to the share of each node, whatever has happened (%i)", async (seed) => {
      const { subject, all, join } = await useCluster();
      const random = seeded(seed);
      const live = [await join(), await join()];
      const left: (Promise<void> | undefined)[] = [];
      const gone = () => live.splice(between(random, 0, live.length), 1)[0];
      const upsets = [
        async () => void live.push(await join()),
        async () => void left.push(gone()?.placement.leave()),
        async () => gone()?.placement.stop(),
        async () => gone()?.cutOff(),
        () => subject.forget(),
      ];
      for (let count = 0; count < 8; count++) {
        const upset = live.length < 2 ? upsets[0] : upsets[between(random, 0, upsets.length)];
        await upset?.();
        await subject.rounds(between(random, 0, 12) / 4);
      }
      await subject.rounds(CONVERGES);
      await Promise.all(left);
      const ids = live.map(({ placement }) => placement.nodeId);
      const share = all.map((shard) => subject.dueTo(shard, ids));
      for (const { placement, recorder } of live) {
        expect(all.map((shard) => placement.ownerOf(shard)?.nodeId)).toEqual(share);
        expect(sorted(recorder.owned)).toEqual(all.filter((shard) => share[shard] === placement.nodeId));
      }
    });

    it("holds nothing after it has stopped", async () => {
      const { all, join } = await useCluster();
      const { placement } = await join();
      placement.stop();
      for (const shard of all) expect(placement.holds(shard)).toBe(false);
      await placement.leave();
    });
  });
}
