// Repeatable chance: the seed of a failing run runs it again.

export type Random = () => number;

/** mulberry32: 32 bits of state are enough to choose moments. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed from TRUNKLINE_TEST_SEED, or a new one; printed, so that it can be had again. */
export function printedSeed(story: string): number {
  const given = process.env.TRUNKLINE_TEST_SEED;
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
  console.log(`${story}: TRUNKLINE_TEST_SEED=${seed}`);
  return seed;
}

export function between(random: Random, low: number, high: number): number {
  return Math.floor(low + random() * (high - low));
}
