// The rooms under a root, as its owner holds them: those that are stored, and those that were made or deleted since.

export class SubRooms {
  readonly #present = new Set<string>();
  /** Deleted before the stored ones were known. */
  #gone: Set<string> | undefined;
  #loaded = false;

  /** Whether all of them are known. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /** How many there are; of use once they are loaded. */
  get size(): number {
    return this.#present.size;
  }

  /** Takes in what the archive says, unless an event has said something newer. */
  load(roomIds: readonly string[]): void {
    for (const roomId of roomIds) if (this.#gone?.has(roomId) !== true) this.#present.add(roomId);
    this.#gone = undefined;
    this.#loaded = true;
  }

  /** One was made, or deleted. */
  note(roomId: string, there: boolean): void {
    if (there) this.#present.add(roomId);
    else {
      this.#present.delete(roomId);
      if (this.#loaded) return;
      this.#gone ??= new Set();
      this.#gone.add(roomId);
    }
  }
}
