// Does many things with a bound on how many are under way.

/** Calls `work` for 0 to before `count`, at most `width` at a time, and gives the outcomes in order; rejects with the first failure. */
export async function mapPooled<T>(count: number, width: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const outcomes: T[] = [];
  let next = 0;
  async function worker(): Promise<void> {
    while (next < count) {
      const index = next++;
      outcomes[index] = await work(index);
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
  return outcomes;
}
