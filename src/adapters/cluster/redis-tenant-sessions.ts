// How many sessions tenants have on which nodes, in Redis: a hash for each tenant whose sessions are limited.

import { ErrorCode, TrunklineError } from "../../ports/error.js";
import {
  TENANT_SESSIONS_LEASE_MS,
  type TenantSessions,
  type TenantSessionsReport,
} from "../../ports/tenant-sessions.js";
import type { RedisCommands } from "./redis.js";
import { RedisScript } from "./redis-script.js";

const SCRIPT = new RedisScript("count");
/** What expires by Redis's clock, the only one that all nodes share. */
const BY_REDIS = 0;

export interface RedisTenantSessionsOptions {
  readonly redis: RedisCommands;
  readonly nodeId: string;
  readonly prefix: string;
  /** What counts expire by, in milliseconds. Default: Redis's own clock. */
  readonly leaseClock?: () => number;
}

export class RedisTenantSessions implements TenantSessions {
  readonly #options: RedisTenantSessionsOptions;

  constructor(options: RedisTenantSessionsOptions) {
    this.#options = options;
  }

  async count({ tenantId, sessions, limit }: TenantSessionsReport): Promise<number> {
    const { redis, nodeId, prefix, leaseClock } = this.#options;
    const nowMs = leaseClock === undefined ? BY_REDIS : Math.max(Math.floor(leaseClock()), 1);
    const args = [nodeId, sessions, limit, TENANT_SESSIONS_LEASE_MS, nowMs];
    try {
      return Number(await SCRIPT.run(redis, `${prefix}:sessions:{${tenantId}}`, ...args));
    } catch (cause) {
      throw new TrunklineError(ErrorCode.UNAVAILABLE, "the sessions of a tenant cannot be counted", { cause });
    }
  }
}
