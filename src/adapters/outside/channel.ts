// The connection to a service outside: one gRPC channel, replaceable when it turns out to be dead.

import {
  type ChannelCredentials,
  Client,
  type ClientReadableStream,
  connectivityState,
  type ServiceError,
} from "@grpc/grpc-js";
import type { RpcMethod } from "../../rpc/definition.js";
import { type ClientTls, clientCredentials } from "../../rpc/tls.js";

/** Between attempts to connect, in milliseconds, growing from the first to the second. */
const RECONNECT_MS = { first: 100, max: 5_000 };
/** How long a ping may stay unanswered, in milliseconds. */
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** go-grpc and Java servers close a connection that is pinged more often than every 5 minutes, in milliseconds. */
const DEFAULT_KEEPALIVE_MS = 5 * 60_000;

export interface ChannelOptions {
  /** host:port, or any gRPC target. */
  readonly address: string;
  readonly tls?: ClientTls | undefined;
  /** Between pings on the connection, in milliseconds. Default 300,000: the least that common servers tolerate. */
  readonly keepaliveMs?: number | undefined;
  /** The longest answer, in bytes. */
  readonly maxAnswerBytes: number;
}

/** A call that can be given up. */
export interface UnaryCall<O> {
  /** Rejects with grpc-js's ServiceError. */
  readonly answer: Promise<O>;
  cancel(): void;
}

export class Channel {
  readonly #options: ChannelOptions;
  readonly #credentials: ChannelCredentials;
  #client: Client;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#credentials = clientCredentials(options.address, options.tls);
    this.#client = this.#connect();
  }

  /** False while connecting and while the last attempt to connect has failed. */
  get reachable(): boolean {
    const state = this.#client.getChannel().getConnectivityState(false);
    return state === connectivityState.READY || state === connectivityState.IDLE;
  }

  call<I, O>(method: RpcMethod<I, O>, request: I, deadlineMs: number): UnaryCall<O> {
    const { promise, resolve, reject } = Promise.withResolvers<O>();
    const call = this.#client.makeUnaryRequest<I, O>(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      // gRPC sends the deadline along and counts it by the real clock.
      { deadline: new Date(Date.now() + deadlineMs) },
      (error: ServiceError | null, answer?: O) => {
        if (error !== null) reject(error);
        else if (answer === undefined) reject(new Error("no answer"));
        else resolve(answer);
      },
    );
    return { answer: promise, cancel: () => call.cancel() };
  }

  stream<I, O>(method: RpcMethod<I, O>, request: I): ClientReadableStream<O> {
    return this.#client.makeServerStreamRequest<I, O>(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
    );
  }

  /** A new channel: a connection whose other end has vanished would else swallow calls until TCP gives up. */
  reconnect(): void {
    const old = this.#client;
    this.#client = this.#connect();
    old.close();
  }

  close(): void {
    this.#client.close();
  }

  #connect(): Client {
    const { tls, address, keepaliveMs, maxAnswerBytes } = this.#options;
    const serverName = typeof tls === "object" ? tls.serverName : undefined;
    return new Client(address, this.#credentials, {
      "grpc.max_receive_message_length": maxAnswerBytes,
      "grpc.initial_reconnect_backoff_ms": RECONNECT_MS.first,
      "grpc.min_reconnect_backoff_ms": RECONNECT_MS.first,
      "grpc.max_reconnect_backoff_ms": RECONNECT_MS.max,
      "grpc.keepalive_time_ms": keepaliveMs ?? DEFAULT_KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.service_config_disable_resolution": 1,
      // An inner service: a proxy meant for the way out would break loopback addresses and see tokens.
      "grpc.enable_http_proxy": 0,
      "grpc.enable_channelz": 0,
      // Channels of one process share connections by default: a new channel would get the dead one again.
      "grpc.use_local_subchannel_pool": 1,
      ...(serverName === undefined
        ? {}
        : { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName }),
    });
  }
}
