// PeerService: what other nodes of the cluster ask this one.

import { createHash, timingSafeEqual } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { Metadata, ServerDuplexStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import { wireError } from "../../core/session/frames.js";
import {
  type PeerAnswer,
  PeerAnswerSchema,
  type PeerRequest,
  PeerService,
} from "../../gen/trunkline/cluster/v1/peer_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { PeerHandler } from "../../ports/peers.js";
import { serviceDefinition, Undecodable } from "../../rpc/definition.js";
import { type HandlerContext, refusal, undecodable } from "./handler.js";

const OPERATION = "PeerService.connect";
/** Answers that wait for a node to read them; beyond, its questions wait. */
const MAX_UNREAD = 1_024;

export interface PeerServing {
  readonly implementation: UntypedServiceImplementation;
  /** Ends the streams. What was asked is still done; its answer is not heard. */
  close(): void;
}

type PeerCall = ServerDuplexStream<PeerRequest | Undecodable, PeerAnswer>;

export const peerDefinition = serviceDefinition(PeerService);

/** `secret`: what callers must show as `authorization: Peer <secret>`. */
export function peerService(handler: PeerHandler, secret: string, context: HandlerContext): PeerServing {
  const calls = new Set<PeerCall>();

  const answer = async (call: PeerCall, request: PeerRequest | Undecodable): Promise<void> => {
    if (request instanceof Undecodable) throw undecodable(request);
    const { id } = request;
    let message: PeerAnswer;
    try {
      message = create(PeerAnswerSchema, { id, answer: await handler(request.request) });
    } catch (error) {
      const refused = TrunklineError.from(error);
      if (refused.code === ErrorCode.INTERNAL) context.telemetry.emit("fault", { where: OPERATION, cause: error });
      message = create(PeerAnswerSchema, { id, answer: { case: "refusal", value: wireError(refused) } });
    }
    if (!calls.has(call)) return;
    call.write(message);
    if (call.writableLength > MAX_UNREAD && !call.isPaused()) {
      call.pause();
      call.once("drain", () => call.resume());
    }
  };

  const connect = (call: PeerCall): void => {
    const end = (error: unknown): void => {
      if (calls.delete(call)) call.emit("error", refusal(context, OPERATION, error));
    };
    if (!shows(call.metadata, secret)) {
      const refused = new TrunklineError(ErrorCode.UNAUTHENTICATED, "only nodes of the cluster may ask");
      call.emit("error", refusal(context, OPERATION, refused));
      return;
    }
    calls.add(call);
    const gone = (): void => {
      calls.delete(call);
    };
    call.once("cancelled", gone).once("error", gone).once("close", gone);
    call.on("data", (request: PeerRequest | Undecodable) => {
      answer(call, request).catch(end);
    });
    call.on("end", () => {
      gone();
      call.end();
    });
  };

  return {
    implementation: { connect },
    close() {
      for (const call of calls) {
        calls.delete(call);
        call.end();
      }
    },
  };
}

/** Compared as digests: neither length nor contents can be told from the time it takes. */
function shows(metadata: Metadata, secret: string): boolean {
  const value = metadata.get("authorization")[0];
  if (typeof value !== "string") return false;
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(value), digest(`Peer ${secret}`));
}
