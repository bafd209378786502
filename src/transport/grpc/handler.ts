// Every handler is wrapped here once: grpc-js catches only what is thrown synchronously, so an async handler that rejects would
// leave its call open for ever.

import type { handleUnaryCall, Metadata, ServerUnaryCall, StatusObject, sendUnaryData } from "@grpc/grpc-js";
import type { Telemetry } from "../../core/telemetry.js";
import type { Clock } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { Undecodable } from "../../rpc/definition.js";
import { toStatus } from "../../rpc/status.js";

/** How long a unary call may take if the caller sets no deadline, in milliseconds. */
const UNARY_DEADLINE_MS = 30_000;

/** Longest token that is looked at, in bytes. JWTs with many claims stay far below. */
const MAX_TOKEN_LENGTH = 16 * 1_024;

export interface HandlerContext {
  readonly telemetry: Telemetry;
  readonly clock: Clock;
}

/** What a unary handler knows beside the request. */
export interface UnaryCall {
  readonly metadata: Metadata;
  /** What is known of the connection: the certificate it was made with. */
  getAuthContext(): ReturnType<ServerUnaryCall<unknown, unknown>["getAuthContext"]>;
  /** Throws once nobody waits for the answer any more: called before something is done that cannot be undone. */
  throwIfOver(): void;
}

/** A unary method from an async function that rejects with a TrunklineError. */
export function unary<I, O>(
  context: HandlerContext,
  operation: string,
  handle: (request: I, call: UnaryCall) => Promise<O>,
): handleUnaryCall<I | Undecodable, O> {
  return (call, callback) => {
    let over = false;
    const settle = (respond: () => void) => {
      if (over) return;
      over = true;
      timer.cancel();
      // After a cancel, or grpc-js's own answer at the deadline, there is nobody to tell.
      if (!call.cancelled) respond();
    };
    const fail = (error: unknown) => settle(() => answerError(context, operation, error, callback));
    const late = () => new TrunklineError(ErrorCode.DEADLINE, `${operation} did not finish in time`);
    const timer = context.clock.after(UNARY_DEADLINE_MS, () => fail(late()));
    const throwIfOver = () => {
      if (over || call.cancelled) throw late();
    };
    call.on("cancelled", () => settle(() => {}));

    if (call.request instanceof Undecodable) return fail(undecodable(call.request));
    // The chain also catches what `handle` throws before its first await.
    Promise.resolve(call.request)
      .then((request) =>
        handle(request, { metadata: call.metadata, getAuthContext: () => call.getAuthContext(), throwIfOver }),
      )
      .then((response) => settle(() => callback(null, response)))
      .catch(fail);
  };
}

/** Reports a refusal and makes the status that tells the peer: its code and message, never its cause. */
export function refusal(context: HandlerContext, operation: string, error: unknown): StatusObject {
  const refused = TrunklineError.from(error);
  const { code, message, cause } = refused;
  context.telemetry.emit("request.refused", { operation, code, message, ...(cause === undefined ? {} : { cause }) });
  if (code === ErrorCode.INTERNAL) context.telemetry.emit("fault", { where: operation, cause: cause ?? refused });
  return toStatus(refused);
}

/** The token of `authorization: Bearer …`. Undefined: none was sent. */
export function bearerToken(metadata: Metadata): string | undefined {
  const value = metadata.get("authorization")[0];
  if (typeof value !== "string" || value.length > MAX_TOKEN_LENGTH) return undefined;
  return /^bearer +(\S+)$/i.exec(value)?.[1];
}

/** Why a request could not be decoded, for the peer. */
export function undecodable({ cause }: Undecodable): TrunklineError {
  if (cause instanceof TrunklineError) return cause;
  return new TrunklineError(ErrorCode.INVALID_ARGUMENT, "the request is not valid protobuf of this method", { cause });
}

function answerError<O>(context: HandlerContext, operation: string, error: unknown, callback: sendUnaryData<O>): void {
  const { code, details, metadata } = refusal(context, operation, error);
  callback({ code, details, metadata });
}
