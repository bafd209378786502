// A typed client of DeliveryService: tries again under the same key, and tails that go on by themselves.

import { randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Client, type ClientReadableStream, type ClientUnaryCall, Metadata, type ServiceError } from "@grpc/grpc-js";
import * as rpc from "../gen/trunkline/v1/delivery_pb.js";
import { ErrorCode, TrunklineError } from "../ports/error.js";
import { type RpcMethod, serviceDefinition } from "../rpc/definition.js";
import { fromStatus } from "../rpc/status.js";
import { clientCredentials } from "../rpc/tls.js";
import { pause } from "./backoff.js";
import type { ServiceClientOptions, TailOptions } from "./options.js";

const DEFAULT_DEADLINE_MS = 10_000;
const DEFAULT_ATTEMPTS = 5;
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

/** What metadata can carry of what the server takes for a token. */
const TOKEN = /^[\x21-\x7e]+$/;

type Init<S extends Parameters<typeof create>[0]> = Exclude<MessageInitShape<S>, { $typeName: string }>;

/** The request of a change. Without a `key` the client makes one, which holds for all tries of this call. */
export type Change<S extends Parameters<typeof create>[0]> = Omit<Init<S>, "attempt" | "$typeName" | "$unknown">;

/** Every method rejects with a TrunklineError. */
export interface ServiceClient {
  sendToRoom(request: Change<typeof rpc.SendToRoomRequestSchema>): Promise<rpc.SendToRoomResponse>;
  /** One result per user. Send again, under the same key, to those whose `errorReason` may pass. */
  sendToUsers(request: Change<typeof rpc.SendToUsersRequestSchema>): Promise<rpc.SendToUsersResponse>;
  /** Ephemeral, and therefore tried once. */
  signal(request: Init<typeof rpc.SignalRequestSchema>): Promise<void>;
  editMessage(request: Change<typeof rpc.EditMessageRequestSchema>): Promise<rpc.EditMessageResponse>;
  deleteMessage(request: Change<typeof rpc.DeleteMessageRequestSchema>): Promise<rpc.DeleteMessageResponse>;
  getDeliveryStatus(request: Init<typeof rpc.GetDeliveryStatusRequestSchema>): Promise<rpc.GetDeliveryStatusResponse>;
  /**
   * The tenant's events. Goes on by itself from the last response that was taken, after whatever may pass; ends with what will not.
   * Keep `cursor` once a response has been dealt with, and begin with it after a restart: at least once, in each room's order.
   */
  tail(options?: TailOptions): AsyncGenerator<rpc.TailResponse, void, undefined>;
  /** Ends its connection. Calls under way, and later ones, reject with UNAVAILABLE; tails end. */
  close(): void;
}

