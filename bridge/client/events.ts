// Listeners of what happens, by name; and the same as something to iterate over.

export type Listener<T> = (value: T) => void;

/** What a listener threw is the application's: it is reported as an uncaught error, and the others are called all the same. */
export function call<T>(listeners: Iterable<Listener<T>>, value: T): void {
  for (const listener of [...listeners]) {
    try {
      listener(value);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();
  /** While something is told: what a listener has brought about meanwhile. Everybody hears of it in the same order. */
  #next: (() => void)[] | undefined;

  /** Calls `listener` from now on; returns what ends that. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    // One that is added twice is called twice.
    const own: Listener<Events[Name]> = (value) => listener(value);
    listeners.add(own);
    return () => {
      listeners.delete(own);
      // Another one may have taken its place.
      if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name);
    };
  }

  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    const tell = (): void => call((this.#listeners.get(name) ?? []) as Iterable<Listener<Events[Name]>>, value);
    if (this.#next !== undefined) {
      this.#next.push(tell);
      return;
    }
    this.#next = [];
    tell();
    for (const each of this.#next) each();
    this.#next = undefined;
  }

  /** Somebody listens to something. */
  get any(): boolean {
    return this.#listeners.size > 0;
  }

  has(name: keyof Events): boolean {
    return this.#listeners.has(name);
  }
}

export interface QueueOptions {
  /** Beyond so many that wait to be taken, the source is asked to pause. */
  readonly high: number;
  readonly pause: () => void;
  /** All that waited was taken: the source may go on. */
  readonly resume: () => void;
  /** Nobody iterates any more. */
  readonly left: () => void;
}

/** What a source pushes, for one who takes it when it suits. */
export class Queue<T> implements AsyncIterableIterator<T> {
  readonly #options: QueueOptions;
  readonly #values: T[] = [];
  #taker: PromiseWithResolvers<IteratorResult<T>> | undefined;
  #paused = false;
  #over: { readonly error: unknown } | undefined;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  push(value: T): void {
    if (this.#over !== undefined) return;
    const taker = this.#taker;
    if (taker !== undefined) {
      this.#taker = undefined;
      taker.resolve({ done: false, value });
      return;
    }
    this.#values.push(value);
    if (this.#paused || this.#values.length < this.#options.high) return;
    this.#paused = true;
    this.#options.pause();
  }

  /** Nothing more comes; with an error, whoever takes next is told, after what waits. */
  end(error?: unknown): void {
    if (this.#over !== undefined) return;
    this.#over = { error };
    const taker = this.#taker;
    this.#taker = undefined;
    if (error === undefined) taker?.resolve({ done: true, value: undefined });
    else taker?.reject(error);
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#values.length > 0) {
      const value = this.#values.shift() as T;
      if (this.#paused && this.#values.length === 0) {
        this.#paused = false;
        this.#options.resume();
      }
      return Promise.resolve({ done: false, value });
    }
    if (this.#over !== undefined) {
      const { error } = this.#over;
      this.#over = { error: undefined };
      return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
    }
    if (this.#taker !== undefined) return Promise.reject(new Error("one at a time"));
    this.#taker = Promise.withResolvers();
    return this.#taker.promise;
  }

  return(): Promise<IteratorResult<T>> {
    this.#values.length = 0;
    this.end();
    this.#options.left();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
