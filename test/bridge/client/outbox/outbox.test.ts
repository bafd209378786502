// What becomes of a change between being asked for and being answered.

import { expect, it } from "vitest";
import { Client } from "../../../../bridge/client/client.js";
import type { ClientFrame } from "../../../../bridge/client/gen/types.js";
import type { Dial } from "../../../../bridge/client/platform.js";
import { binaryCodec } from "../../../../bridge/client/wire/binary.js";
import { jsonCodec } from "../../../../bridge/client/wire/codec.js";
import { Page } from "../support/page.js";
import { useServer } from "../support/use-client.js";
import { usePages } from "./use-pages.js";

const A_DAY_MS = 86_400_000;

function publishes(frames: readonly ClientFrame[]) {
  return frames.flatMap(({ publish }) => publish ?? []);
}

it("says of the first attempt that it is the first, and of each other that it is not", async () => {
  const { server, room, run, open } = usePages();
  const { client } = open();
  await run();
  server.takesMs = () => undefined;
  const sending = client.room("tea").send("hello", { clientMessageId: "mine" });
  const other = client.room("tea").send("there");
  expect(sending).toMatchObject({ state: "waiting", clientMessageId: "mine" });
  await run();
  expect(sending.state).toBe("sending");
  for (let cuts = 0; cuts < 2; cuts++) {
    server.network.cut();
    await run(5_000);
  }
  server.takesMs = () => 1;
  server.network.cut();
  await run(5_000);
  expect(await sending).toMatchObject({ position: { seq: 1 } });
  expect((await other).position?.seq).toBe(2);
  // Whoever chose the key may have used it before.
  expect(room().attempts.get("mine")).toEqual([2, 3, 4, 5]);
  expect(room().attempts.get(other.key)).toEqual([2]);
  const next = client.room("tea").send("again");
  await run();
  expect(room().attempts.get(next.key)).toEqual([1]);
});

it("is one change under one key for as long as it waits", async () => {
  const { run, room, open } = usePages();
  const { client } = open({ autoConnect: false });
  const tea = client.room("tea");
  const one = tea.send("once", { clientMessageId: "a" });
  expect(tea.send("twice", { clientMessageId: "a" })).toBe(one);
  client.connect();
  await run(100);
  expect(room().texts).toEqual(["once"]);
});

it("is caught, and ended with, as a promise is", async () => {
  const { run, open } = usePages();
  const { client } = open();
  await run();
  const tea = client.room("tea");
  const told: string[] = [];
  const stored = tea
    .send("hello")
    .catch(() => "refused" as const)
    .finally(() => told.push("over"));
  const refused = tea.send("no", { forward: {} }).catch((error: unknown) => error);
  client.room("tea").pending[1]?.discard();
  await run(100);
  const answer = await stored;
  expect(answer === "refused" || answer.position).toEqual({ seq: 1, tag: expect.any(Number) });
  expect(told).toEqual(["over"]);
  expect(await refused).toMatchObject({ name: "GivenUpError" });
  await expect(tea.send("x".repeat(100_000)).finally(() => told.push("over again"))).rejects.toMatchObject({
    code: "ERROR_CODE_TOO_LARGE",
  });
  expect(told).toEqual(["over", "over again"]);
});

it("knows by its event that a message is stored whose answer was lost", async () => {
  const { server, run, open } = usePages();
  const { client } = open();
  client.room("tea").open();
  await run();
  const { answers } = server;
  server.answers = (frame) => {
    const answering = answers(frame);
    if (frame.publish === undefined || answering === undefined) return answering;
    // The event goes out, the answer does not.
    return { ...answering, answer: () => ({ ...answering.answer(), replyTo: 4_711 }) };
  };
  const sending = client.room("tea").send("hello");
  await run();
  expect(await sending).toMatchObject({ messageId: "tea-1", position: { seq: 1 }, messageIndex: 1 });
});

it("goes on in a room after what is refused for good, and not before what is refused for now", async () => {
  const { server, room, run, open } = usePages(["tea", "cake"]);
  const { client } = open();
  await run();
  const errors = [
    { code: "ERROR_CODE_PERMISSION_DENIED" as const },
    {
      code: "ERROR_CODE_RATE_LIMITED" as const,
      retryable: true,
      retryAfterMs: 2_000,
      details: { bucket: "room.slow_mode" },
    },
  ];
  server.refuse = (kind, roomId) => (kind === "publish" && roomId === "tea" ? errors.shift() : undefined);
  const [no, later, last] = ["no", "later", "last"].map((text) => client.room("tea").send(text));
  const cake = client.room("cake").send("cake");
  await run(1_000);
  await expect(no).rejects.toMatchObject({ name: "RefusedError", code: "ERROR_CODE_PERMISSION_DENIED" });
  expect([later?.state, last?.state, cake.state]).toEqual(["waiting", "waiting", "stored"]);
  await run(2_000);
  expect(room("tea").texts).toEqual(["later", "last"]);
  expect(client.room("tea").pending).toEqual([no]);
});

