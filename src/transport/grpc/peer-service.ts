// PeerService: what other nodes of the cluster ask this one.

import { create, toBinary } from "@bufbuild/protobuf";
import type { ServerDuplexStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import { wireError } from "../../core/session/frames.js";
import {
  type PeerAnswer,
  PeerAnswerSchema,
  type PeerAnswers,
  type PeerRequest,
  type PeerRequests,
  PeerService,
} from "../../gen/trunkline/cluster/v1/peer_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { PeerHandler } from "../../ports/peers.js";
import { serviceDefinition, Undecodable } from "../../rpc/definition.js";
import { Gathered } from "../../rpc/gathered.js";
import { type HandlerContext, refusal, undecodable } from "./handler.js";
import { SharedSecrets } from "./secret.js";

const OPERATION = "PeerService.connect";
/** Frames of answers that wait for a node to read them; beyond, its questions wait. */
const MAX_UNREAD = 64;

export interface PeerServing {
  readonly implementation: UntypedServiceImplementation;
  /** Ends the streams. What was asked is still done; its answer is not heard. */
  close(): void;
}

type PeerCall = ServerDuplexStream<PeerRequests | Undecodable, PeerAnswers | Uint8Array>;

export const peerDefinition = serviceDefinition(PeerService);

/** `secret`: what callers must show as `authorization: Peer <secret>`. */
export function peerService(handler: PeerHandler, secret: string, context: HandlerContext): PeerServing {
  const secrets = new SharedSecrets("Peer", secret);
  const calls = new Set<PeerCall>();

  const answer = async (answers: Gathered, { id, request }: PeerRequest): Promise<void> => {
    let message: PeerAnswer;
    try {
      message = create(PeerAnswerSchema, { id, answer: await handler(request) });
    } catch (error) {
      const refused = TrunklineError.from(error);
      if (refused.code === ErrorCode.INTERNAL) context.telemetry.emit("fault", { where: OPERATION, cause: error });
      message = create(PeerAnswerSchema, { id, answer: { case: "refusal", value: wireError(refused) } });
    }
    answers.add(toBinary(PeerAnswerSchema, message));
  };

  const connect = (call: PeerCall): void => {
    if (!secrets.isShownIn(call.metadata)) {
      const refused = new TrunklineError(ErrorCode.UNAUTHENTICATED, "only nodes of the cluster may ask");
      call.emit("error", refusal(context, OPERATION, refused));
      return;
    }
    const answers = new Gathered(context.clock, (frame) => {
      if (!calls.has(call)) return;
      call.write(frame);
      if (call.writableLength > MAX_UNREAD && !call.isPaused()) {
        call.pause();
        call.once("drain", () => call.resume());
      }
    });
    calls.add(call);
    const gone = (): boolean => {
      answers.end();
      return calls.delete(call);
    };
    const fail = (error: unknown): void => {
      if (gone()) call.emit("error", refusal(context, OPERATION, error));
    };
    call.once("cancelled", gone).once("error", gone).once("close", gone);
    call.on("data", (frame: PeerRequests | Undecodable) => {
      if (frame instanceof Undecodable) fail(undecodable(frame));
      else for (const request of frame.requests) answer(answers, request).catch(fail);
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
