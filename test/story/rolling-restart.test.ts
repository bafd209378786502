// A deployment under people who chat: the server leaves and comes back, and nobody loses, sees twice, or is left out.

import { afterEach, expect, test, vi } from "vitest";
import { type Client, createClient } from "../../bridge/client/index.js";
import { TestServer } from "../support/server.js";
import { signToken } from "../support/token.js";

const PEOPLE = ["ada", "ben", "cleo", "dora", "emil", "fay"];
const RESTARTS = 2;
/** Said by each, between two restarts at least. */
const SAID = 5;
const PATIENCE = { timeout: 60_000, interval: 50 };

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Person {
  readonly name: string;
  readonly client: Client;
  readonly heard: string[];
  readonly seqs: number[];
  /** What was said, and has been acknowledged. */
  readonly acknowledged: string[];
  /** Talks on until it is let go. */
  readonly talk: () => Promise<void>;
}

test("the server is restarted in order while everybody talks", async () => {
  const server = new TestServer();
  ends.push(() => server.dispose());
  await server.start();
  const url = server.endpoints.http;
  let talking = true;
  const people = PEOPLE.map((name) => meet(name, url, server, () => talking));
  const [host] = people;
  await everyoneLive(people);
  const members = PEOPLE.slice(1).map((userId) => ({ userId }));
  await host?.client.change({ createRoom: { roomId: "harbour", members } });
  for (const { client, heard, seqs } of people) {
    const room = client.room("harbour");
    room.on("event", ({ position, messageCreated }) => {
      seqs.push(position?.seq ?? 0);
      if (messageCreated?.body?.text !== undefined) heard.push(messageCreated.body.text);
    });
    room.open({ after: {} });
  }
  const talks = people.map(({ talk }) => talk());

  for (let restart = 0; restart < RESTARTS; restart++) {
    await moreSaid(people);
    expect(await server.stop()).toBe(0);
    await server.start();
    await everyoneLive(people);
  }
  await moreSaid(people);
  talking = false;
  await Promise.all(talks);

  const all = people.flatMap(({ acknowledged }) => acknowledged).toSorted();
  await vi.waitFor(() => {
    for (const { heard } of people) expect(heard.length).toBeGreaterThanOrEqual(all.length);
  }, PATIENCE);
  for (const { heard, seqs } of people) {
    expect(heard.toSorted()).toEqual(all);
    expect(heard).toEqual(host?.heard);
    expect(seqs).toEqual(Array.from(seqs, (_, index) => index + 1));
  }
  for (const { name } of people) {
    const own = all.filter((text) => text.startsWith(name)).length;
    expect(host?.heard.filter((text) => text.startsWith(name))).toEqual(
      Array.from({ length: own }, (_, index) => `${name} ${index}`),
    );
  }
  expect(server.faults).toEqual([]);
}, 240_000);

function meet(name: string, url: string, server: TestServer, isTalking: () => boolean): Person {
  const client = createClient({ url, token: () => signToken(server.issuer, { user: name }) });
  ends.push(() => client.close());
  const acknowledged: string[] = [];
  const talk = async (): Promise<void> => {
    for (let n = 0; isTalking(); n++) {
      const text = `${name} ${n}`;
      await client.room("harbour").send(text);
      acknowledged.push(text);
    }
  };
  return { name, client, heard: [], seqs: [], acknowledged, talk };
}

async function everyoneLive(people: readonly Person[]): Promise<void> {
  await vi.waitFor(() => {
    expect(people.map(({ client }) => client.state.status)).toEqual(people.map(() => "live"));
  }, PATIENCE);
}

async function moreSaid(people: readonly Person[]): Promise<void> {
  const before = people.map(({ acknowledged }) => acknowledged.length);
  await vi.waitFor(() => {
    for (const [index, { acknowledged }] of people.entries())
      expect(acknowledged.length).toBeGreaterThanOrEqual((before[index] ?? 0) + SAID);
  }, PATIENCE);
}
