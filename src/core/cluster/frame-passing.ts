// Passes what a client has sent to whoever has its session: this node's bridge, one that is linked to it, or another node, which is asked.

import { create } from "@bufbuild/protobuf";
import { NotedSchema, type PassFrames, PassFramesSchema } from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { PeerReply, Peers } from "../../ports/peers.js";
import type { ClusterNode, Placement } from "../../ports/placement.js";
import type { CoreDependencies } from "../core.js";
import { type BatchTaker, type FrameBatch, type NodePassing, unknownSession } from "./passing-port.js";
import { MAX_KEY_LENGTH, parseSessionKey, partsOf, placeOf } from "./session-key.js";
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

export class FramePassing implements NodePassing {
  readonly here: string;
  readonly #deps: PassingDependencies;
  #named: ReadonlyMap<string, ClusterNode> | undefined;
  #taker: BatchTaker = () => {
    throw unknownSession();
  };
  /** Those of linked bridges, by name. */
  readonly #bridges = new Map<string, BatchTaker>();

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

  takeFor(bridge: string, taker: BatchTaker): { readonly place: string; readonly end: () => void } {
    this.#bridges.set(bridge, taker);
    const end = (): void => {
      if (this.#bridges.get(bridge) === taker) this.#bridges.delete(bridge);
    };
    return { place: placeOf(this.here, bridge), end };
  }

  async pass(place: string, batch: FrameBatch): Promise<void> {
    const { cluster } = this.#deps;
    const { node, bridge } = partsOf(place);
    if (node === this.here) {
      await this.#give(bridge, batch);
      return;
    }
    const to = this.#nodes().get(node);
    if (cluster === undefined || to === undefined) throw unknownSession();
    await cluster.peers.ask(to, { case: "passFrames", value: create(PassFramesSchema, batch) });
  }

  /** Another node passes a batch. */
  async answer({ sessionKey, number, frames, closeCode }: PassFrames): Promise<PeerReply> {
    requireShort("pass_frames.session_key", sessionKey, MAX_KEY_LENGTH);
    // Whatever node the key names: nodes that disagree about who is who must not pass it back and forth.
    const { bridge } = partsOf(parseSessionKey(sessionKey).place);
    await this.#give(bridge, { sessionKey, number, frames, closeCode });
    return { case: "noted", value: create(NotedSchema) };
  }

  async #give(bridge: string | undefined, batch: FrameBatch): Promise<void> {
    const taker = bridge === undefined ? this.#taker : this.#bridges.get(bridge);
    if (taker === undefined) throw unknownSession();
    await taker(batch);
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
