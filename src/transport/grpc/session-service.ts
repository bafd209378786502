// SessionService over gRPC: each stream is one connection of the session port.

import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { SessionPort } from "../../core/session/port.js";
import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { type ClientFrame, type ServerFrame, SessionService } from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type RpcMethod, serviceDefinition } from "../../rpc/definition.js";
import { closeStatus, toStatus } from "../../rpc/status.js";
import { decodeFrame } from "./frame-decoder.js";
import { bearerToken, type HandlerContext, refusal } from "./handler.js";
import { type SessionCall, SessionStream } from "./session-stream.js";

const OPERATION = "SessionService.connect";

export interface SessionServing {
  readonly implementation: UntypedServiceImplementation;
  /** Streams that have not ended. */
  readonly open: number;
  /** Ends every stream that its session has not ended itself. */
  close(): void;
}

/** The definition, except that a frame which is too long or broken reaches the handler, so that its session can answer. */
export function sessionDefinition(maxFrameBytes: number) {
  const { connect }: { connect: RpcMethod<ClientFrame, ServerFrame> } = serviceDefinition(SessionService);
  return {
    connect: { ...connect, requestDeserialize: (bytes: Buffer) => decodeFrame(bytes, maxFrameBytes) },
  };
}

export function sessionService(sessions: SessionPort, context: HandlerContext): SessionServing {
  const streams = new Set<SessionStream>();

  const connect = (call: SessionCall): void => {
    const admission = sessions.admit();
    if (!admission.admitted) {
      const reason = "the server takes no more connections now";
      context.telemetry.emit("session.refused", { transport: "grpc", code: CloseCode.OVERLOADED, reason });
      call.emit("error", closeStatus(CloseCode.OVERLOADED, reason, admission.retryAfterMs));
      return;
    }
    const stream = new SessionStream(call, context.clock, () => streams.delete(stream));
    streams.add(stream);
    try {
      const token = bearerToken(call.metadata);
      const origin = { transport: "grpc", address: call.getPeer(), ...(token === undefined ? {} : { token }) } as const;
      stream.start(sessions.accept(stream, origin));
    } catch (error) {
      stream.abandon(refusal(context, OPERATION, error));
    }
  };

  return {
    implementation: { connect },
    get open() {
      return streams.size;
    },
    close() {
      const leaving = new TrunklineError(ErrorCode.UNAVAILABLE, "the server is leaving");
      for (const stream of streams) stream.abandon(toStatus(leaving));
    },
  };
}
