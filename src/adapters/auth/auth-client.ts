// The connection to the auth service: one gRPC channel, replaceable when it turns out to be dead.

import { create } from "@bufbuild/protobuf";
import {
  type ChannelCredentials,
  Client,
  type ClientReadableStream,
  connectivityState,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  AuthService,
  ValidateTokenRequestSchema,
  type ValidateTokenResponse,
  WatchRevocationsRequestSchema,
  type WatchRevocationsResponse,
} from "../../gen/trunkline/v1/auth_pb.js";
import { serviceDefinition } from "../../rpc/definition.js";
import { type ClientTls, clientCredentials } from "../../rpc/tls.js";

/** The longest answer, in bytes: an identity and its attributes. */
const MAX_ANSWER_BYTES = 256 * 1024;
/** Between attempts to connect, in milliseconds, growing from the first to the second. */
const RECONNECT_MS = { first: 100, max: 5_000 };
/** How long a ping may stay unanswered, in milliseconds. */
const KEEPALIVE_TIMEOUT_MS = 10_000;

export interface AuthClientOptions {
  readonly address: string;
  readonly tls?: ClientTls | undefined;
  readonly keepaliveMs: number;
}

/** A call that can be given up. */
export interface ValidateCall {
  /** Rejects with grpc-js's ServiceError. */
  readonly answer: Promise<ValidateTokenResponse>;
  cancel(): void;
}

export class AuthClient {
  readonly #options: AuthClientOptions;
  readonly #credentials: ChannelCredentials;
  readonly #definition = serviceDefinition(AuthService);
  #client: Client;

  constructor(options: AuthClientOptions) {
    this.#options = options;
    this.#credentials = clientCredentials(options.address, options.tls);
    this.#client = this.#connect();
  }

  /** False while connecting and while the last attempt to connect has failed. */
  get reachable(): boolean {
    const state = this.#client.getChannel().getConnectivityState(false);
    return state === connectivityState.READY || state === connectivityState.IDLE;
  }

  validate(token: string, deadlineMs: number): ValidateCall {
    const method = this.#definition.validateToken;
    const { promise, resolve, reject } = Promise.withResolvers<ValidateTokenResponse>();
    const call = this.#client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      create(ValidateTokenRequestSchema, { token }),
      // gRPC sends the deadline along and counts it by the real clock.
      { deadline: new Date(Date.now() + deadlineMs) },
      (error: ServiceError | null, answer?: ValidateTokenResponse) => {
        if (error !== null) reject(error);
        else if (answer === undefined) reject(new Error("no answer"));
        else resolve(answer);
      },
    );
    return { answer: promise, cancel: () => call.cancel() };
  }

  watch(cursor: string): ClientReadableStream<WatchRevocationsResponse> {
    const method = this.#definition.watchRevocations;
    return this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      create(WatchRevocationsRequestSchema, { cursor }),
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
    const { tls, address, keepaliveMs } = this.#options;
    const serverName = typeof tls === "object" ? tls.serverName : undefined;
    return new Client(address, this.#credentials, {
      "grpc.max_receive_message_length": MAX_ANSWER_BYTES,
      "grpc.initial_reconnect_backoff_ms": RECONNECT_MS.first,
      "grpc.min_reconnect_backoff_ms": RECONNECT_MS.first,
      "grpc.max_reconnect_backoff_ms": RECONNECT_MS.max,
      "grpc.keepalive_time_ms": keepaliveMs,
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
