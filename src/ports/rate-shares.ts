// How several nodes keep one rate: each leases a share of it, as large as what it is asked for is of what all are asked for.

/** What a node says of a rate that it takes part in. */
export interface RateReport {
  /** Names the rate, the same on every node. ≤ 300 bytes, without braces. */
  readonly name: string;
  /** How often a second the node was asked for it of late. 0: it gives its share back. */
  readonly demand: number;
}

export interface RateShares {
  /**
   * Says what this node is asked for. Resolves with its shares from now on, in thousandths, in the order of the reports: of one rate all nodes
   * together never have more than 1,000, and a node that is alone has them all. What another node has is not taken from it: it is smaller
   * when that node next reports, and ends RATE_LEASE_MS after its last report. So shares are what they should be after two reports of
   * each. Should the store of shares be emptied, they may be more until each node has reported once. Rejects with UNAVAILABLE, where some
   * of the reports may have been heard: the shares are then as they were.
   */
  lease(reports: readonly RateReport[]): Promise<readonly number[]>;
}

/** How long a share holds without another report, in milliseconds. */
export const RATE_LEASE_MS = 10_000;
