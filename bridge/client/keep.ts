// What the browser keeps for a page, where it does.

/** What is kept by the browser. */
export interface Keep {
  /** Undefined: it was never kept, or cannot be. */
  get(key: string): string | undefined;
  set(key: string, value: string): void;
}

export interface KeyedStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** Storage may be missing, forbidden, or full: then nothing is kept, and nobody told. */
export function keep(storage: () => KeyedStorage | undefined): Keep {
  return {
    get(key) {
      try {
        return storage()?.getItem(key) ?? undefined;
      } catch {
        return undefined;
      }
    },
    set(key, value) {
      try {
        storage()?.setItem(key, value);
      } catch {
        // As if it had never been said.
      }
    },
  };
}
