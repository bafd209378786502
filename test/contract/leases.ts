// What every store of leases must do: the guarantees of the contract beside the placement that works by them, as tests.

import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  LEASE_ROUNDS,
  type Leases,
  NODE_ROUNDS,
  type Round,
  type Standing,
} from "../../src/adapters/cluster/placement/leases.js";

/** A store of its own for each test. */
export interface LeasesSubject {
  /** The store as one node reaches it. */
  node(): Promise<Leases>;
  /** Lets the time of so many rounds pass, by the clock that leases expire by. */
  rounds(count: number): void;
  close(): Promise<void>;
}

export function describeLeases(name: string, factory: () => Promise<LeasesSubject>): void {
  describe(`the leases of ${name}`, () => {
    async function useStore() {
      const subject = await factory();
      onTestFinished(() => subject.close());
      const leases = await subject.node();
      const say = (nodeId: string, said: Partial<Round> = {}): Promise<Standing> =>
        leases.round({
          node: { nodeId, address: `${nodeId}:1`, since: 1_000 },
          level: 1,
          status: "stays",
          released: [],
          asked: [],
          declined: [],
          ...said,
        });
      return { subject, leases, say };
    }

    const leaving = ({ nodes }: Standing) =>
      Object.fromEntries(nodes.map(({ node }) => [node.nodeId, node.leaving] as const));

    it("know a node until it has said nothing for so many rounds", async () => {
      const { subject, say } = await useStore();
      expect((await say("one")).known).toBe(false);
      subject.rounds(NODE_ROUNDS - 0.5);
      expect((await say("one")).known).toBe(true);
      subject.rounds(NODE_ROUNDS + 0.5);
      expect((await say("other")).nodes.map(({ node }) => node.nodeId)).toEqual(["other"]);
      expect((await say("one")).known).toBe(false);
    });

    it("show every live node as it said it is", async () => {
      const { say } = await useStore();
      await say("one", { level: 3 });
      expect((await say("two")).nodes).toEqual(
        expect.arrayContaining([
          { node: { nodeId: "one", address: "one:1", since: 1_000, leaving: false }, level: 3 },
          { node: { nodeId: "two", address: "two:1", since: 1_000, leaving: false }, level: 1 },
        ]),
      );
    });

    it("show as leaving who leaves, cannot write, or has said nothing for as long as a lease holds", async () => {
      const { subject, say } = await useStore();
      await say("silent");
      subject.rounds(LEASE_ROUNDS - 0.5);
      await say("leaves", { status: "leaves" });
      await say("unable", { status: "unable" });
      expect(leaving(await say("stays"))).toEqual({ silent: false, leaves: true, unable: true, stays: false });
      subject.rounds(0.5);
      expect(leaving(await say("stays")).silent).toBe(true);
      expect(leaving(await say("silent")).silent).toBe(false);
    });

    it("are one node's, until they have not been renewed for so many rounds", async () => {
      const { subject, say } = await useStore();
      expect((await say("one", { asked: [0, 1] })).owners).toEqual(
        new Map([
          [0, "one"],
          [1, "one"],
        ]),
      );
      subject.rounds(LEASE_ROUNDS - 0.5);
      await say("one", { asked: [0] });
      subject.rounds(0.5);
      expect((await say("two", { asked: [0, 1, 2] })).owners).toEqual(
        new Map([
          [0, "one"],
          [1, "two"],
          [2, "two"],
        ]),
      );
    });

    it("can be given up, by who has them", async () => {
      const { say } = await useStore();
      await say("one", { asked: [0] });
      expect((await say("two", { released: [0] })).owners).toEqual(new Map([[0, "one"]]));
      expect((await say("one", { released: [0] })).owners).toEqual(new Map());
    });

    it("end with their node, which is given none", async () => {
      const { say } = await useStore();
      await say("one", { asked: [0] });
      const standing = await say("one", { status: "gone", asked: [1] });
      expect(standing).toMatchObject({ known: true, nodes: [], owners: new Map() });
      expect((await say("two", { asked: [0] })).owners).toEqual(new Map([[0, "two"]]));
    });

    it("are the same when a round is said twice", async () => {
      const { say } = await useStore();
      await say("one", { asked: [0, 1] });
      const round = { released: [0], asked: [1, 2], declined: [0] };
      const once = await say("one", round);
      expect(await say("one", round)).toEqual(once);
    });

    it("keep the highest level that a shard needs, whoever is gone", async () => {
      const { subject, say } = await useStore();
      await say("newer", { level: 4, declined: [7] });
      await say("one", { declined: [7, 8] });
      subject.rounds(2 * NODE_ROUNDS);
      expect((await say("two")).needed).toEqual(
        new Map([
          [7, 5],
          [8, 2],
        ]),
      );
    });

    it("are due to the same node whoever asks, and to none where there is none", async () => {
      const { leases } = await useStore();
      const due = (nodeIds: readonly string[]) => [0, 1, 2, 3, 4, 5, 6, 7].map((shard) => leases.dueTo(shard, nodeIds));
      expect(due(["one", "two", "three"])).toEqual(due(["three", "one", "two"]));
      expect(leases.dueTo(0, [])).toBeUndefined();
    });

    it("tell every node that something has changed, until it listens no more", async () => {
      const { subject, leases } = await useStore();
      const other = await subject.node();
      const heard = { one: 0, other: 0 };
      const unlisten = await leases.onNotified(() => void heard.one++);
      await other.onNotified(() => void heard.other++);
      await leases.notify();
      await vi.waitFor(() => expect(heard).toEqual({ one: 1, other: 1 }));
      unlisten();
      await other.notify();
      await vi.waitFor(() => expect(heard.other).toBe(2));
      expect(heard.one).toBe(1);
    });
  });
}