it("leaves all rooms alone while the session has asked too much", async () => {
  const { server, room, run, open } = usePages(["tea", "cake"]);
  const { client } = open();
  await run();
  const error = { code: "ERROR_CODE_RATE_LIMITED" as const, retryable: true, retryAfterMs: 2_000 };
  const errors = [{ ...error, details: { bucket: "session.publish" } }];
  server.refuse = (kind) => (kind === "publish" ? errors.shift() : undefined);
  client.room("tea").send("tea");
  await run();
  client.room("cake").send("cake");
  await run(1_500);
  expect(room("cake").texts).toEqual([]);
  await run(1_500);
  expect([...room("tea").texts, ...room("cake").texts]).toEqual(["tea", "cake"]);
});

it("sends for a few rooms at a time after a reconnect", async () => {
  const ids = Array.from({ length: 40 }, (_, index) => `room-${index}`);
  const { server, run, open } = usePages(ids);
  server.limits.maxInFlight = 64;
  const { client } = open({ autoConnect: false });
  const sendings = ids.map((id) => client.room(id).send("hello"));
  server.takesMs = (kind) => (kind === "publish" ? 10_000 : 0);
  client.connect();
  await run(9_000);
  expect(publishes(server.session.heard)).toHaveLength(8);
  server.takesMs = () => 0;
  const before = publishes(server.session.heard).length;
  await run(1_300);
  // Not all of the others in the moment in which they could.
  expect(publishes(server.session.heard).length - before).toBeLessThan(32);
  await run(5_000);
  expect(sendings.every(({ state }) => state === "stored")).toBe(true);
});

it("gives up after a day, also what was kept, and tells", async () => {
  const { server, storage, run, open } = usePages();
  server.up = false;
  const { client, unsent } = open();
  const sending = client.room("tea").send("hello");
  await run(A_DAY_MS - 1);
  expect(sending.state).toBe("waiting");
  await run(1);
  await expect(sending).rejects.toMatchObject({ name: "GivenUpError", reason: "expired", attempted: false });
  expect(unsent).toEqual([sending]);
  client.close();

  const next = open();
  await run(10);
  expect(next.unsent).toMatchObject([{ key: sending.key, state: "failed", error: { reason: "expired" } }]);
  server.up = true;
  next.unsent[0]?.retry();
  await run(60_000);
  expect(await next.unsent[0]).toMatchObject({ messageIndex: 1 });
  await expect(keptBy(storage, run)).resolves.toEqual([]);
});

it("takes no more than it may, and lets go of what has failed first", async () => {
  const { server, run, open } = usePages();
  const { client, unsent } = open({ outbox: { maxCount: 3, maxBytes: 2_000 } });
  await run();
  const tea = client.room("tea");
  server.refuse = () => ({ code: "ERROR_CODE_PERMISSION_DENIED" });
  const failed = tea.send("no");
  await run();
  server.takesMs = () => undefined;
  const kept = [tea.send("a"), tea.send("b"), tea.send("c")];
  expect(tea.pending).toEqual(kept);
  const full = tea.send("d");
  await expect(full).rejects.toMatchObject({ name: "GivenUpError", reason: "full" });
  expect(unsent).toEqual([failed, full]);
  kept[1]?.discard();
  await expect(tea.send("x".repeat(1_900))).rejects.toMatchObject({ reason: "full" });
  expect(failed.state).toBe("failed");
  await expect(kept[1]).rejects.toMatchObject({ reason: "discarded", attempted: false });
});

it("never sends what would end the connection, or cannot be written", async () => {
  const { server, run, open } = usePages();
  const { client, unsent } = open();
  await run();
  const tea = client.room("tea");
  await expect(tea.send("ä".repeat(40_000))).rejects.toMatchObject({
    code: "ERROR_CODE_TOO_LARGE",
    details: { limit: "65536" },
  });
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  await expect(tea.send("x", { metadata: circle })).rejects.toMatchObject({ code: "ERROR_CODE_INVALID_ARGUMENT" });
  await run();
  expect(publishes(server.session.heard)).toEqual([]);
  expect(tea.pending).toEqual([]);
  expect(unsent.map(({ state }) => state)).toEqual(["failed", "failed"]);
});

