// Passes what a client has sent to the node that has its session, as one question to that node.

import { create } from "@bufbuild/protobuf";
import { NotedSchema, type PassFrames, PassFramesSchema } from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { PeerReply, Peers } from "../../ports/peers.js";
import type { ClusterNode, Placement } from "../../ports/placement.js";
import type { CoreDependencies } from "../core.js";
import { type BatchTaker, type FrameBatch, type PassingPort, unknownSession } from "./passing-port.js";
import { requireShort } from "./well-formed.js";

export interface PassingDependencies extends Pick<CoreDependencies, "ids"> {
  readonly cluster?:
    | {
        readonly placement: Pick<Placement, "nodeId" | "nodes" | "onChanged">;
        readonly peers: Pick<Peers, "ask">;
      }
    | undefined;
}

/** Characters of a node's name in a key: its id may tell what machine it is, which is nobody's business. */
const NAME_LENGTH = 12;
const MAX_KEY_LENGTH = 128;

export class FramePassing implements PassingPort {
  readonly here: string;
  readonly #deps: PassingDependencies;
  #named: ReadonlyMap<string, ClusterNode> | undefined;
  #taker: BatchTaker = () => {
    throw unknownSession();
  };

  constructor(deps: PassingDependencies) {
    const { cluster } = deps;
    this.#deps = deps;
    this.here = cluster === undefined ? "" : this.#nameOf(cluster.placement.nodeId);
    cluster?.placement.onChanged(() => {
      this.#named = undefined;
    });
  }

  takeWith(taker: BatchTaker): void {
    this.#taker = taker;
  }

  async pass(node: string, batch: FrameBatch): Promise<void> {
    const { cluster } = this.#deps;
    const to = this.#nodes().get(node);
    if (cluster === undefined || to === undefined) throw unknownSession();
    await cluster.peers.ask(to, { case: "passFrames", value: create(PassFramesSchema, batch) });
  }

  /** Another node passes a batch. */
  answer({ sessionKey, number, frames, closeCode }: PassFrames): PeerReply {
    requireShort("pass_frames.session_key", sessionKey, MAX_KEY_LENGTH);
    this.#taker({ sessionKey, number, frames, closeCode });
    return { case: "noted", value: create(NotedSchema) };
  }

  #nodes(): ReadonlyMap<string, ClusterNode> {
    const nodes = this.#deps.cluster?.placement.nodes() ?? [];
    this.#named ??= new Map(nodes.map((node) => [this.#nameOf(node.nodeId), node]));
    return this.#named;
  }

  #nameOf(nodeId: string): string {
    return this.#deps.ids.digest(nodeId).slice(0, NAME_LENGTH);
  }
}
