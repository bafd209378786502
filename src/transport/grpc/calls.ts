// A service of the core over gRPC: every method by its name, unary or server stream.

import type { DescService } from "@bufbuild/protobuf";
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Core } from "../../core/core.js";
import type { Caller } from "../../core/room/calls.js";
import { callsOf, isStream, type ServiceCalls } from "../../core/service-calls.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { Undecodable } from "../../rpc/definition.js";
import { type CertifiedServices, certifiedCaller } from "./certified.js";
import { bearerToken, type HandlerContext, refusal, type UnaryCall, unary, undecodable } from "./handler.js";
import { pour, type StreamCall } from "./server-stream.js";

export interface CallServing {
  readonly implementation: UntypedServiceImplementation;
  /** Ends the streams that have not ended by themselves. */
  close(): void;
}

export function serveCalls<S extends DescService>(
  service: S,
  calls: ServiceCalls<S>,
  core: Pick<Core, "authenticate">,
  context: HandlerContext,
  certified: CertifiedServices = new Map(),
): CallServing {
  const authenticate = async (call: Pick<UnaryCall, "metadata" | "getAuthContext">): Promise<Caller> => {
    const token = bearerToken(call.metadata);
    if (token !== undefined) return await core.authenticate(token);
    const caller = certifiedCaller(call.getAuthContext(), certified);
    if (caller !== undefined) return caller;
    throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "send the metadata `authorization: Bearer <token>`");
  };
  const implementation: UntypedServiceImplementation = {};
  const streams = new Set<AbortController>();
  for (const method of callsOf(service, calls)) {
    const operation = `${service.name}.${method.name}`;
    if (!method.streams) {
      implementation[method.name] = unary(context, operation, async (request: unknown, call: UnaryCall) => {
        const caller = await authenticate(call);
        // Verifying may have taken as long as the caller was willing to wait: then nothing must happen any more.
        call.throwIfOver();
        return await method.answer(caller, request, NEVER);
      });
      continue;
    }
    async function* responses(call: StreamCall, signal: AbortSignal): AsyncGenerator<unknown, void, undefined> {
      if (call.request instanceof Undecodable) throw undecodable(call.request);
      const caller = await authenticate(call);
      const answer = method.answer(caller, call.request, signal);
      if (isStream(answer)) yield* answer;
    }
    implementation[method.name] = (call: StreamCall) => {
      const abort = new AbortController();
      streams.add(abort);
      const refuse = (error: unknown) => refusal(context, operation, error);
      pour(call, abort, responses(call, abort.signal), refuse).finally(() => streams.delete(abort));
    };
  }
  return {
    implementation,
    close: () => {
      const leaving = new TrunklineError(ErrorCode.UNAVAILABLE, "the server is leaving", { retryAfterMs: 1_000 });
      for (const abort of streams) abort.abort(leaving);
    },
  };
}

/** For what is answered at once. */
const NEVER = new AbortController().signal;
