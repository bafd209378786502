// Asks the application's AccessHookService over gRPC.

import { create } from "@bufbuild/protobuf";
import { AccessHookService, AuthorizeRequestSchema } from "../../gen/trunkline/v1/hook_pb.js";
import { Role } from "../../gen/trunkline/v1/message_pb.js";
import type { AccessHook } from "../../ports/access-hook.js";
import { serviceDefinition } from "../../rpc/definition.js";
import { OutsideService } from "../outside/outside-service.js";
import { DEFAULT_HOOK_TIMEOUT_MS, type HookClientOptions } from "./publish-hook.js";

/** Questions without an answer yet; more would only queue up inside the service. */
const MAX_IN_FLIGHT = 1_024;
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
  const service = new OutsideService({
    ...options,
    timeoutMs: options.timeoutMs ?? DEFAULT_HOOK_TIMEOUT_MS,
    maxInFlight: options.maxInFlight ?? MAX_IN_FLIGHT,
    maxAnswerBytes: MAX_ANSWER_BYTES,
    refusals: {
      away: "the access hook cannot be reached",
      failed: "the access hook did not answer",
      busy: "too many questions wait for the access hook",
    },
    onTurn: options.onTurn ?? (() => {}),
  });
  return {
    authorize: async (question) => {
      const { allowed, ttlMs, role } = await service.ask(authorize, create(AuthorizeRequestSchema, question));
      // A role of a newer contract gives nothing.
      return { allowed, ttlMs, role: Role[role] === undefined ? Role.UNSPECIFIED : role };
    },
    close: () => service.close(),
  };
}
