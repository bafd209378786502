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
  /** A node that is known to live cannot be asked, and why; undefined: it answers again. Told once of each. */
  readonly onTurn?: (node: ClusterNode, away: { readonly cause: unknown } | undefined) => void;
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

  ask(node: ClusterNode, question: PeerQuestion): Promise<PeerReply> {
    if (this.#stopped) return Promise.reject(new TrunklineError(ErrorCode.UNAVAILABLE, "the node is leaving"));
    let link = this.#links.get(node.nodeId);
    if (link === undefined) {
      const { clock, tls, secret, onTurn } = this.#options;
      link = new PeerLink({ clock, tls, secret, address: node.address, onTurn: (away) => onTurn?.(node, away) });
      this.#links.set(node.nodeId, link);
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