it("measures a change as the connection there is would carry it, which in JSON is longer", async () => {
  const { server, run } = useServer();
  const page = new Page(server.network);
  const dial: Dial = (...args) => {
    const link = page.dial(...args);
    return { codec: jsonCodec, send: (data) => link.send(data), close: (code) => link.close(code) };
  };
  const client = new Client(
    { url: "http://one", token: () => server.issue(A_DAY_MS) },
    { codec: binaryCodec, platform: { ...page.parts, dial } },
  );
  await run();
  // 49,500 bytes.
  const data = "A".repeat(66_000);
  const sending = client.room("tea").send({ custom: { type: "big", data } });
  await run();
  expect(sending).toMatchObject({ state: "failed", error: { code: "ERROR_CODE_TOO_LARGE" } });
  expect(publishes(server.session.heard)).toEqual([]);
});

it("tells that nothing can be kept, and sends all the same", async () => {
  const { storage, room, run, open } = usePages();
  storage.broken = true;
  const { client, storageErrors } = open();
  const sending = client.room("tea").send("hello");
  await run(100);
  expect(await sending).toMatchObject({ messageIndex: 1 });
  expect(room().texts).toEqual(["hello"]);
  // Not loaded, not kept, not forgotten.
  expect(storageErrors.map(String)).toEqual(Array.from({ length: 3 }, () => "Error: the disk is full"));
});

it("waits for what was kept no longer than for five seconds", async () => {
  const { storage, room, run, open } = usePages();
  storage.delayMs = 60_000;
  const { client, storageErrors } = open();
  client.room("tea").send("hello");
  await run(4_000);
  expect(room().texts).toEqual([]);
  await run(2_000);
  expect(room().texts).toEqual(["hello"]);
  expect(storageErrors).toHaveLength(1);
});

it("waits for what another tab has made of a change no longer than for five seconds", async () => {
  const { storage, room, run, open } = usePages();
  open({ autoConnect: false }).client.room("tea").send("kept");
  await run(100);
  storage.get = () => new Promise(() => {});
  const { client, page } = open();
  client.room("tea").send("after it");
  await run(4_900);
  expect(room().texts).toEqual([]);
  await run(200);
  expect(room().texts).toEqual(["kept", "after it"]);
  client.close();
  await run(100);
  expect(page.timers).toBe(0);
});

it("sends what was kept before what is asked for while that is read", async () => {
  const { storage, room, run, open } = usePages();
  const before = open({ autoConnect: false });
  before.client.room("tea").send("one");
  before.client.close();
  storage.delayMs = 1_000;
  const { client } = open();
  client.room("tea").send("two");
  await run(20_000);
  expect(room().texts).toEqual(["one", "two"]);
});

it("sends nothing of somebody else", async () => {
  const { storage, room, run, open } = usePages();
  const { client } = open({ outbox: { owner: { tenantId: "demo", userId: "eve" } } });
  const sending = client.room("tea").send("of eve");
  await run(60_000);
  client.room("tea").send("of ada");
  await run(60_000);
  expect(room().texts).toEqual(["of ada"]);
  expect(sending.state).toBe("waiting");
  expect(client.room("tea").pending).toEqual([]);
  const loading = storage.load("demo eve");
  await run();
  expect(await loading).toMatchObject([{ key: sending.key }]);
});

it("sends nothing that another tab has seen to", async () => {
  const { server, storage, room, run, open } = usePages();
  server.up = false;
  const one = open();
  const [sent, dropped] = [one.client.room("tea").send("sent"), one.client.room("tea").send("dropped")];
  await run(100);
  const two = open({ autoConnect: false });
  await run(100);
  expect(two.client.room("tea").pending).toHaveLength(2);
  dropped.discard();
  server.up = true;
  await run(60_000);
  expect(await sent).toMatchObject({ messageIndex: 1 });
  two.client.connect();
  await run(60_000);
  expect(two.client.room("tea").pending).toEqual([]);
  expect([...room().attempts.keys()]).toEqual([sent.key]);
  await expect(keptBy(storage, run)).resolves.toEqual([]);
});

it("keeps nothing awake once the client is closed", async () => {
  const { server, run, open } = usePages();
  server.up = false;
  const { client, page } = open();
  client.room("tea").send("hello");
  await run(1_000);
  client.close();
  await run(1);
  client.room("tea").send("there");
  await run(1);
  expect(page.timers).toBe(0);
});

async function keptBy(storage: ReturnType<typeof usePages>["storage"], run: (ms: number) => Promise<void>) {
  const loading = storage.load(" ada");
  await run(10);
  return await loading;
}
