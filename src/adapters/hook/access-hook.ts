// Asks the application's AccessHookService over gRPC.

import { create } from "@bufbuild/protobuf";
import { AccessHookService, AuthorizeRequestSchema } from "../../gen/trunkline/v1/hook_pb.js";
import { Role } from "../../gen/trunkline/v1/message_pb.js";
import type { AccessHook } from "../../ports/access-hook.js";
import { serviceDefinition } from "../../rpc/definition.js";
import { type HookClientOptions, hookService } from "./hook-service.js";

/** The longest answer, in bytes. */
const MAX_ANSWER_BYTES = 4 * 1024;

const { authorize } = serviceDefinition(AccessHookService);

/** A hook in another process. */
export interface AccessHookClient extends AccessHook {
  /** Gives up what has no answer yet, and ends the connection. */
  close(): void;
}

/** Connects with the first question. */
export function createAccessHook(options: HookClientOptions): AccessHookClient {
  const kind = { name: "access hook", questions: "questions", maxAnswerBytes: MAX_ANSWER_BYTES };
  const service = hookService(options, kind);
  return {
    authorize: async (question) => {
      const { allowed, ttlMs, role } = await service.ask(authorize, create(AuthorizeRequestSchema, question));
      // A role of a newer contract gives nothing.
      return { allowed, ttlMs, role: Role[role] === undefined ? Role.UNSPECIFIED : role };
    },
    close: () => service.close(),
  };
}
