// A server under test, as load generators see it.

export type Target = TrunklineTarget | PeerTarget;

export interface TrunklineTarget {
  readonly kind: "trunkline";
  readonly pid: number;
  /** The bridge: WebSocket. */
  readonly webPort: number;
  readonly grpcPort: number;
  /** Undefined: it was not asked to say how it is. */
  readonly metricsPort: number | undefined;
  /** The key that development tokens are signed with: ten thousand users need no ten thousand requests. */
  readonly keyFile: string;
}

/** A bridge in a process of its own, linked to a node. */
export interface BridgeTarget {
  readonly pid: number;
  readonly webPort: number;
  readonly metricsPort: number;
}

export interface PeerTarget {
  readonly kind: "ws" | "socket.io";
  readonly pid: number;
  readonly port: number;
}
