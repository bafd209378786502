// One session of 200 stops reading a busy room: it costs a bounded amount of memory, nobody else notices, and it catches up.

import { afterEach, expect, test } from "vitest";
import {
  at,
  type Connection,
  contentOf,
  type Frame,
  isArray,
  kindOf,
  number,
  Schema,
  TestClient,
} from "../support/client/index.js";
import { TestServer } from "../support/server.js";
import { call } from "../support/story/read-room.js";
import { signToken } from "../support/token.js";

const SESSIONS = 200;
const MESSAGES = 5_000;
const TEXT = "x".repeat(4_000);
/** seq 1 is the room's creation, then one per member added. */
const FIRST_SEQ = SESSIONS + 2;
const LAST_SEQ = FIRST_SEQ + MESSAGES - 1;
/** Messages on their way at once. */
const WINDOW = 16;
/** The stalled session's outbox is 1 MiB; the rest is what a busy Node process has anyway, garbage above all. */
const MEMORY_BOUND_BYTES = 250 * 1024 * 1024;
const PATIENCE_MS = 120_000;

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Counts events, and checks that they come densely. */
class Reader {
  seq = FIRST_SEQ - 1;
  broken = "";
  readonly #waiters: (() => void)[] = [];
  readonly subscribed = Promise.withResolvers<void>();

  readonly receive = (frame: Frame): void => {
    if (kindOf(frame) === "subscribed") this.subscribed.resolve();
    if (kindOf(frame) === "subscribed" && contentOf(frame).caughtUp === undefined)
      this.broken ||= JSON.stringify(frame);
    if (kindOf(frame) === "error") this.broken ||= JSON.stringify(frame);
    if (kindOf(frame) === "goodbye") this.broken ||= JSON.stringify(frame);
    if (kindOf(frame) !== "roomEvents") return;
    const events = at(contentOf(frame), "events");
    for (const event of isArray(events) ? events : []) {
      const seq = number(at(event, "position", "seq"));
      if (seq !== this.seq + 1) this.broken ||= `${seq} came after ${this.seq}`;
      this.seq = seq;
    }
    if (this.seq >= LAST_SEQ) for (const resolve of this.#waiters.splice(0)) resolve();
  };

  async all(): Promise<void> {
    if (this.seq >= LAST_SEQ) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push(resolve);
    await promise;
  }
}

test("a stalled session among 200 costs bounded memory, and has everything once it reads again", async () => {
  // A stalled reader is given more time here than a loaded machine needs for the room's messages.
  const server = new TestServer({ environment: { TRUNKLINE_STALL_DEADLINE: "10m", TRUNKLINE_PONG_DEADLINE: "10m" } });
  ends.push(() => server.dispose());
  await server.start();
  const client = new TestClient("websocket-binary", server.endpoints, new Schema());
  ends.push(() => client.destroy());
  const users = Array.from({ length: SESSIONS }, (_, index) => `user-${index}`);
  const owner = signToken(server.issuer, { user: "owner" });
  await call(client, owner, "CreateRoom", { roomId: "busy", key: "create", attempt: 1 });
  for (let from = 0; from < SESSIONS; from += 100) {
    const members = users.slice(from, from + 100).map((userId) => ({ userId }));
    await call(client, owner, "AddMembers", { roomId: "busy", key: `add-${from}`, attempt: 1, members });
  }

  const readers = users.map(() => new Reader());
  const connections: Connection[] = [];
  for (const [index, user] of users.entries()) {
    const reader = readers[index];
    const connection = await client.connect({ label: user, onFrame: (frame) => reader?.receive(frame) });
    connections.push(connection);
    const token = signToken(server.issuer, { user });
    connection.send({
      ref: 1,
      hello: { token, device: { deviceId: "d" }, attempt: 1, protocol: 1, rooms: [{ roomId: "busy" }] },
    });
  }
  await Promise.all(readers.map((reader) => reader.subscribed.promise));
  const [stalled] = connections;
  const [stalledReader, ...others] = readers;
  if (stalled === undefined || stalledReader === undefined) throw new Error("no sessions");
  stalled.pause();
  const before = server.anonymousBytes();

  const publisher = await client.connect({ label: "owner" });
  await publisher.request({ hello: { token: owner, device: { deviceId: "d" }, attempt: 1, protocol: 1 } });
  let peak = before;
  for (let sent = 0; sent < MESSAGES; sent += WINDOW) {
    const batch = Array.from({ length: Math.min(WINDOW, MESSAGES - sent) }, (_, index) =>
      publisher.request(
        {
          publish: { roomId: "busy", clientMessageId: `m-${sent + index}`, attempt: 1, body: { text: TEXT } },
        },
        PATIENCE_MS,
      ),
    );
    for (const reply of await Promise.all(batch)) expect(reply).toHaveProperty("published");
    peak = Math.max(peak, server.anonymousBytes());
  }

  await Promise.all(others.map((reader) => reader.all()));
  expect(others.map((reader) => reader.broken).filter((broken) => broken !== "")).toEqual([]);
  const unread = stalledReader.seq;
  stalled.resume();
  await stalledReader.all();
  expect(stalledReader.broken).toBe("");
  console.log(
    `slow reader: stalled at ${unread} of ${LAST_SEQ}; server grew by ${Math.round((peak - before) / 1024 / 1024)} MiB`,
  );
  expect(unread).toBeLessThan(LAST_SEQ);
  expect(server.timesLogged("session lags")).toBeGreaterThan(0);
  expect(peak - before).toBeLessThan(MEMORY_BOUND_BYTES);
}, 240_000);
