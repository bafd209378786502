// What comes to this bridge for sessions of others, and what others pass for its own. The node between them knows who has what.

import { create } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import { Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  type BatchTaker,
  type FrameBatch,
  type PassingPort,
  unknownSession,
} from "../../src/core/cluster/passing-port.js";
import { LinkService } from "../../src/gen/trunkline/v1/link_pb.js";
import { PassRequestSchema } from "../../src/gen/trunkline/v1/passing_pb.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { serviceDefinition } from "../../src/rpc/definition.js";
import { fromStatus } from "../../src/rpc/status.js";

/** How long the node may take, in milliseconds: it waits for another node, and that one for a bridge. Less than a client waits. */
const DEADLINE_MS = 8_000;
const RETRY_AFTER_MS = 1_000;

export interface LinkPassingOptions {
  /** What bridges show. */
  readonly secret: () => string;
  /** The place that new sessions are at. Empty: none is known. */
  readonly place: () => string;
  /** Who is asked; undefined: there is nobody. */
  readonly node: () => Client | undefined;
}

export class LinkPassing implements PassingPort {
  readonly #options: LinkPassingOptions;
  #taker: BatchTaker = () => {
    throw unknownSession();
  };

  constructor(options: LinkPassingOptions) {
    this.#options = options;
  }

  get here(): string {
    return this.#options.place();
  }

  takeWith(taker: BatchTaker): void {
    this.#taker = taker;
  }

  /** A node passes it. Throws as the taker does. */
  async take(batch: FrameBatch): Promise<void> {
    await this.#taker(batch);
  }

  pass(_place: string, batch: FrameBatch): Promise<void> {
    const client = this.#options.node();
    if (client === undefined) return Promise.reject(unavailable("there is no server to ask"));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { path, requestSerialize, responseDeserialize } = serviceDefinition(LinkService).pass;
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      create(PassRequestSchema, batch),
      bridgeMetadata(this.#options.secret()),
      // gRPC sends the deadline along and counts it by the real clock.
      { deadline: new Date(Date.now() + DEADLINE_MS) },
      (error: ServiceError | null) => {
        if (error === null) resolve();
        else reject(passed(fromStatus(error)));
      },
    );
    return promise;
  }
}

/** What a client is told: only what its session says itself is final. */
function passed(error: TrunklineError): TrunklineError {
  switch (error.code) {
    case ErrorCode.NOT_FOUND:
    case ErrorCode.CONFLICT:
    case ErrorCode.TOO_LARGE:
    case ErrorCode.INVALID_ARGUMENT:
    case ErrorCode.UNAVAILABLE:
      return error;
    default:
      return unavailable("the server cannot pass it on", error);
  }
}

function unavailable(message: string, cause?: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: RETRY_AFTER_MS, cause });
}

/** What bridges show. */
export function bridgeMetadata(secret: string): Metadata {
  const metadata = new Metadata();
  metadata.set("authorization", `Bridge ${secret}`);
  return metadata;
}
