// Services of the contract, asked of the node that a bridge is linked to with the caller's own token.

import type { DescService } from "@bufbuild/protobuf";
import { type Client, Metadata, type ServiceError } from "@grpc/grpc-js";
import type { Core } from "../../src/core/core.js";
import type { Caller, RoomResponse } from "../../src/core/room/calls.js";
import type { ServiceCalls } from "../../src/core/service-calls.js";
import { DeliveryService } from "../../src/gen/trunkline/v1/delivery_pb.js";
import { PresenceService } from "../../src/gen/trunkline/v1/presence_pb.js";
import { RoomService } from "../../src/gen/trunkline/v1/room_pb.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { Identity } from "../../src/ports/token-verifier.js";
import { methodDefinition, type RpcMethod } from "../../src/rpc/definition.js";
import { fromStatus } from "../../src/rpc/status.js";

/** How long the node may take, at most, in milliseconds. */
const DEADLINE_MS = 30_000;
const RETRY_AFTER_MS = 1_000;

/** Whoever shows a token. Who that is, the node finds out. */
class Bearer implements Caller {
  readonly identity: Identity = NOBODY;
  readonly deviceId = "";
  readonly token: string;

  constructor(token: string) {
    this.token = token;
  }
}

const NOBODY: Identity = {
  tenantId: "",
  userId: "",
  displayName: "",
  grants: new Set(),
  expiresAtMs: undefined,
  tokenId: "",
};

/** `node`: who is asked now; undefined: there is nobody, and calls are refused as UNAVAILABLE. */
export function remoteCalls(
  node: () => Client | undefined,
): Pick<Core, "rooms" | "delivery" | "presence" | "authenticate"> {
  const rooms = methodsOf(RoomService);
  return {
    authenticate: async (token) => new Bearer(token),
    rooms: {
      call: async (caller, { case: name, value }, signal, timeoutMs) => {
        const method = rooms.get(name);
        if (method === undefined) throw new TrunklineError(ErrorCode.UNSUPPORTED, `there is no method ${name}`);
        const response = await unary(node(), method, caller, value, signal, timeoutMs);
        // The node answers by the method's own schema.
        return { case: name, value: response } as RoomResponse;
      },
    },
    delivery: proxy(DeliveryService, node),
    presence: proxy(PresenceService, node),
  };
}

type Method = RpcMethod<unknown, unknown>;

function methodsOf(service: DescService): ReadonlyMap<string, Method> {
  return new Map(service.methods.map((method) => [method.localName, methodDefinition(service, method)]));
}

function proxy<S extends DescService>(service: S, node: () => Client | undefined): ServiceCalls<S> {
  const calls: Record<string, (caller: Caller, request: unknown, signal: AbortSignal, timeoutMs?: number) => unknown> =
    {};
  for (const [name, method] of methodsOf(service)) {
    calls[name] = method.responseStream
      ? (caller, request, signal) => stream(node(), method, caller, request, signal)
      : (caller, request, signal, timeoutMs) => unary(node(), method, caller, request, signal, timeoutMs);
  }
  // Each method is there by its name; what it takes and gives is of its own schemas, which the compiler cannot see of any service.
  return calls as ServiceCalls<S>;
}

async function unary(
  client: Client | undefined,
  method: Method,
  caller: Caller,
  request: unknown,
  signal?: AbortSignal,
  timeoutMs = DEADLINE_MS,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const call = reachable(client).makeUnaryRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    metadataOf(caller),
    // gRPC sends the deadline along and counts it by the real clock.
    { deadline: new Date(Date.now() + Math.min(timeoutMs, DEADLINE_MS)) },
    (error: ServiceError | null, response?: unknown) => {
      if (error === null) resolve(response);
      else reject(fromStatus(error));
    },
  );
  const abort = (): void => call.cancel();
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted === true) abort();
  try {
    return await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

async function* stream(
  client: Client | undefined,
  method: Method,
  caller: Caller,
  request: unknown,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, undefined> {
  const { path, requestSerialize, responseDeserialize } = method;
  const call = reachable(client).makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    metadataOf(caller),
  );
  const abort = (): void => call.cancel();
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    for await (const response of call) yield response;
  } catch (error) {
    if (signal.aborted) return;
    throw error instanceof Error ? fromStatus(error) : error;
  } finally {
    signal.removeEventListener("abort", abort);
    call.cancel();
  }
}

function reachable(client: Client | undefined): Client {
  if (client !== undefined) return client;
  throw new TrunklineError(ErrorCode.UNAVAILABLE, "there is no server to ask", { retryAfterMs: RETRY_AFTER_MS });
}

function metadataOf(caller: Caller): Metadata {
  const metadata = new Metadata();
  if (caller instanceof Bearer) metadata.set("authorization", `Bearer ${caller.token}`);
  return metadata;
}
