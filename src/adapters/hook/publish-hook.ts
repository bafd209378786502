// Asks the application's PublishHookService over gRPC.

import { create } from "@bufbuild/protobuf";
import {
  type BeforePublishRequest,
  BeforePublishRequestSchema,
  type BeforePublishResponse,
  PublishHookService,
  type Refuse,
} from "../../gen/trunkline/v1/hook_pb.js";
import type { Clock } from "../../ports/clock.js";
import type { Publication, PublishHook, PublishVerdict } from "../../ports/publish-hook.js";
import { serviceDefinition } from "../../rpc/definition.js";
import type { ClientTls } from "../../rpc/tls.js";
import { isId, shorten } from "../auth/identity.js";
import { OutsideService } from "../outside/outside-service.js";

/** How long an answer is waited for, in milliseconds. */
export const DEFAULT_HOOK_TIMEOUT_MS = 500;
/** Questions without an answer yet; more would only queue up inside the service. */
const MAX_IN_FLIGHT = 1_024;
/** The longest answer, in bytes: a message that no server's limits would allow, to be refused as such. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** The longest reason, in bytes of UTF-8. */
const MAX_REASON_BYTES = 256;

const { beforePublish } = serviceDefinition(PublishHookService);

export interface HookClientOptions {
  /** host:port, or any gRPC target. */
  readonly address: string;
  readonly tls?: ClientTls | undefined;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. Default: Math.random. */
  readonly random?: () => number;
  /** Deadline of one question, in milliseconds. Default 500. */
  readonly timeoutMs?: number;
  /** Questions without an answer at once. Default 1,024; beyond it UNAVAILABLE. */
  readonly maxInFlight?: number;
  /** It has failed several times in a row, and is not asked for a while, or is back (undefined). Must not throw. */
  readonly onTurn?: (away: { readonly cause: unknown } | undefined) => void;
}

/** A hook in another process. */
export interface PublishHookClient extends PublishHook {
  /** Gives up what has no answer yet, and ends the connection. */
  close(): void;
}

/** Connects with the first question. */
export function createPublishHook(options: HookClientOptions): PublishHookClient {
  const service = new OutsideService({
    ...options,
    timeoutMs: options.timeoutMs ?? DEFAULT_HOOK_TIMEOUT_MS,
    maxInFlight: options.maxInFlight ?? MAX_IN_FLIGHT,
    maxAnswerBytes: MAX_ANSWER_BYTES,
    refusals: {
      away: "the publish hook cannot be reached",
      failed: "the publish hook did not answer",
      busy: "too many messages wait for the publish hook",
    },
    onTurn: options.onTurn ?? (() => {}),
  });
  return {
    beforePublish: async (publication) => verdictOf(await service.ask(beforePublish, requestOf(publication))),
    close: () => service.close(),
  };
}

function requestOf(publication: Publication): BeforePublishRequest {
  const { tenantId, roomId, roomKind, sender, key, message, editedMessageId } = publication;
  return create(BeforePublishRequestSchema, { tenantId, roomId, roomKind, sender, key, message, editedMessageId });
}

function verdictOf({ decision }: BeforePublishResponse): PublishVerdict {
  switch (decision.case) {
    case "replace":
      return { decision: "change", body: decision.value, mentions: undefined, metadata: undefined };
    case "change": {
      const { body, mentions, metadata } = decision.value;
      return { decision: "change", body, mentions: mentions?.mentions, metadata };
    }
    case "refuse":
      return refusalOf(decision.value);
    case "allow":
    case undefined:
      return { decision: "allow" };
  }
}

function refusalOf({ reason, code }: Refuse): PublishVerdict {
  return { decision: "refuse", reason: shorten(reason, MAX_REASON_BYTES), code: isId(code) ? code : "" };
}
