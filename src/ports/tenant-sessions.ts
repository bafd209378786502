// How many live sessions of a tenant all nodes have: each says how many it has.

/** What a node says of a tenant. */
export interface TenantSessionsReport {
  readonly tenantId: string;
  /** How many live sessions it has, with those that are about to be. 0: none any more. */
  readonly sessions: number;
  /** How many there may be on all nodes; 0: however many. */
  readonly limit: number;
}

export interface TenantSessions {
  /**
   * Says how many sessions this node has, unless those of all nodes would be more than `limit`: then what it said before holds. Resolves with how
   * many the others have, each as it said last. Of nodes that say something at the same moment one is the first, and the others hear it. What a
   * node has said ends TENANT_SESSIONS_LEASE_MS later unless it says it again. Should the store of counts be emptied, they are less until each
   * node has said its own. Rejects with UNAVAILABLE, where it may have been heard.
   */
  count(report: TenantSessionsReport): Promise<number>;
}

/** How long what a node says holds, in milliseconds: about as long as its sessions are in the directory when it is gone. */
export const TENANT_SESSIONS_LEASE_MS = 5_000;
