// Nodes ask each other over gRPC: one stream from each node to each other that it has something to ask.

import type { Clock } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { PeerQuestion, PeerReply, Peers } from "../../ports/peers.js";
import type { ClusterNode, Placement } from "../../ports/placement.js";
import type { ClientTls } from "../../rpc/tls.js";
import { PeerLink } from "./peer-link.js";

export interface GrpcPeersOptions {
  readonly placement: Pick<Placement, "nodes" | "onChanged">;
  readonly clock: Clock;
  readonly tls: ClientTls | undefined;
  /** What nodes show each other. */
  readonly secret: string;
}

export class GrpcPeers implements Peers {
  readonly #options: GrpcPeersOptions;
  /** By node id: a node that comes back at the same address is another. */
  readonly #links = new Map<string, PeerLink>();
  #stopped = false;

  constructor(options: GrpcPeersOptions) {
    this.#options = options;
    options.placement.onChanged(() => this.#forgetGone());
  }

  ask({ nodeId, address }: ClusterNode, question: PeerQuestion): Promise<PeerReply> {
    if (this.#stopped) return Promise.reject(new TrunklineError(ErrorCode.UNAVAILABLE, "the node is leaving"));
    let link = this.#links.get(nodeId);
    if (link === undefined) {
      link = new PeerLink({ ...this.#options, address });
      this.#links.set(nodeId, link);
    }
    return link.ask(question);
  }

  stop(): void {
    this.#stopped = true;
    for (const link of this.#links.values()) link.close();
  }

  #forgetGone(): void {
    const live = new Set(this.#options.placement.nodes().map(({ nodeId }) => nodeId));
    for (const [nodeId, link] of this.#links) {
      if (live.has(nodeId)) continue;
      this.#links.delete(nodeId);
      link.close();
    }
  }
}
