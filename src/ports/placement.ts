// Which node owns which shard. A matter of efficiency, not of safety: two nodes may both believe that they own a shard, and the log lets one of
// them write. Leases keep that rare, and tell everybody else where to send a command.

/** A live node. */
export interface ClusterNode {
  /** This incarnation of it; a node that comes back has another. */
  readonly nodeId: string;
  /** Where other nodes reach it, as `host:port`. */
  readonly address: string;
  /** When it came, in milliseconds since 1970. */
  readonly since: number;
  /** It takes no more shards: it is about to go, cannot write to the log, or has said nothing for as long as a lease holds. */
  readonly leaving: boolean;
}

export interface PlacementListener {
  /** This node's lease on the shard has begun. */
  gained(shard: number): void;
  /** The lease is over, or may be: another node may own the shard already. Not called for a shard that was given up by `yields`. */
  lost(shard: number): void;
  /**
   * Another node is to have the shard: resolves once what was accepted is done. The lease ends then, or when the node waits no longer. Asked of at most
   * a sixteenth of all shards at a time, or of two, unless the node cannot write to the log anyway.
   */
  yields(shard: number): Promise<void>;
}

export interface Placement {
  readonly nodeId: string;
  readonly shards: number;

  /** The feature level that every live node has, as far as is known: kinds of events above it are not written yet. */
  readonly level: number;

  /** Joins the cluster and takes the shards that are due to this node, now and from now on. Rejects with UNAVAILABLE. */
  start(listener: PlacementListener): Promise<void>;

  /** Whose lease on the shard holds, as far as is known; undefined: nobody's. Right within a second while the store of leases is there. */
  ownerOf(shard: number): ClusterNode | undefined;

  /** Whether this node's lease holds, by the monotonic clock and counted from before it was asked for. */
  holds(shard: number): boolean;

  /** The live nodes, this one among them, by id; as known as `ownerOf`. */
  nodes(): readonly ClusterNode[];

  /** Calls the listener when owners or nodes may have changed. */
  onChanged(listener: () => void): void;

  /**
   * This node cannot own the shard, whose events are of a newer version: its lease ends, which is told as `lost`, and neither it nor any node that
   * is no newer takes the shard from then on.
   */
  decline(shard: number): void;

  /** Gives up every shard, each as soon as the listener has yielded it, and leaves. Idempotent; never rejects. */
  leave(): Promise<void>;

  /** Ends everything at once, as the death of the process would. */
  stop(): void;
}
