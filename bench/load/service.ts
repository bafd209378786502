// The load of `service`: a backend service that calls for a thousand users at once, over gRPC, so many calls at a time.

import { setTimeout as pause } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { DeliveryService, SendToUsersRequestSchema } from "../../src/gen/trunkline/v1/delivery_pb.js";
import { GetPresenceRequestSchema, PresenceService } from "../../src/gen/trunkline/v1/presence_pb.js";
import { PresenceStatus } from "../../src/gen/trunkline/v1/session_pb.js";
import { type RpcMethod, serviceDefinition } from "../../src/rpc/definition.js";
import { openSession } from "../client/session.js";
import { createTokens, type Tokens } from "../client/tokens.js";
import { dialBinary } from "../client/wire.js";
import { cpuMicros } from "../process/proc.js";
import { LatencyHistogram } from "../stats.js";
import type { TrunklineTarget } from "../target.js";
import { messageText } from "../wire/message-text.js";
import { createReadBuffer } from "../wire/websocket.js";
import { mapPooled } from "./pool.js";

export interface ServiceInput {
  readonly target: TrunklineTarget;
  readonly rpc: "SendToUsers" | "GetPresence";
  readonly usersPerCall: number;
  /** How many users there are; half of them have a session. */
  readonly users: number;
  /** Calls under way at a time. */
  readonly concurrency: number;
  readonly warmupMs: number;
  readonly windowMs: number;
}

export interface ServiceOutcome {
  readonly callsPerS: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly cpuUsPerUser: number;
  readonly generatorCpu: number;
}

const CONNECTING_AT_ONCE = 100;
const CALL_DEADLINE_MS = 30_000;

export async function runService(input: ServiceInput): Promise<ServiceOutcome> {
  const { target, concurrency, warmupMs, windowMs } = input;
  const tokens = await createTokens(target.keyFile);
  let failed: string | undefined;
  const sessions = await openSessions(input, tokens, (reason) => {
    failed ??= reason;
  });
  const client = new Client(`127.0.0.1:${target.grpcPort}`, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${await tokens("backend", ["service"])}`);
  const call = callOf(client, metadata, input);

  const latencies = new LatencyHistogram();
  let calls = 0;
  let over = false;
  const callers = Array.from({ length: concurrency }, async () => {
    while (!over && failed === undefined) {
      const startedAt = performance.now();
      await call(calls++);
      latencies.record(performance.now() - startedAt);
    }
  });
  const ended = Promise.all(callers);
  await Promise.race([pause(warmupMs), ended]);
  latencies.clear();
  const before = snapshot();
  await Promise.race([pause(windowMs), ended]);
  const after = snapshot();
  const answered = latencies.total;
  const [p50, p99] = [latencies.quantile(0.5), latencies.quantile(0.99)];
  over = true;
  await ended;
  client.close();
  for (const session of sessions) session.destroy();
  if (failed !== undefined) throw new Error(failed);
  const seconds = (after.at - before.at) / 1000;
  return {
    callsPerS: answered / seconds,
    latencyP50Ms: p50,
    latencyP99Ms: p99,
    cpuUsPerUser: (after.serverCpu - before.serverCpu) / (answered * input.usersPerCall),
    generatorCpu: (after.ownCpu - before.ownCpu) / 1e6 / seconds,
  };

  function snapshot() {
    return { at: performance.now(), serverCpu: cpuMicros(target.pid), ownCpu: cpuMicros(process.pid) };
  }
}

/** Every second user has a session; what is said to them reaches it. */
function openSessions(input: ServiceInput, tokens: Tokens, fail: (reason: string) => void) {
  const dial = dialBinary({ port: input.target.webPort, readBuffer: createReadBuffer() });
  return mapPooled(Math.floor(input.users / 2), CONNECTING_AT_ONCE, async (at) =>
    openSession(dial, {
      token: await tokens(userName(at * 2)),
      deviceId: "device",
      attempt: 1,
      rooms: [],
      failed: (reason) => fail(`${userName(at * 2)}: ${reason}`),
    }),
  );
}

function userName(at: number): string {
  return `user-${at}`;
}

/** Makes the nth call; rejects where any user of it was refused or answered wrongly. */
function callOf(client: Client, metadata: Metadata, input: ServiceInput): (n: number) => Promise<void> {
  const groups = Math.floor(input.users / input.usersPerCall);
  const groupOf = (n: number) =>
    Array.from({ length: input.usersPerCall }, (_, at) => userName((n % groups) * input.usersPerCall + at));
  switch (input.rpc) {
    case "SendToUsers": {
      const method = serviceDefinition(DeliveryService).sendToUsers;
      return async (n) => {
        const request = create(SendToUsersRequestSchema, {
          userIds: groupOf(n),
          key: `call-${n}`,
          attempt: 1,
          body: { kind: { case: "text", value: messageText(n) } },
        });
        const { results } = await ask(client, metadata, method, request);
        const stored = results.filter(({ position }) => position !== undefined).length;
        if (stored !== input.usersPerCall) throw new Error(`${stored} of ${input.usersPerCall} inboxes took it`);
      };
    }
    case "GetPresence": {
      const method = serviceDefinition(PresenceService).getPresence;
      const requests = Array.from({ length: groups }, (_, group) =>
        toBinary(GetPresenceRequestSchema, create(GetPresenceRequestSchema, { userIds: groupOf(group) })),
      );
      return async (n) => {
        const { presences } = await ask(client, metadata, method, requests[n % groups] ?? new Uint8Array());
        const online = presences.filter(({ status }) => status === PresenceStatus.ONLINE).length;
        if (presences.length !== input.usersPerCall || online !== Math.ceil(input.usersPerCall / 2)) {
          throw new Error(`${online} of ${presences.length} are online`);
        }
      };
    }
  }
}

function ask<I, O>(
  client: Client,
  metadata: Metadata,
  { path, requestSerialize, responseDeserialize }: RpcMethod<I, O>,
  request: I | Uint8Array,
): Promise<O> {
  const { promise, resolve, reject } = Promise.withResolvers<O>();
  const answered = (error: ServiceError | null, response?: O) => {
    if (response === undefined) reject(error ?? new Error("no answer came"));
    else resolve(response);
  };
  const deadline = Date.now() + CALL_DEADLINE_MS;
  client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, { deadline }, answered);
  return promise;
}
