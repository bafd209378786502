// A bounded cache whose entries end: the least recently used one makes room.

export class ExpiringCache<V> {
  readonly #capacity: number;
  // A Map keeps insertion order; re-inserting on use makes its first entry the least recently used.
  readonly #entries = new Map<string, { readonly value: V; readonly until: number }>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string, now: number): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.until <= now) return undefined;
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** `until` is exclusive and by the clock that `get` is given. */
  set(key: string, value: V, until: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, until });
    if (this.#entries.size <= this.#capacity) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}
