// The client of PublishHookService against a real server: what it asks, what it makes of answers, and what of none.

import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { BodySchema, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { type Decision, publication, startHookServer, usePublishHook } from "./use-publish-hook.js";

const allow = async () => ({ case: "allow" as const, value: {} });
const never = () => new Promise<never>(() => {});
const unavailable = { code: ErrorCode.UNAVAILABLE };

describe("a question", () => {
  test("carries all that the hook may want to know", async () => {
    const server = await startHookServer(allow);
    const { hook } = usePublishHook(server);
    await hook.beforePublish(publication("hello", { editedMessageId: "e1", key: "k1" }));
    expect(server.asked).toMatchObject([
      {
        tenantId: "acme",
        roomId: "room",
        roomKind: RoomKind.GROUP,
        sender: { userId: "ann", deviceId: "phone", displayName: "Ann" },
        key: "k1",
        editedMessageId: "e1",
        message: {
          body: { kind: { case: "text", value: "hello" } },
          clientMessageId: "m1",
          metadata: { mood: "good" },
        },
      },
    ]);
  });

  test("has a deadline that the hook is told", async () => {
    const server = await startHookServer(never);
    const { hook } = usePublishHook({ address: server.address, timeoutMs: 50 });
    await expect(hook.beforePublish(publication("slow"))).rejects.toMatchObject({
      ...unavailable,
      message: "the publish hook did not answer",
      retryAfterMs: 750,
      cause: { code: status.DEADLINE_EXCEEDED },
    });
  });

  test("is not asked when too many wait for an answer", async () => {
    const server = await startHookServer(never);
    const { hook } = usePublishHook({ address: server.address, maxInFlight: 1 });
    const first = hook.beforePublish(publication("first"));
    await expect(hook.beforePublish(publication("second"))).rejects.toMatchObject({
      ...unavailable,
      message: "too many messages wait for the publish hook",
    });
    hook.close();
    await expect(first).rejects.toMatchObject(unavailable);
  });
});

describe("an answer", () => {
  const body = create(BodySchema, { kind: { case: "text", value: "other" } });

  test.each<[string, Decision | undefined, object]>([
    ["allow", { case: "allow", value: {} }, { decision: "allow" }],
    ["nothing", undefined, { decision: "allow" }],
    [
      "replace",
      { case: "replace", value: body },
      { decision: "change", body, mentions: undefined, metadata: undefined },
    ],
    [
      "change",
      { case: "change", value: { mentions: { mentions: [{ userId: "bob" }] }, metadata: { lang: "en" } } },
      { decision: "change", body: undefined, mentions: [{ userId: "bob" }], metadata: { lang: "en" } },
    ],
    ["change to nothing", { case: "change", value: { mentions: {} } }, { decision: "change", mentions: [] }],
    [
      "refuse",
      { case: "refuse", value: { reason: "no swearing", code: "words" } },
      { decision: "refuse", reason: "no swearing", code: "words" },
    ],
    [
      "refuse, with more than is allowed",
      { case: "refuse", value: { reason: "ä".repeat(200), code: "not an id" } },
      { decision: "refuse", reason: "ä".repeat(128), code: "" },
    ],
  ])("%s is read as the contract says", async (_name, decision, verdict) => {
    const server = await startHookServer(async () => decision);
    const { hook } = usePublishHook(server);
    expect(await hook.beforePublish(publication("hello"))).toMatchObject(verdict);
  });
});

describe("a hook that is away", () => {
  test("is found back after it has died, by one question at a time", async () => {
    const server = await startHookServer(allow);
    const { hook, clock, turns } = usePublishHook(server);
    await hook.beforePublish(publication("there"));
    server.stop();
    for (let failure = 0; failure < 5; failure++) {
      await expect(hook.beforePublish(publication("away"))).rejects.toMatchObject(unavailable);
    }
    expect(turns).toEqual([true]);

    const back = await startHookServer(allow, server.port);
    await expect(hook.beforePublish(publication("not asked"))).rejects.toMatchObject({
      message: "the publish hook cannot be reached",
      retryAfterMs: 1_250,
    });
    expect(back.asked).toEqual([]);
    clock.advance(1_000);
    const probe = hook.beforePublish(publication("probe"));
    await expect(hook.beforePublish(publication("meanwhile"))).rejects.toMatchObject(unavailable);
    await probe;
    await hook.beforePublish(publication("again"));
    expect(back.asked.map(({ message }) => message?.body?.kind.value)).toEqual(["probe", "again"]);
    expect(turns).toEqual([true, false]);
  });

  test("is away when it hangs, and asked less and less often", async () => {
    const server = await startHookServer(never);
    const { hook, clock, turns } = usePublishHook({ address: server.address, timeoutMs: 200 });
    for (let failure = 0; failure < 5; failure++) {
      await expect(hook.beforePublish(publication("hangs"))).rejects.toMatchObject(unavailable);
    }
    clock.advance(1_000);
    await expect(hook.beforePublish(publication("probe"))).rejects.toMatchObject(unavailable);
    await expect(hook.beforePublish(publication("not asked"))).rejects.toMatchObject({ retryAfterMs: 2_500 });
    expect(server.asked).toHaveLength(6);
    server.answer = allow;
    clock.advance(2_000);
    await hook.beforePublish(publication("there"));
    expect(turns).toEqual([true, false]);
  });

  test("is not away when it turns questions down one by one", async () => {
    const server = await startHookServer(() => Promise.reject({ code: status.UNKNOWN, details: "a bug" }));
    const { hook, turns } = usePublishHook(server);
    for (let failure = 0; failure < 10; failure++) {
      await expect(hook.beforePublish(publication("odd"))).rejects.toMatchObject(unavailable);
    }
    expect(server.asked).toHaveLength(10);
    expect(turns).toEqual([]);
  });

  test("fails nobody without telling: what waits when it is closed is refused", async () => {
    const server = await startHookServer(never);
    const { hook, turns } = usePublishHook(server);
    const waiting = Array.from({ length: 6 }, () => hook.beforePublish(publication("waits")));
    hook.close();
    for (const each of await Promise.allSettled(waiting)) expect(each).toMatchObject({ status: "rejected" });
    await expect(hook.beforePublish(publication("late"))).rejects.toMatchObject(unavailable);
    expect(turns).toEqual([]);
  });
});
