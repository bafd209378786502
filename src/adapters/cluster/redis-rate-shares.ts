// Shares of rates in Redis: a hash for each rate that is in use, and none for the others.

import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { RATE_LEASE_MS, type RateReport, type RateShares } from "../../ports/rate-shares.js";
import type { RedisCommands } from "./redis.js";
import { RedisScript } from "./redis-script.js";

const SCRIPT = new RedisScript("share");
/** What expires by Redis's clock, the only one that all nodes share. */
const BY_REDIS = 0;

export interface RedisRateSharesOptions {
  readonly redis: RedisCommands;
  readonly nodeId: string;
  readonly prefix: string;
  /** What leases expire by, in milliseconds. Default: Redis's own clock. */
  readonly leaseClock?: () => number;
}

export class RedisRateShares implements RateShares {
  readonly #options: RedisRateSharesOptions;

  constructor(options: RedisRateSharesOptions) {
    this.#options = options;
  }

  async lease(reports: readonly RateReport[]): Promise<readonly number[]> {
    try {
      const shares = await Promise.all(reports.map((report) => this.#lease(report)));
      return shares.map(Number);
    } catch (cause) {
      throw new TrunklineError(ErrorCode.UNAVAILABLE, "shares of rates cannot be leased", { cause });
    }
  }

  /** One command for each: rates are spread over hash slots. */
  async #lease({ name, demand }: RateReport): Promise<unknown> {
    const { redis, nodeId, prefix, leaseClock } = this.#options;
    const nowMs = leaseClock === undefined ? BY_REDIS : Math.max(Math.floor(leaseClock()), 1);
    const args = [nodeId, Math.ceil(demand), RATE_LEASE_MS, nowMs];
    return await SCRIPT.run(redis, `${prefix}:rate:{${name}}`, ...args);
  }
}