/** Connects when it is first used. */
export function createServiceClient(options: ServiceClientOptions): ServiceClient {
  const { address, tls, deadlineMs = DEFAULT_DEADLINE_MS, attempts = DEFAULT_ATTEMPTS } = options;
  const methods = serviceDefinition(rpc.DeliveryService);
  const serverName = typeof tls === "object" ? tls.serverName : undefined;
  const client = new Client(address, clientCredentials(address, tls), {
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.enable_channelz": 0,
    "grpc.use_local_subchannel_pool": 1,
    ...(serverName === undefined
      ? {}
      : { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName }),
  });

  // The channel lets go of its connection when it is closed, not of the calls that use it.
  const underWay = new Set<ClientUnaryCall>();
  const ending = new AbortController();
  const closed = () => new TrunklineError(ErrorCode.UNAVAILABLE, "the client is closed");

  const authorization = async (): Promise<Metadata> => {
    const token = typeof options.token === "string" ? options.token : await options.token();
    if (ending.signal.aborted) throw closed();
    // Said here because the library's own words quote the token.
    if (!TOKEN.test(token)) {
      throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "the token is empty, or holds a character that no token has");
    }
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    return metadata;
  };

  /** Whether another try may fare better. */
  const passes = (error: TrunklineError): boolean =>
    !ending.signal.aborted &&
    (error.retryable || (error.code === ErrorCode.TOKEN_EXPIRED && typeof options.token === "function"));

  const once = async <I, O>(method: RpcMethod<I, O>, request: I): Promise<O> => {
    const metadata = await authorization();
    const { promise, resolve, reject } = Promise.withResolvers<O>();
    const { path, requestSerialize, responseDeserialize } = method;
    const answered = (error: ServiceError | null, response?: O) => {
      underWay.delete(call);
      if (error !== null) reject(ending.signal.aborted ? closed() : fromStatus(error));
      else if (response === undefined) reject(new TrunklineError(ErrorCode.INTERNAL, "no answer came"));
      else resolve(response);
    };
    const deadline = new Date(Date.now() + deadlineMs);
    const call: ClientUnaryCall = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      answered,
    );
    underWay.add(call);
    return await promise;
  };

  const retried = async <O>(call: (attempt: number) => Promise<O>): Promise<O> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await call(attempt);
      } catch (cause) {
        const error = TrunklineError.from(cause);
        if (attempt >= attempts || !passes(error)) throw error;
        await pause(attempt, error, ending.signal).catch(() => {});
      }
    }
  };

  const keyed = <T extends { key?: string }>(request: T): T & { key: string } => ({
    ...request,
    key: request.key === undefined || request.key === "" ? randomUUID() : request.key,
  });

  return {
    sendToRoom: (request) => {
      const change = keyed(request);
      return retried((attempt) =>
        once(methods.sendToRoom, create(rpc.SendToRoomRequestSchema, { ...change, attempt })),
      );
    },
    sendToUsers: (request) => {
      const change = keyed(request);
      return retried((attempt) =>
        once(methods.sendToUsers, create(rpc.SendToUsersRequestSchema, { ...change, attempt })),
      );
    },
    signal: async (request) => {
      await once(methods.signal, create(rpc.SignalRequestSchema, request));
    },
    editMessage: (request) => {
      const change = keyed(request);
      return retried((attempt) =>
        once(methods.editMessage, create(rpc.EditMessageRequestSchema, { ...change, attempt })),
      );
    },
    deleteMessage: (request) => {
      const change = keyed(request);
      return retried((attempt) =>
        once(methods.deleteMessage, create(rpc.DeleteMessageRequestSchema, { ...change, attempt })),
      );
    },
    getDeliveryStatus: (request) =>
      retried(() => once(methods.getDeliveryStatus, create(rpc.GetDeliveryStatusRequestSchema, request))),
    tail: async function* ({ cursor = "", roomIds = [], signal } = {}) {
      const { path, requestSerialize, responseDeserialize } = methods.tail;
      let failures = 0;
      const end = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]);
      const over = () => end.aborted;
      while (!over()) {
        let stream: ClientReadableStream<rpc.TailResponse> | undefined;
        const cancel = () => stream?.cancel();
        end.addEventListener("abort", cancel);
        try {
          const request = create(rpc.TailRequestSchema, { cursor, roomIds: [...roomIds] });
          const metadata = await authorization();
          if (over()) return;
          stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata);
          for await (const response of responsesOf(stream)) {
            failures = 0;
            cursor = response.cursor;
            yield response;
          }
          // A tail has no end of its own: whoever ended it is not asked again at once.
          throw new TrunklineError(ErrorCode.UNAVAILABLE, "the tail has ended");
        } catch (cause) {
          if (over()) return;
          const error = isServiceError(cause) ? fromStatus(cause) : TrunklineError.from(cause);
          if (!passes(error)) throw error;
          failures++;
          await pause(failures, error, end).catch(() => {});
        } finally {
          end.removeEventListener("abort", cancel);
          stream?.cancel();
        }
      }
    },
    close: () => {
      ending.abort();
      for (const call of underWay) call.cancel();
      client.close();
    },
  };
}

/** Reads no faster than it is asked: what is not asked for waits at the server. */
async function* responsesOf(
  stream: ClientReadableStream<rpc.TailResponse>,
): AsyncGenerator<rpc.TailResponse, void, undefined> {
  const responses: AsyncIterable<rpc.TailResponse> = stream;
  yield* responses;
}

function isServiceError(cause: unknown): cause is ServiceError {
  return cause instanceof Error && "code" in cause && "metadata" in cause;
}
