// The shards that are this node's now, for those who look after what is due in them.

/** Who says which those are. */
interface Owner {
  onOpened(listener: (shard: number, end: number) => void): void;
  onReleased(listener: (shard: number) => void): void;
}

export class OwnedShards {
  readonly #shards = new Set<number>();

  constructor(owner: Owner) {
    owner.onOpened((shard) => this.#shards.add(shard));
    owner.onReleased((shard) => this.#shards.delete(shard));
  }

  /** As of this moment. */
  get all(): readonly number[] {
    return [...this.#shards];
  }

  has(shard: number): boolean {
    return this.#shards.has(shard);
  }
}
