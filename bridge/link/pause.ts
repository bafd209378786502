// How long to wait before something that has failed is tried again.

export interface Pause {
  /** Before the first repeat, at most. */
  readonly firstMs: number;
  /** Before any, at most. */
  readonly mostMs: number;
}

/** Doubles with every failure, up to the most; anywhere between half and all of it, so that those who failed together do not come together. */
export function pauseBefore(failures: number, { firstMs, mostMs }: Pause, random: () => number): number {
  const wholeMs = Math.min(firstMs * 2 ** Math.min(failures, 30), mostMs);
  return wholeMs / 2 + (random() * wholeMs) / 2;
}
