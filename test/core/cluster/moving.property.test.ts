// Whatever becomes of owners, links, the log and the archive: what was acknowledged is there, once, in order, and everybody hears it.

import fc from "fast-check";
import { expect, it } from "vitest";
import { ratesWith } from "../../../src/core/limit/rates.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { type LinkState, TestCluster, type TestNode } from "../use-cluster.js";
import { settle, type TestClient, text } from "../use-core.js";

const NODES = 3;
const ROOMS = ["red", "green"];
const NO_LIMIT = { perSecond: 0, burst: 0 };

const node = fc.nat({ max: NODES - 1 });
const roomId = fc.constantFrom(...ROOMS);
const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ is: fc.constant("publish" as const), node, roomId, count: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 3, arbitrary: fc.record({ is: fc.constant("move" as const), roomId, node }) },
  { weight: 3, arbitrary: fc.record({ is: fc.constant("seize" as const), roomId, node }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("share" as const), roomId, node }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("lapse" as const), roomId }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("abandon" as const), roomId }) },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constant("link" as const),
      from: node,
      to: node,
      state: fc.constantFrom<LinkState>("open", "cut", "deaf", "held"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constant("fault" as const),
      kind: fc.constantFrom("refuse" as const, "lose-answer" as const, "displace" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("archive" as const), down: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("lose" as const) }) },
  { weight: 4, arbitrary: fc.record({ is: fc.constant("settle" as const), turns: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 4, arbitrary: fc.record({ is: fc.constant("time" as const), ms: fc.constantFrom(50, 250, 1_000) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

interface Said {
  readonly client: TestClient;
  readonly userId: string;
  readonly roomId: string;
  readonly key: string;
  readonly ref: number;
}

class Run {
  readonly cluster: TestCluster;
  readonly said: Said[] = [];
  readonly #clients: TestClient[] = [];
  readonly #moves: Promise<void>[] = [];
  #keys = 0;

  constructor() {
    const open = { tenant: NO_LIMIT, user: NO_LIMIT, session: NO_LIMIT, room: NO_LIMIT };
    const engine = new MemoryEngine({ shards: 2, archivesOnAppend: false, answersLater: true, leavesVoids: true });
    this.cluster = new TestCluster({ nodes: NODES, engine, limits: { rates: ratesWith({ publish: open }) } });
  }

  async begin(): Promise<void> {
    await this.cluster.start();
    for (const index of this.cluster.nodes.keys()) this.#clients.push(await this.#connect(index));
    for (const each of ROOMS) {
      const [maker] = this.#clients;
      if (maker === undefined) throw new Error("there is a node");
      const members = this.#clients.map((_, index) => `u${index}`).slice(1);
      await this.cluster.node(0).room(maker, each, ...members);
    }
    for (const client of this.#clients) await this.#subscribe(client);
  }

  async take(taken: Step): Promise<void> {
    const { cluster } = this;
    const shardOf = (of: { roomId: string }): number => cluster.shardOf(of.roomId);
    switch (taken.is) {
      case "publish":
        return await this.#publish(taken.node, taken.roomId, taken.count);
      case "move":
        this.#moves.push(cluster.move(shardOf(taken), cluster.node(taken.node)));
        return;
      case "seize":
        return cluster.seize(shardOf(taken), cluster.node(taken.node));
      case "share":
        return cluster.share(shardOf(taken), cluster.node(taken.node));
      case "lapse":
        return cluster.lapse(shardOf(taken), cluster.ownerOf(taken.roomId));
      case "abandon":
        cluster.abandon(shardOf(taken));
        await cluster.elapse(100);
        return cluster.seize(shardOf(taken), cluster.node(0));
      case "link":
        return cluster.link(cluster.node(taken.from), cluster.node(taken.to), taken.state);
      case "fault":
        return cluster.engine.faultNextAppend({ kind: taken.kind });
      case "archive":
        cluster.engine.archiveDown = taken.down;
        return;
      case "lose":
        cluster.engine.lostAnnouncements = 1;
        return;
      case "settle":
        return await settle(taken.turns);
      case "time":
        return await cluster.elapse(taken.ms);
    }
  }

  /** Everything is well again, and stays so. */
  async heal(): Promise<void> {
    const { cluster } = this;
    cluster.engine.archiveDown = false;
    cluster.engine.lostAnnouncements = 0;
    cluster.openLinks();
    await cluster.elapse(2_000);
    await Promise.all(this.#moves);
    // Nobody goes on who took themselves for the owner beside another.
    for (const each of ROOMS) cluster.abandon(cluster.shardOf(each));
    for (const each of ROOMS) cluster.seize(cluster.shardOf(each), cluster.node(1));
    await cluster.elapse(12_000);
  }

  async check(): Promise<void> {
    for (const each of ROOMS) {
      const events = await this.#events(each);
      const keys = events.flatMap(({ key }) => (key === "" ? [] : [key]));
      expect(new Set(keys).size, "said once").toBe(keys.length);
      const last = new Map<string, number>();
      for (const { client, userId, roomId: of, key, ref } of this.said) {
        if (of !== each) continue;
        const reply = client.reply(ref);
        if (reply.case !== "published") continue;
        const { seq = 0 } = reply.value.position ?? {};
        expect(events[seq - 1]?.key, "acknowledged").toBe(key);
        expect(seq, "in order").toBeGreaterThan(last.get(userId) ?? 0);
        last.set(userId, seq);
      }
      const all = events.slice(1).map((_, index) => index + 2);
      for (const client of this.#clients) {
        if (client.endedWith === undefined) expect(client.seqs(each), "heard").toEqual(all);
      }
    }
    await this.#repeat();
  }

  async end(): Promise<void> {
    await this.cluster.stop();
  }

  /** Whatever was asked is told again what came of it, whichever node is asked. */
  async #repeat(): Promise<void> {
    const asked = this.said.filter(({ client, ref }) => client.reply(ref).case === "published");
    for (const [index, { client, userId, roomId: of, key, ref }] of asked.slice(-6).entries()) {
      const again = await this.#connect(index % NODES, userId, index);
      const repeat = again.send({ case: "publish", value: { ...text(of, key).value, attempt: 2 } });
      await this.cluster.elapse(500);
      const reply = again.reply(repeat);
      const first = client.reply(ref);
      if (first.case !== "published" || reply.case !== "published") throw new Error(`${key} came to ${reply.case}`);
      expect(reply.value).toMatchObject({ duplicate: true, position: { seq: first.value.position?.seq } });
    }
  }

  async #events(of: string): Promise<readonly { readonly key: string }[]> {
    const reader = await this.#connect(2, "u0", 99);
    const answer = await reader.ask({
      case: "call",
      value: { rpc: { case: "getEvents", value: { roomId: of, limit: 1_000 } } },
    });
    if (answer.case !== "callResult" || answer.value.rpc.case !== "getEvents") {
      throw new Error(`${of} cannot be read: ${JSON.stringify(answer.value)}`);
    }
    return answer.value.rpc.value.events.map(({ kind }) => {
      const said = kind.case === "messageCreated" ? kind.value.body?.kind : undefined;
      return { key: said?.case === "text" ? said.value : "" };
    });
  }

  async #publish(index: number, of: string, count: number): Promise<void> {
    let client = this.#clients[index];
    if (client === undefined || client.endedWith !== undefined) {
      client = await this.#connect(index).catch(() => undefined);
      if (client === undefined) return;
      this.#clients[index] = client;
    }
    for (let number = 0; number < count; number++) {
      const key = `k${++this.#keys}`;
      this.said.push({ client, userId: `u${index}`, roomId: of, key, ref: client.send(text(of, key)) });
    }
  }

  async #subscribe(client: TestClient): Promise<void> {
    for (const each of ROOMS) {
      const answer = await client.ask({ case: "subscribe", value: { roomId: each } });
      expect(answer.case).toBe("subscribed");
    }
  }

  #connect(index: number, userId = `u${index}`, device = 0): Promise<TestClient> {
    const on: TestNode = this.cluster.node(index);
    return on.connect(userId, { device: { deviceId: `${userId}-${index}-${device}` } });
  }
}

it("nothing acknowledged is lost, repeated or out of order, and everybody hears all of it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const run = new Run();
      try {
        await run.begin();
        for (const each of steps) await run.take(each);
        await run.heal();
        await run.check();
      } finally {
        await run.end();
      }
    }),
    { numRuns: Number(process.env.TRUNKLINE_CLUSTER_RUNS ?? 25) },
  );
}, 600_000);
