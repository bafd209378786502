// Asks the application's PublishHookService over gRPC.

import { create } from "@bufbuild/protobuf";
import {
  type BeforePublishRequest,
  BeforePublishRequestSchema,
  type BeforePublishResponse,
  PublishHookService,
  type Refuse,
} from "../../gen/trunkline/v1/hook_pb.js";
import type { Publication, PublishHook, PublishVerdict } from "../../ports/publish-hook.js";
import { serviceDefinition } from "../../rpc/definition.js";
import { isId, shorten } from "../auth/identity.js";
import { type HookClientOptions, hookService } from "./hook-service.js";

/** The longest answer, in bytes: a message that no server's limits would allow, to be refused as such. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** The longest reason, in bytes of UTF-8. */
const MAX_REASON_BYTES = 256;

const { beforePublish } = serviceDefinition(PublishHookService);

/** A hook in another process. */
export interface PublishHookClient extends PublishHook {
  /** Gives up what has no answer yet, and ends the connection. */
  close(): void;
}

/** Connects with the first question. */
export function createPublishHook(options: HookClientOptions): PublishHookClient {
  const kind = { name: "publish hook", questions: "messages", maxAnswerBytes: MAX_ANSWER_BYTES };
  const service = hookService(options, kind);
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
