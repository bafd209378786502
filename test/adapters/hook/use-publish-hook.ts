// Publish hooks for tests: a server over loopback gRPC that says what the test wants, and clients of it, gone after the test.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import type { HookClientOptions } from "../../../src/adapters/hook/hook-service.js";
import { createPublishHook, type PublishHookClient } from "../../../src/adapters/hook/publish-hook.js";
import {
  type BeforePublishRequest,
  type BeforePublishResponse,
  BeforePublishResponseSchema,
  PublishHookService,
} from "../../../src/gen/trunkline/v1/hook_pb.js";
import { ActorSchema, BodySchema, MessageCreatedSchema, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import type { Publication } from "../../../src/ports/publish-hook.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { StoppedClock } from "../../support/stopped-clock.js";

export type Decision = NonNullable<MessageInitShape<typeof BeforePublishResponseSchema>["decision"]>;

/** Rejects with `{code, details}`, or never settles. */
export type Answer = (request: BeforePublishRequest) => Promise<Decision | undefined>;

export interface HookServer {
  readonly address: string;
  readonly port: number;
  /** What was asked, in order. */
  readonly asked: BeforePublishRequest[];
  answer: Answer;
  stop(): void;
}

export async function startHookServer(answer: Answer, port = 0): Promise<HookServer> {
  const server = new Server();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const asked: BeforePublishRequest[] = [];
  const running = { asked, answer };
  server.addService(serviceDefinition(PublishHookService), {
    beforePublish: (
      call: ServerUnaryCall<BeforePublishRequest, BeforePublishResponse>,
      reply: sendUnaryData<BeforePublishResponse>,
    ) => {
      asked.push(call.request);
      running.answer(call.request).then(
        (decision) => reply(null, create(BeforePublishResponseSchema, { decision })),
        (error) => reply(error),
      );
    },
  });
  server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
    error === null ? resolve(bound) : reject(error),
  );
  const bound = await promise;
  onTestFinished(() => server.forceShutdown());
  return Object.assign(running, { address: `127.0.0.1:${bound}`, port: bound, stop: () => server.forceShutdown() });
}

export interface UsedHook {
  readonly hook: PublishHookClient;
  readonly clock: StoppedClock;
  /** Each time it was found away (true) or back (false). */
  readonly turns: boolean[];
}

export function usePublishHook(options: Partial<HookClientOptions> & { readonly address: string }): UsedHook {
  const clock = new StoppedClock();
  const turns: boolean[] = [];
  const onTurn = (away: unknown) => turns.push(away !== undefined);
  const hook = createPublishHook({ clock, random: () => 0.5, timeoutMs: 5_000, onTurn, ...options });
  onTestFinished(() => hook.close());
  return { hook, clock, turns };
}

export function publication(text: string, differing: Partial<Publication> = {}): Publication {
  return {
    tenantId: "acme",
    roomId: "room",
    roomKind: RoomKind.GROUP,
    sender: create(ActorSchema, { userId: "ann", deviceId: "phone", displayName: "Ann" }),
    key: "m1",
    message: create(MessageCreatedSchema, {
      body: create(BodySchema, { kind: { case: "text", value: text } }),
      clientMessageId: "m1",
      metadata: { mood: "good" },
    }),
    editedMessageId: "",
    ...differing,
  };
}
