// What is watched together: everything that somebody wants, counted, and of rooms those alone that the server does not refuse.

/** Wanted by several; gone when the last of them no longer wants it. */
export class Counted {
  readonly #counts = new Map<string, number>();

  get all(): readonly string[] {
    return [...this.#counts.keys()];
  }

  has(id: string): boolean {
    return this.#counts.has(id);
  }

  /** How many there would be. */
  sizeWith(ids: Iterable<string>): number {
    return new Set([...this.#counts.keys(), ...ids]).size;
  }

  add(ids: Iterable<string>): void {
    for (const id of ids) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
  }

  remove(ids: Iterable<string>): void {
    for (const id of ids) {
      const left = (this.#counts.get(id) ?? 0) - 1;
      if (left > 0) this.#counts.set(id, left);
      else this.#counts.delete(id);
    }
  }
}

/**
 * Which rooms to ask for: one that is refused would take all the others with it. Those that were taken are asked for together; of a number that was
 * refused, half are tried, until the one is found.
 */
export class TriedRooms {
  readonly #taken = new Set<string>();
  readonly #refused = new Set<string>();
  #most = Infinity;
  #tried: readonly string[] = [];

  /** Those to ask for next, of those that are wanted. */
  choose(wanted: readonly string[]): readonly string[] {
    const known = new Set(wanted);
    for (const set of [this.#taken, this.#refused]) for (const id of set) if (!known.has(id)) set.delete(id);
    this.#tried = wanted.filter((id) => !this.#taken.has(id) && !this.#refused.has(id)).slice(0, this.#most);
    return [...this.#taken, ...this.#tried];
  }

  /** What was chosen was taken. Returns whether there is more to try. */
  taken(wanted: readonly string[]): boolean {
    for (const id of this.#tried) this.#taken.add(id);
    this.#most *= 2;
    return wanted.some((id) => !this.#taken.has(id) && !this.#refused.has(id));
  }

  /** What was chosen was refused. Returns whether there is something else to try. */
  refused(): boolean {
    const [only, ...others] = this.#tried;
    if (only === undefined) {
      // One of those that were taken before.
      const { size } = this.#taken;
      this.#taken.clear();
      this.#most = Math.ceil(size / 2);
      return size > 0;
    }
    if (others.length === 0) this.#refused.add(only);
    this.#most = Math.max(Math.floor(this.#tried.length / 2), 1);
    return true;
  }

  /** A new connection: what was refused may be taken now. */
  again(): void {
    this.#refused.clear();
    this.#most = Infinity;
  }
}
