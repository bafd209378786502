// One node that a bridge may link to: whether it takes links, as it says itself, and the calls that are made to it.

import { create } from "@bufbuild/protobuf";
import { Client, type ClientReadableStream } from "@grpc/grpc-js";
import {
  Health,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../src/gen/grpc/health/v1/health_pb.js";
import { LinkService } from "../../src/gen/trunkline/v1/link_pb.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import { serviceDefinition } from "../../src/rpc/definition.js";
import { type ClientTls, clientCredentials } from "../../src/rpc/tls.js";
import { type Pause, pauseBefore } from "./pause.js";
import { type Bringing, Weighing, type Weight } from "./weighing.js";

/** Longest answer of a call, in bytes. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const KEEPALIVE_MS = 5_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;
/** Between two tries to ask after its health, in milliseconds. */
const WATCH_PAUSE: Pause = { firstMs: 100, mostMs: 2_000 };

const UNANSWERED = "has not answered yet";
const UNREACHED = "cannot be reached";

export interface BackboneOptions {
  /** `host:port` */
  readonly address: string;
  readonly tls: ClientTls | undefined;
  /** What bridges show. */
  readonly secret: () => string;
  readonly clock: Clock;
  /** At least 0, less than 1. */
  readonly random: () => number;
  /** Whether it takes links has changed, or why not, or what it has to carry. */
  readonly onChanged: () => void;
  /** It cannot be asked any more, for this cause. */
  readonly onFailed: (cause: unknown) => void;
}

export class Backbone {
  readonly address: string;
  /** For calls. */
  readonly client: Client;
  readonly #options: BackboneOptions;
  #watch: ClientReadableStream<HealthCheckResponse> | undefined;
  #again: Timer | undefined;
  #tries = 0;
  #closed = false;
  #trouble: string | undefined = UNANSWERED;
  readonly #weighing: Weighing;

  constructor(options: BackboneOptions) {
    const { address, tls } = options;
    this.address = address;
    this.#options = options;
    const serverName = typeof tls === "object" ? tls.serverName : undefined;
    this.client = new Client(address, clientCredentials(address, tls), {
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.initial_reconnect_backoff_ms": WATCH_PAUSE.firstMs,
      "grpc.min_reconnect_backoff_ms": WATCH_PAUSE.firstMs,
      "grpc.max_reconnect_backoff_ms": WATCH_PAUSE.mostMs,
      "grpc.max_receive_message_length": MAX_ANSWER_BYTES,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.enable_channelz": 0,
      ...(serverName === undefined
        ? {}
        : { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName }),
    });
    const { client } = this;
    this.#weighing = new Weighing({ ...options, client });
  }

  /** Whether it has yet to say whether it takes links, and what it has to carry. */
  get pending(): boolean {
    return this.#trouble === UNANSWERED || (this.#trouble === undefined && !this.#weighing.answered);
  }

  /** What it has to carry, as it says itself. Undefined: it takes no links, or cannot say. */
  get weight(): Weight | undefined {
    return this.#weighing.weight;
  }

  /** What this bridge would bring, from now on. */
  tell(bringing: Bringing): void {
    this.#weighing.tell(bringing);
  }

  /** Why it takes no links, for anybody to see; undefined: it does. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Begins to ask after its health. */
  start(): void {
    const { path, requestSerialize, responseDeserialize } = serviceDefinition(Health).watch;
    const request = create(HealthCheckRequestSchema, { service: LinkService.typeName });
    const watch = this.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    this.#watch = watch;
    watch.on("data", ({ status }: HealthCheckResponse) => {
      this.#tries = 0;
      this.#turn(troubleOf(status));
    });
    const over = (reason: string): void => {
      if (this.#watch !== watch || this.#closed) return;
      this.#watch = undefined;
      const pauseMs = pauseBefore(this.#tries, WATCH_PAUSE, this.#options.random);
      this.#tries += 1;
      this.#again = this.#options.clock.after(pauseMs, () => this.start());
      this.#turn(reason);
    };
    watch.on("error", (cause: Error) => {
      // Told once, not with every try.
      if (this.#watch === watch && !this.#closed && this.#trouble !== UNREACHED) this.#options.onFailed(cause);
      over(UNREACHED);
    });
    watch.on("end", () => over("has ended the connection"));
  }

  close(): void {
    this.#closed = true;
    this.#again?.cancel();
    this.#watch?.cancel();
    this.#weighing.stop();
    this.client.close();
  }

  #turn(trouble: string | undefined): void {
    if (this.#closed || trouble === this.#trouble) return;
    this.#trouble = trouble;
    if (trouble === undefined) this.#weighing.start();
    else this.#weighing.stop();
    this.#options.onChanged();
  }
}

function troubleOf(status: ServingStatus): string | undefined {
  switch (status) {
    case ServingStatus.SERVING:
      return undefined;
    case ServingStatus.SERVICE_UNKNOWN:
      return "serves no links: it has no link secret";
    default:
      return "is not serving";
  }
}
