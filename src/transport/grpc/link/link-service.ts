// LinkService: what bridges in processes of their own carry their clients' sessions over.

import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { type LinkDown, LinkService, type LinkUp } from "../../../gen/trunkline/v1/link_pb.js";
import { ErrorCode, TrunklineError } from "../../../ports/error.js";
import { type RpcMethod, serviceDefinition } from "../../../rpc/definition.js";
import { refusal } from "../handler.js";
import type { SharedSecrets } from "../secret.js";
import { type LinkCall, type LinkContext, LinkStream } from "./link-stream.js";

const OPERATION = "LinkService.link";
/** Links at once: bridges, and those that are being replaced. */
const MAX_LINKS = 1_000;

export interface LinkServing {
  readonly implementation: UntypedServiceImplementation;
  /** Links that are open. */
  readonly open: number;
  /** Sessions on them. */
  readonly sessions: number;
  /** Ends the links. Sessions should have been drained before. */
  close(): void;
}

export const linkDefinition: { readonly link: RpcMethod<LinkUp, LinkDown> } = serviceDefinition(LinkService);

/** `secrets`: what bridges must show. */
export function linkService(secrets: SharedSecrets, context: Omit<LinkContext, "refuse">): LinkServing {
  const links = new Set<LinkStream>();
  const refuse = (error: unknown) => refusal(context, OPERATION, error);

  const link = (call: LinkCall): void => {
    if (!secrets.isShownIn(call.metadata)) {
      call.emit("error", refuse(new TrunklineError(ErrorCode.UNAUTHENTICATED, "only bridges may link")));
      return;
    }
    if (links.size >= MAX_LINKS) {
      const error = new TrunklineError(ErrorCode.LIMIT_EXCEEDED, `there are ${MAX_LINKS} links already`);
      call.emit("error", refuse(error));
      return;
    }
    const stream = new LinkStream(call, { ...context, refuse }, () => links.delete(stream));
    links.add(stream);
  };

  return {
    implementation: { link },
    get open() {
      return links.size;
    },
    get sessions() {
      let sessions = 0;
      for (const { size } of links) sessions += size;
      return sessions;
    },
    close() {
      for (const stream of links) stream.close();
    },
  };
}
