// Services of the contract over HTTP/1.1: Connect, gRPC-Web and plain JSON.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { DescService } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createConnectRouter,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import type { Core } from "../../src/core/core.js";
import type { Caller } from "../../src/core/room/calls.js";
import { callsOf, isStream, type ServiceCalls } from "../../src/core/service-calls.js";
import type { Telemetry } from "../../src/core/telemetry.js";
import type { Clock } from "../../src/ports/clock.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { connectErrorOf } from "./connect-error.js";
import { serveHandlers } from "./handlers.js";

/** The longest a unary call may take, also one that states no deadline, in milliseconds. */
const CALL_DEADLINE_MS = 30_000;

export interface CallDependencies {
  readonly core: Pick<Core, "authenticate">;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
}

export interface CallRoute {
  /** Requests below this path are the service's. */
  readonly path: string;
  readonly serve: (request: IncomingMessage, response: ServerResponse) => void;
}

/** A service, whose requests are at most so many bytes long. */
export function callRoute<S extends DescService>(
  service: S,
  calls: ServiceCalls<S>,
  maxBytes: number,
  dependencies: CallDependencies,
): CallRoute {
  const router = createConnectRouter({
    // gRPC proper needs HTTP/2 trailers and has a port of its own.
    grpc: false,
    readMaxBytes: maxBytes,
    maxTimeoutMs: CALL_DEADLINE_MS,
    acceptCompression: [],
    // What the contract does not know would be stored and sent on within a body, past every limit.
    binaryOptions: { readUnknownFields: false },
  });
  register(router, service, calls, dependencies);
  return { path: `/${service.typeName}/`, serve: serveHandlers(router, dependencies.telemetry) };
}

function register<S extends DescService>(
  router: ConnectRouter,
  service: S,
  calls: ServiceCalls<S>,
  dependencies: CallDependencies,
): void {
  const { core } = dependencies;
  const methods: Record<string, unknown> = {};
  for (const { name, streams, answer } of callsOf(service, calls)) {
    const operation = `${service.name}.${name}`;
    if (streams) {
      methods[name] = async function* (request: unknown, context: HandlerContext) {
        try {
          const responses = answer(await authenticate(core, context), request, context.signal);
          if (isStream(responses)) yield* responses;
        } catch (cause) {
          throw refused(operation, cause, dependencies);
        }
      };
    } else {
      methods[name] = async (request: unknown, context: HandlerContext) => {
        const call = async (over: AbortSignal) => {
          const caller = await authenticate(core, context);
          // Verifying may have taken as long as the caller was willing to wait: then nothing must happen any more.
          over.throwIfAborted();
          return answer(caller, request, over, context.timeoutMs());
        };
        return await inTime(operation, call, context, dependencies);
      };
    }
  }
  // Each method is there by its name; what it takes and gives is of its own schemas, which the compiler cannot see of any service.
  router.service(service, methods as Partial<ServiceImpl<S>>);
}

async function inTime(
  operation: string,
  call: (over: AbortSignal) => Promise<unknown>,
  { signal }: HandlerContext,
  dependencies: CallDependencies,
): Promise<unknown> {
  const ended = Promise.withResolvers<never>();
  const over = new AbortController();
  const end = (reason: Error) => {
    over.abort(reason);
    ended.reject(reason);
  };
  const timer = dependencies.clock.after(CALL_DEADLINE_MS, () =>
    end(new TrunklineError(ErrorCode.DEADLINE, "the call took too long")),
  );
  // The client has gone, or its own deadline has passed. A call that has begun goes on: it may have been stored already.
  const abort = () => {
    const reason: unknown = signal.reason;
    const isLate = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
    end(isLate ? reason : new ConnectError("the call was given up", Code.Canceled));
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([call(over.signal), ended.promise]);
  } catch (cause) {
    throw refused(operation, cause, dependencies);
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", abort);
  }
}

function refused(operation: string, cause: unknown, { telemetry }: CallDependencies): ConnectError {
  if (cause instanceof ConnectError) return cause;
  const error = TrunklineError.from(cause);
  if (error.code === ErrorCode.INTERNAL || error.code === ErrorCode.UNAVAILABLE) {
    const { code, message } = error;
    telemetry.emit("request.refused", { operation, code, message, cause: error.cause });
  }
  return connectErrorOf(error);
}

async function authenticate(core: CallDependencies["core"], { requestHeader }: HandlerContext): Promise<Caller> {
  const token = /^Bearer +(\S+)$/i.exec(requestHeader.get("authorization") ?? "")?.[1];
  if (token !== undefined) return await core.authenticate(token);
  throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "the header `authorization: Bearer <token>` is missing");
}
