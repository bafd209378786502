// The client of AccessHookService against a real server.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { createAccessHook } from "../../../src/adapters/hook/access-hook.js";
import type { HookClientOptions } from "../../../src/adapters/hook/hook-service.js";
import {
  AccessHookService,
  type AuthorizeRequest,
  type AuthorizeResponse,
  AuthorizeResponseSchema,
} from "../../../src/gen/trunkline/v1/hook_pb.js";
import { Permission, Role } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { StoppedClock } from "../../support/stopped-clock.js";

type Answer = () => Promise<MessageInitShape<typeof AuthorizeResponseSchema>>;

const QUESTION = { tenantId: "acme", userId: "ann", roomId: "room", permission: Permission.PUBLISH };

async function useHook(answer: Answer, options: Partial<HookClientOptions> = {}) {
  const asked: AuthorizeRequest[] = [];
  const server = new Server();
  server.addService(serviceDefinition(AccessHookService), {
    authorize: (
      call: ServerUnaryCall<AuthorizeRequest, AuthorizeResponse>,
      reply: sendUnaryData<AuthorizeResponse>,
    ) => {
      asked.push(call.request);
      answer().then(
        (response) => reply(null, create(AuthorizeResponseSchema, response)),
        (error) => reply(error),
      );
    },
  });
  const { promise, resolve } = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, port) => resolve(port));
  const address = `127.0.0.1:${await promise}`;
  onTestFinished(() => server.forceShutdown());
  const clock = new StoppedClock();
  const turns: boolean[] = [];
  const onTurn = (away: unknown) => turns.push(away !== undefined);
  const hook = createAccessHook({ address, clock, random: () => 0.5, timeoutMs: 5_000, onTurn, ...options });
  onTestFinished(() => hook.close());
  return { hook, asked, turns, clock };
}

test("asks who wants to do what where, and reads the answer", async () => {
  const { hook, asked } = await useHook(async () => ({ allowed: true, ttlMs: 5_000, role: Role.ADMIN }));
  expect(await hook.authorize(QUESTION)).toEqual({ allowed: true, ttlMs: 5_000, role: Role.ADMIN });
  expect(asked).toMatchObject([QUESTION]);
});

test("an answer that says nothing is a denial", async () => {
  const { hook } = await useHook(async () => ({}));
  expect(await hook.authorize(QUESTION)).toEqual({ allowed: false, ttlMs: 0, role: Role.UNSPECIFIED });
});

test("a role that the contract does not know gives none", async () => {
  const { hook } = await useHook(async () => ({ allowed: true, role: 99 as Role }));
  expect(await hook.authorize(QUESTION)).toMatchObject({ role: Role.UNSPECIFIED });
});

test("a hook that hangs or fails is no answer, and is left alone after five times", async () => {
  const answers: Answer[] = [
    () => new Promise<never>(() => {}),
    ...Array.from({ length: 4 }, () => () => Promise.reject({ code: status.UNAVAILABLE, details: "away" })),
  ];
  const { hook, asked, turns, clock } = await useHook(() => (answers.shift() ?? (async () => ({ allowed: true })))(), {
    timeoutMs: 100,
  });
  for (let failure = 0; failure < 5; failure++) {
    await expect(hook.authorize(QUESTION)).rejects.toMatchObject({
      code: ErrorCode.UNAVAILABLE,
      message: "the access hook did not answer",
      retryAfterMs: 750,
    });
  }
  expect(turns).toEqual([true]);
  await expect(hook.authorize(QUESTION)).rejects.toMatchObject({ message: "the access hook cannot be reached" });
  expect(asked).toHaveLength(5);
  clock.advance(1_000);
  expect(await hook.authorize(QUESTION)).toMatchObject({ allowed: true });
  expect(turns).toEqual([true, false]);
});
