// The client for services, against a server that refuses as the test wants.

import { inspect } from "node:util";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  type SendToRoomRequest,
  SendToRoomResponseSchema,
  type TailRequest,
  TailResponseSchema,
} from "../../src/gen/trunkline/v1/delivery_pb.js";
import {
  createServiceClient,
  ErrorCode,
  type ServiceClientOptions,
  TrunklineError,
} from "../../src/service-client/index.js";
import { FakeCore } from "../bridge/fake-core.js";
import { useGrpcServer } from "../transport/grpc/use-grpc-server.js";

const hello = { roomId: "r", body: { kind: { case: "text", value: "hello" } } } as const;
const away = () => new TrunklineError(ErrorCode.UNAVAILABLE, "away", { retryAfterMs: 1 });

class ScriptedCore extends FakeCore {
  readonly sent: SendToRoomRequest[] = [];
  readonly tailed: TailRequest[] = [];
  refusals: TrunklineError[] = [];
  /** Answered after it. */
  answers: Promise<void> = Promise.resolve();
  /** What each stream yields, and how it ends. */
  streams: { readonly cursors: readonly string[]; readonly end: TrunklineError }[] = [];

  override readonly delivery = {
    ...new FakeCore().delivery,
    sendToRoom: async (_caller: unknown, request: SendToRoomRequest) => {
      this.sent.push(request);
      const refusal = this.refusals.shift();
      if (refusal !== undefined) throw refusal;
      await this.answers;
      return create(SendToRoomResponseSchema, { messageId: "m" });
    },
    tail: (_caller: unknown, request: TailRequest, signal: AbortSignal) => this.#stream(request, signal),
  };

  async *#stream(request: TailRequest, signal: AbortSignal) {
    this.tailed.push(request);
    const stream = this.streams.shift();
    for (const cursor of stream?.cursors ?? []) yield create(TailResponseSchema, { cursor });
    if (stream !== undefined) throw stream.end;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }
}

async function useClient(differing: Partial<ServiceClientOptions> = {}) {
  const core = new ScriptedCore();
  const { address } = await useGrpcServer({ core });
  const client = createServiceClient({ address, token: "good-bot", ...differing });
  onTestFinished(() => client.close());
  return { core, client };
}

describe("a change", () => {
  it("is tried again under one key, with the attempt counted", async () => {
    const { core, client } = await useClient();
    core.refusals = [away(), new TrunklineError(ErrorCode.RATE_LIMITED, "slow down", { retryAfterMs: 1 })];
    expect(await client.sendToRoom(hello)).toMatchObject({ messageId: "m" });
    expect(core.sent.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(new Set(core.sent.map(({ key }) => key)).size).toBe(1);
    expect(core.sent[0]?.key).not.toBe("");
  });

  it("keeps the key it was given", async () => {
    const { core, client } = await useClient();
    await client.sendToRoom({ ...hello, key: "mine" });
    expect(core.sent).toMatchObject([{ key: "mine" }]);
  });

  it("is not tried again where that would not help, nor for ever", async () => {
    const { core, client } = await useClient({ attempts: 2 });
    core.refusals = [new TrunklineError(ErrorCode.NOT_FOUND, "no such room")];
    await expect(client.sendToRoom(hello)).rejects.toMatchObject({ code: ErrorCode.NOT_FOUND });
    core.refusals = [away(), away(), away()];
    await expect(client.sendToRoom(hello)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    expect(core.sent).toHaveLength(3);
  });

  it("asks for the token each time, and renews one that has expired", async () => {
    const asked: string[] = [];
    const token = () => {
      asked.push("asked");
      return "good-bot";
    };
    const { core, client } = await useClient({ token });
    core.refusals = [new TrunklineError(ErrorCode.TOKEN_EXPIRED, "expired")];
    await client.sendToRoom(hello);
    expect(asked).toHaveLength(2);
  });

  it("is not sent with what is no token, which is told nobody", async () => {
    const { client } = await useClient({ token: "secret\n" });
    const refusal = await client.sendToRoom(hello).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: ErrorCode.UNAUTHENTICATED });
    expect(inspect(refusal)).not.toContain("secret");
    await expect(client.tail().next()).rejects.toMatchObject({ code: ErrorCode.UNAUTHENTICATED });
  });

  it("rejects when the client is closed, be it under way, before another try, or later", async () => {
    const { core, client } = await useClient();
    core.answers = new Promise(() => {});
    const underWay = client.sendToRoom(hello);
    await expect.poll(() => core.sent.length).toBe(1);
    const { core: refusing, client: waiting } = await useClient();
    refusing.refusals = [new TrunklineError(ErrorCode.UNAVAILABLE, "away", { retryAfterMs: 3_600_000 })];
    const pausing = waiting.sendToRoom(hello);
    await expect.poll(() => refusing.refusals.length).toBe(0);
    client.close();
    waiting.close();
    for (const call of [underWay, pausing, client.sendToRoom(hello)]) {
      await expect(call).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    }
    expect(core.sent).toHaveLength(1);
  });

  it("is refused to a token that does not verify", async () => {
    const { client } = await useClient({ token: "bad" });
    await expect(client.sendToRoom(hello)).rejects.toMatchObject({ code: ErrorCode.UNAUTHENTICATED });
  });
});

describe("a tail", () => {
  it("goes on from the last response that was taken", async () => {
    const { core, client } = await useClient();
    core.streams = [
      { cursors: ["a", "b"], end: away() },
      { cursors: [], end: away() },
      { cursors: ["c"], end: new TrunklineError(ErrorCode.PERMISSION_DENIED, "no longer") },
    ];
    const cursors: string[] = [];
    const read = async () => {
      for await (const { cursor } of client.tail({ cursor: "start", roomIds: ["r"] })) cursors.push(cursor);
    };
    await expect(read()).rejects.toMatchObject({ code: ErrorCode.PERMISSION_DENIED });
    expect(cursors).toEqual(["a", "b", "c"]);
    expect(core.tailed).toMatchObject([
      { cursor: "start", roomIds: ["r"] },
      { cursor: "b", roomIds: ["r"] },
      { cursor: "b" },
    ]);
  });

  it("ends when it is told to, also while it waits", async () => {
    const { core, client } = await useClient();
    const abort = new AbortController();
    const tail = client.tail({ signal: abort.signal });
    core.streams = [{ cursors: ["a"], end: away() }];
    expect((await tail.next()).value).toMatchObject({ cursor: "a" });
    const next = tail.next();
    abort.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it("ends when the client is closed", async () => {
    const { core, client } = await useClient();
    core.streams = [{ cursors: ["a"], end: away() }];
    const tail = client.tail();
    expect((await tail.next()).value).toMatchObject({ cursor: "a" });
    const next = tail.next();
    await expect.poll(() => core.tailed.length).toBe(2);
    client.close();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await client.tail().next()).toEqual({ done: true, value: undefined });
  });
});
