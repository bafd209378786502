// The statistics of the benchmarks: a latency histogram that costs a few nanoseconds a sample, and the median.

const BUCKET_MS = 0.01;
const LONGEST_MS = 30_000;
const BUCKETS = LONGEST_MS / BUCKET_MS;

/** Counts latencies in buckets of 10 µs up to 30 s; longer ones count as 30 s. */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(BUCKETS + 1);
  #total = 0;

  /** How many samples it holds. */
  get total(): number {
    return this.#total;
  }

  record(ms: number): void {
    const bucket = ms <= 0 ? 0 : ms >= LONGEST_MS ? BUCKETS : Math.floor(ms / BUCKET_MS);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total++;
  }

  /**
   * The smallest latency, in milliseconds, that at least `share` (0 to 1) of the samples do not exceed, rounded up to the
   * bucket's end; NaN without samples.
   */
  quantile(share: number): number {
    if (this.#total === 0) return Number.NaN;
    const wanted = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (let bucket = 0; bucket <= BUCKETS; bucket++) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= wanted) return bucket === BUCKETS ? LONGEST_MS : (bucket + 1) * BUCKET_MS;
    }
    return LONGEST_MS;
  }

  /** What another histogram, maybe of another process, has counted: pairs of a bucket and its count. */
  add(counted: readonly number[]): void {
    for (let at = 0; at + 1 < counted.length; at += 2) {
      const bucket = counted[at] ?? 0;
      const count = counted[at + 1] ?? 0;
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
      this.#total += count;
    }
  }

  /** What `add` takes. */
  counted(): number[] {
    const counted: number[] = [];
    for (const [bucket, count] of this.#counts.entries()) if (count > 0) counted.push(bucket, count);
    return counted;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}

/** The middle value, or the mean of the two middle ones; NaN of nothing. Values that are NaN are left out. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half];
  if (upper === undefined) return Number.NaN;
  const lower = sorted.length % 2 === 0 ? (sorted[half - 1] ?? upper) : upper;
  return (lower + upper) / 2;
}

/** The value that at least `share` (0 to 1) of the values do not exceed; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length, Math.max(1, Math.ceil(share * sorted.length))) - 1] ?? Number.NaN;
}
