// The buckets of users and tenants where several nodes serve them: each node keeps its own, and fills it at its share of the rate.
//
// Nobody waits for a share. A bucket begins full and fills at FLOOR of its rate; that goes on as long as it hardly empties, without a word to
// anybody. One that is emptier than LOW leases a share soon, and again each round until it is full and little is asked of it: so somebody who
// is on one node alone has the whole rate, and the nodes together never grant more than (1 + nodes × FLOOR) × rate a second and
// one burst for each node. While the store of shares is away each node goes on with its last one.

import type { Clock, Timer } from "../../ports/clock.js";
import type { RateReport, RateShares } from "../../ports/rate-shares.js";
import type { Telemetry } from "../telemetry.js";
import type { Rate } from "./rates.js";
import { TokenBucket, WHOLE } from "./token-bucket.js";

/** What a node takes of a rate without asking, in thousandths. */
export const FLOOR = WHOLE / 8;
/** How full a bucket is at least that needs no more, as a part of its burst. */
const LOW = 0.75;
/** From a bucket's being low to its first report, in milliseconds: others join it. */
const SOON_MS = 20;
/** Between two reports of the same bucket, in milliseconds. */
const ROUND_MS = 1_000;
/** Buckets in one question. */
const REPORTED_AT_ONCE = 200;

export interface SharedBucketsDependencies {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly rateShares: RateShares;
}

class SharedBucket extends TokenBucket {
  readonly name: string;
  /** When it last reported, monotonic. */
  reportedAtMs: number;
  /** How often it was asked for a token since then. */
  asked = 0;
  /** Whether it reports. */
  leases = false;
  readonly #low: number;
  readonly #becomesLow: (bucket: SharedBucket) => void;

  constructor(name: string, rate: Rate, monotonicMs: number, becomesLow: (bucket: SharedBucket) => void) {
    super(rate, monotonicMs, FLOOR);
    this.name = name;
    this.reportedAtMs = monotonicMs;
    this.#low = rate.burst * LOW;
    this.#becomesLow = becomesLow;
  }

  override waitMs(monotonicMs: number): number {
    const waitMs = super.waitMs(monotonicMs);
    // What is refused is asked for too.
    if (waitMs > 0) this.asked++;
    return waitMs;
  }

  override spend(): void {
    super.spend();
    this.asked++;
    if (!this.leases && this.held < this.#low) this.#becomesLow(this);
  }
}

export class SharedBuckets {
  readonly #deps: SharedBucketsDependencies;
  /** Those that report: each until it is full and little is asked of it. */
  readonly #leasing = new Set<SharedBucket>();
  /** Those of them that have not reported yet. */
  readonly #fresh = new Set<SharedBucket>();
  #soon: Timer | undefined;
  #round: Timer | undefined;
  #failing = false;
  #stopped = false;

  constructor(deps: SharedBucketsDependencies) {
    this.#deps = deps;
  }

  /** How many buckets report. */
  get leasing(): number {
    return this.#leasing.size;
  }

  bucket(name: string, rate: Rate, monotonicMs: number): TokenBucket {
    return new SharedBucket(name, rate, monotonicMs, (low) => this.#join(low));
  }

  stop(): void {
    this.#stopped = true;
    this.#soon?.cancel();
    this.#round?.cancel();
  }

  #join(bucket: SharedBucket): void {
    bucket.leases = true;
    this.#leasing.add(bucket);
    this.#fresh.add(bucket);
    if (this.#stopped) return;
    this.#soon ??= this.#deps.clock.after(SOON_MS, () => {
      this.#soon = undefined;
      const fresh = [...this.#fresh];
      this.#fresh.clear();
      void this.#report(fresh);
    });
    this.#arm();
  }

  #arm(): void {
    if (this.#stopped || this.#leasing.size === 0) return;
    this.#round ??= this.#deps.clock.after(ROUND_MS, () => {
      void this.#report([...this.#leasing].filter((bucket) => !this.#fresh.has(bucket))).then(() => {
        this.#round = undefined;
        this.#arm();
      });
    });
  }

  /** Never rejects. */
  async #report(buckets: readonly SharedBucket[]): Promise<void> {
    const { clock, rateShares, telemetry } = this.#deps;
    for (let from = 0; from < buckets.length; from += REPORTED_AT_ONCE) {
      const some = buckets.slice(from, from + REPORTED_AT_ONCE);
      const nowMs = clock.monotonic();
      const reports = some.map((bucket) => reportOf(bucket, nowMs));
      try {
        const shares = await rateShares.lease(reports);
        this.#failing = false;
        for (const [index, bucket] of some.entries()) {
          if (reports[index]?.demand === 0) this.#leave(bucket);
          else bucket.fillAt(Math.max(shares[index] ?? 0, FLOOR), clock.monotonic());
        }
      } catch (cause) {
        // Said once: what follows is the same.
        if (!this.#failing) telemetry.emit("fault", { where: "rate shares", cause });
        this.#failing = true;
        return;
      }
      if (this.#stopped) return;
    }
  }

  #leave(bucket: SharedBucket): void {
    this.#leasing.delete(bucket);
    bucket.leases = false;
    bucket.fillAt(FLOOR, this.#deps.clock.monotonic());
  }
}

/** What is asked of a bucket a second; 0 where it needs no share any more. */
function reportOf(bucket: SharedBucket, nowMs: number): RateReport {
  const { name, rate } = bucket;
  const demand = (bucket.asked * 1_000) / Math.max(nowMs - bucket.reportedAtMs, ROUND_MS);
  bucket.asked = 0;
  bucket.reportedAtMs = nowMs;
  const needs = bucket.fullInMs(nowMs) > 0 || demand > (rate.perSecond * FLOOR) / WHOLE;
  // Not 0 while it is filling up: what it has taken it is to have been given.
  return { name, demand: needs ? Math.max(Math.ceil(demand), 1) : 0 };
}
