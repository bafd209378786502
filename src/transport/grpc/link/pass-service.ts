// LinkService's Pass and Take: requests of the fallback on their way from the bridge that they came to, to the one that has their session.

import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { NodePassing } from "../../../core/cluster/passing-port.js";
import { parseSessionKey } from "../../../core/cluster/session-key.js";
import type { PassRequest } from "../../../gen/trunkline/v1/passing_pb.js";
import { ErrorCode, TrunklineError } from "../../../ports/error.js";
import { type HandlerContext, refusal, unary } from "../handler.js";
import type { SharedSecrets } from "../secret.js";
import { type TakeCall, TakeStream } from "./take-stream.js";

const PASS = "LinkService.pass";
const TAKE = "LinkService.take";
/** Bridges at once, and those that are being replaced. */
const MAX_TAKERS = 1_000;

export interface PassServing {
  readonly implementation: UntypedServiceImplementation;
  /** Ends the streams. */
  close(): void;
}

/** `secrets`: what bridges must show. */
export function passService(secrets: SharedSecrets, passing: NodePassing, context: HandlerContext): PassServing {
  const takers = new Set<TakeStream>();
  const refuse = (error: unknown) => refusal(context, TAKE, error);

  const pass = unary(context, PASS, async (batch: PassRequest, { metadata }) => {
    if (!secrets.isShownIn(metadata)) {
      throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "only bridges may pass");
    }
    const { place } = parseSessionKey(batch.sessionKey);
    await passing.pass(place, batch);
    return {};
  });

  const take = (call: TakeCall): void => {
    if (!secrets.isShownIn(call.metadata)) {
      call.emit("error", refuse(new TrunklineError(ErrorCode.UNAUTHENTICATED, "only bridges may take")));
      return;
    }
    if (takers.size >= MAX_TAKERS) {
      call.emit(
        "error",
        refuse(new TrunklineError(ErrorCode.LIMIT_EXCEEDED, `there are ${MAX_TAKERS} bridges already`)),
      );
      return;
    }
    const stream: TakeStream = new TakeStream(call, { ...context, passing, refuse }, () => takers.delete(stream));
    takers.add(stream);
  };

  return {
    implementation: { pass, take },
    close() {
      for (const stream of takers) stream.close();
    },
  };
}
