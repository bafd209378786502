// Bridges in processes of their own before two nodes on real services: people on them notice nothing of what becomes of nodes and bridges.

import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { type Client, createClient } from "../../bridge/client/index.js";
import { Schema, TestClient } from "../support/client/index.js";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { TestCluster } from "../support/cluster/test-cluster.js";
import { LINK_SECRET, TestEdge } from "../support/edge.js";
import { checkHistory } from "../support/history/history.js";
import { useSockets } from "../support/sockets.js";
import { Publisher } from "../support/story/publisher.js";
import { printedSeed, seeded } from "../support/story/random.js";
import { call, readEvents } from "../support/story/read-room.js";
import { Receiver } from "../support/story/receiver.js";
import { signToken } from "../support/token.js";

/** Bounds for the tests, not claims about speed. */
const START_MS = 120_000;
const PATIENCE_MS = 60_000;
const PATIENCE = { timeout: PATIENCE_MS, interval: 50 };
/** Browsers on one bridge. */
const MANY = 500;

describeCluster("bridges of their own", (services) => {
  const random = seeded(printedSeed("bridges"));
  const cluster = new TestCluster({ services, environment: { TRUNKLINE_LINK_SECRET: LINK_SECRET } });
  const [one, two] = [cluster.node("one"), cluster.node("two")];
  const schema = new Schema();
  const edges: TestEdge[] = [];

  async function startEdge(): Promise<TestEdge> {
    const edge = new TestEdge([one, two], { TRUNKLINE_DRAIN_SPREAD: "2s" });
    edges.push(edge);
    await edge.start();
    await edge.ready();
    return edge;
  }

  function token(user: string): string {
    return signToken(cluster.issuer, { user });
  }

  beforeAll(async () => {
    for (const node of await cluster.start("one", "two")) await node.ready();
  }, START_MS);
  afterAll(async () => {
    await Promise.all(edges.map((edge) => edge.dispose()));
    await cluster.dispose();
  }, START_MS);

  test("a chat over two bridges goes on over nodes and bridges that are killed, over either kind of connection", {
    timeout: 3 * START_MS,
  }, async () => {
    const [left, right] = [await startEdge(), await startEdge()];
    const roomId = "quay";
    // Each bridge by WebSocket, and by streams of events whose requests come to the other one.
    const clients = [left, right].flatMap((edge, index) => [
      new TestClient("websocket-binary", edge.endpoints, schema),
      new TestClient("events", edge.with(index === 0 ? right : left), schema),
    ]);
    const place = (name: string, index: number) => {
      const client = clients[index % clients.length];
      if (client === undefined) throw new Error("there is no bridge");
      return { client, name, roomId, token: token(name), random, patienceMs: 5_000 };
    };
    const publishers = clients.map((_, index) => {
      return new Publisher({ ...place(`publisher-${index}`, index), window: 1, everyMs: 20 });
    });
    const receivers = clients.map((_, index) => new Receiver(place(`receiver-${index}`, index)));
    const everybody = [...publishers, ...receivers];
    onTestFinished(async () => {
      await Promise.all(everybody.map((each) => each.stop()));
    });
    const owner = new TestClient("grpc", one.endpoints, schema);
    const members = everybody.map(({ name }) => ({ userId: name }));
    await call(owner, token("owner"), "CreateRoom", { roomId, key: "create", attempt: 1, members });
    for (const each of everybody) each.start();
    const goesOn = async (): Promise<void> => {
      await Promise.all(
        publishers.map((publisher) => {
          const goal = publisher.acknowledged.length + 10;
          return publisher.until(() => publisher.acknowledged.length >= goal, "10 more answers", PATIENCE_MS);
        }),
      );
    };
    await goesOn();
    for (const node of [one, two]) {
      await node.kill();
      await goesOn();
      await node.start();
      await node.ready();
    }
    await left.kill();
    await left.start();
    await goesOn();
    expect(await right.stop()).toBe(0);
    await right.start();
    await goesOn();
    expect(await one.stop()).toBe(0);
    await goesOn();
    await one.start();
    await Promise.all(publishers.map((publisher) => publisher.finish(PATIENCE_MS)));
    const stored = await readEvents(owner, token("owner"), roomId);
    await Promise.all(receivers.map((receiver) => receiver.reached(stored.length, PATIENCE_MS)));
    const findings = checkHistory({
      stored,
      acknowledged: publishers.flatMap(({ acknowledged }) => acknowledged),
      published: new Set(publishers.flatMap(({ published }) => [...published])),
      receivers: receivers.map(({ name, events }) => ({ name, from: 0, events })),
    });
    expect(findings.slice(0, 20)).toEqual([]);
    expect(everybody.flatMap(({ violations }) => violations)).toEqual([]);
    expect(receivers.flatMap(({ resets }) => resets)).toEqual([]);
  });

  test(`${MANY} browsers on a bridge whose node is killed, and whose next one leaves, come back by the other one on the connections they have, and miss nothing`, {
    timeout: 3 * START_MS,
  }, async () => {
    const sockets = useSockets();
    await vi.waitFor(async () => {
      for (const node of [one, two]) expect(await node.readiness()).toMatchObject({ ready: true });
    }, PATIENCE);
    const linksOf = (): readonly number[] => [one, two].map((node) => node.timesLogged("link up"));
    const before = linksOf();
    const edge = await startEdge();
    const [linked, other] = (linksOf()[0] ?? 0) > (before[0] ?? 0) ? [one, two] : [two, one];
    const names = Array.from({ length: MANY }, (_, index) => `many-${index}`);
    const owner = new TestClient("grpc", two.endpoints, schema);
    const batches = Array.from({ length: MANY / 100 }, (_, index) => names.slice(100 * index, 100 * (index + 1)));
    await call(owner, token("owner"), "CreateRoom", { roomId: "square", key: "create", attempt: 1 });
    for (const [index, batch] of batches.entries()) {
      const members = batch.map((userId) => ({ userId }));
      await call(owner, token("owner"), "AddMembers", { roomId: "square", key: `add-${index}`, attempt: 1, members });
    }
    const seqs: number[][] = [];
    const clients = names.map((name): Client => {
      const client = createClient({ url: edge.endpoints.http, token: () => token(name) });
      const room = client.room("square");
      const seen: number[] = [];
      seqs.push(seen);
      room.on("event", ({ position }) => seen.push(position?.seq ?? 0));
      room.open({ after: {} });
      return client;
    });
    onTestFinished(() => {
      for (const client of clients) client.close();
    });
    const notLive = (): number => clients.filter(({ state }) => state.status !== "live").length;
    await vi.waitFor(() => expect(notLive()).toBe(0), PATIENCE);
    const sent: PromiseLike<unknown>[] = [];
    const saying = clients.slice(0, 20);
    const sayAll = (): void => {
      for (const client of saying) sent.push(client.room("square").send(`something ${sent.length}`));
    };
    sayAll();
    const moved = async (away: () => Promise<unknown>): Promise<void> => {
      const opened: string[] = [];
      sayAll();
      const stops = clients.map((client) => client.on("state", ({ status }) => opened.push(status)));
      await away();
      sayAll();
      const count = () => opened.filter((status) => status === "live").length;
      await vi.waitFor(() => expect([count() >= MANY, notLive()]).toEqual([true, 0]), PATIENCE);
      for (const stop of stops) stop();
      sayAll();
    };
    await moved(() => linked.kill());
    await linked.start();
    await linked.ready();
    await moved(() => other.stop());
    console.log(`${sockets.opened} connections for ${MANY} browsers over two moves`, new Set(sockets.closed));
    // A busy machine may not answer a hello in time; for its node's sake nobody's connection ends.
    expect(sockets.closed.filter((each) => /was lost|is leaving/.test(each))).toEqual([]);
    expect(sockets.opened - MANY).toBeLessThan(MANY);
    await other.start();
    await Promise.all(sent);
    const stored = await readEvents(new TestClient("websocket-json", edge.endpoints, schema), token("owner"), "square");
    await vi.waitFor(() => expect(seqs.filter((seen) => seen.length < stored.length)).toEqual([]), PATIENCE);
    const all = stored.map((_, index) => index + 1);
    expect(seqs.filter((seen) => seen.some((seq, index) => seq !== all[index]))).toEqual([]);
    const texts = stored.map(({ text }) => text).filter((text) => text.startsWith("something "));
    expect(new Set(texts).size).toBe(sent.length);
    expect(texts).toHaveLength(sent.length);
  });

  test("no node and no bridge has logged a fault", () => {
    const logged = [...cluster.faults, ...edges.flatMap(({ faults }) => faults)];
    // A busy machine lets nodes wait for each other, and for their auth services.
    expect(logged.filter((line) => !/does not answer|cannot be asked/.test(line))).toEqual([]);
  });
});
