// Pass and Take of LinkService: what one bridge passes, the one that has the session takes.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ClientDuplexStream, Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { expect, it, vi } from "vitest";
import { LinkService } from "../../../src/gen/trunkline/v1/link_pb.js";
import { type TakeDown, type TakeUp, TakeUpSchema } from "../../../src/gen/trunkline/v1/passing_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { fromStatus } from "../../../src/rpc/status.js";
import { callUnary, failure, type ServerUnderTest, useGrpcServer } from "./use-grpc-server.js";

/** Waits until it holds: a busy machine takes its time. */
function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 10_000, interval: 10 });
}

const SECRET = "what bridges show";
const { take, pass } = serviceDefinition(LinkService);
const KEY = `${"i".repeat(22)}.${"s".repeat(22)}.~edge-1`;

class TakeClient {
  readonly downs: TakeDown["item"][] = [];
  readonly call: ClientDuplexStream<TakeUp | Uint8Array, TakeDown>;
  readonly status: Promise<StatusObject>;

  constructor(server: ServerUnderTest, secret = SECRET) {
    const metadata = new Metadata();
    metadata.set("authorization", `Bridge ${secret}`);
    this.call = server
      .client()
      .makeBidiStreamRequest(take.path, take.requestSerialize, take.responseDeserialize, metadata);
    this.status = new Promise((resolve) => this.call.on("status", resolve));
    this.call.on("error", () => {});
    this.call.on("data", ({ item }: TakeDown) => this.downs.push(item));
  }

  send(item: MessageInitShape<typeof TakeUpSchema>["item"]): void {
    this.call.write(create(TakeUpSchema, { item }));
  }

  async until(count: number): Promise<void> {
    await eventually(() => expect(this.downs.length).toBeGreaterThanOrEqual(count));
  }
}

/** A bridge that takes, and what another passes to it. */
async function useTaker() {
  const server = await useGrpcServer({ linkSecret: SECRET });
  const taker = new TakeClient(server);
  taker.send({ case: "hello", value: { bridge: "edge-1" } });
  await taker.until(1);
  const client = server.client();
  const passed = (sessionKey = KEY, secret = SECRET) =>
    callUnary(
      client,
      pass,
      pass.requestSerialize({ $typeName: "trunkline.v1.PassRequest", sessionKey, number: 3, frames, closeCode: 0 }),
      { headers: { authorization: `Bridge ${secret}` } },
    );
  return { server, taker, passed };
}
const frames = Buffer.from("{}");

async function refusalOf(call: Promise<unknown>): Promise<ErrorCode> {
  return fromStatus(await failure(call)).code;
}

it("says where the bridge's sessions are, and hands it what is passed there", async () => {
  const { taker, passed } = await useTaker();
  expect(taker.downs[0]).toMatchObject({ case: "welcome", value: { place: "~edge-1" } });
  const done = passed();
  await taker.until(2);
  const batch = { sessionKey: KEY, number: 3, closeCode: 0 };
  expect(taker.downs[1]).toMatchObject({ case: "batch", value: { id: 1, batch } });
  taker.send({ case: "answer", value: { id: 1 } });
  await expect(done).resolves.toBeDefined();
  const refused = refusalOf(passed());
  await taker.until(3);
  taker.send({
    case: "answer",
    value: { id: 2, refusal: { code: ErrorCode.CONFLICT, message: "batch 2 is missing" } },
  });
  expect(await refused).toBe(ErrorCode.CONFLICT);
});

it("lets only bridges pass and take", async () => {
  const { server, passed } = await useTaker();
  expect(await refusalOf(passed(KEY, "guessed"))).toBe(ErrorCode.UNAUTHENTICATED);
  expect((await new TakeClient(server, "guessed").status).code).toBe(status.UNAUTHENTICATED);
  server.server.replaceLinkSecrets(["another"]);
  expect(await refusalOf(passed())).toBe(ErrorCode.UNAUTHENTICATED);
  expect((await new TakeClient(server).status).code).toBe(status.UNAUTHENTICATED);
});

it("knows no session of a bridge that does not take, and none by what is no key", async () => {
  const { taker, passed } = await useTaker();
  for (const key of [
    "",
    "x",
    KEY.replace("edge-1", "edge-2"),
    KEY.replace("~", "node~"),
    KEY.replace(".~edge-1", ""),
  ]) {
    expect(await refusalOf(passed(key))).toBe(ErrorCode.NOT_FOUND);
  }
  taker.call.cancel();
  await eventually(async () => expect(await refusalOf(passed())).toBe(ErrorCode.NOT_FOUND));
});

it.each<[string, MessageInitShape<typeof TakeUpSchema>["item"]]>([
  ["begins with anything but hello", { case: "answer", value: { id: 1 } }],
  ["says nothing", undefined],
  ["has no name", { case: "hello", value: { bridge: "" } }],
  ["has a name that no key can have", { case: "hello", value: { bridge: "edge~1" } }],
])("lets go of a bridge that %s", async (_, item) => {
  const taker = new TakeClient(await useGrpcServer({ linkSecret: SECRET }));
  taker.send(item);
  expect((await taker.status).code).toBe(status.INVALID_ARGUMENT);
});

it("lets go of a bridge that says hello twice, or answers what nobody asked", async () => {
  for (const item of [
    { case: "hello", value: { bridge: "edge-1" } },
    { case: "answer", value: { id: 1 } },
  ] as const) {
    const { taker } = await useTaker();
    taker.send(item);
    expect((await taker.status).code).toBe(status.INVALID_ARGUMENT);
  }
});

it("waits neither for ever for a hello nor for an answer", async () => {
  const { server, taker, passed } = await useTaker();
  const lost = [refusalOf(passed()), refusalOf(passed())];
  await taker.until(3);
  server.clock.advance(4_000);
  expect(await Promise.all(lost)).toEqual([ErrorCode.UNAVAILABLE, ErrorCode.UNAVAILABLE]);
  expect((await taker.status).code).toBe(status.DEADLINE_EXCEEDED);
  const before = server.clock.pending;
  const silent = new TakeClient(server);
  await eventually(() => expect(server.clock.pending).toBe(before + 1));
  server.clock.advance(10_000);
  expect((await silent.status).code).toBe(status.DEADLINE_EXCEEDED);
});

it("tells who waits that the bridge has gone", async () => {
  const { taker, passed } = await useTaker();
  const lost = refusalOf(passed());
  await taker.until(2);
  taker.call.end();
  expect(await lost).toBe(ErrorCode.UNAVAILABLE);
});

it("refuses for now what is too much at once", async () => {
  const { taker, passed } = await useTaker();
  const under = Array.from({ length: 256 }, () => passed());
  await taker.until(257);
  expect(await refusalOf(passed())).toBe(ErrorCode.UNAVAILABLE);
  for (const down of taker.downs)
    if (down.case === "batch") taker.send({ case: "answer", value: { id: down.value.id } });
  expect(await Promise.all(under)).toHaveLength(256);
});

it("passes to who has taken the name last", async () => {
  const { server, taker, passed } = await useTaker();
  const newer = new TakeClient(server);
  newer.send({ case: "hello", value: { bridge: "edge-1" } });
  await newer.until(1);
  taker.call.end();
  await taker.status;
  const done = passed();
  await newer.until(2);
  newer.send({ case: "answer", value: { id: 1 } });
  await expect(done).resolves.toBeDefined();
});
