// Messages on their way: kept until the server has them, and over a reload of the page.

export interface Pending {
  readonly clientMessageId: string;
  readonly text: string;
  /** How often it was sent. */
  readonly attempts: number;
  /** Why the server will not have it. */
  readonly failure: string | undefined;
}

export class Outbox {
  readonly #key: string;
  #pending: readonly Pending[];

  /** @param key The session storage's key of this user's messages for this room. */
  constructor(key: string) {
    this.#key = key;
    this.#pending = load(key);
  }

  /** Oldest first. */
  get pending(): readonly Pending[] {
    return this.#pending;
  }

  /** The one to send next: one at a time, so that they arrive in the order they were written. */
  get next(): Pending | undefined {
    return this.#pending.find(({ failure }) => failure === undefined);
  }

  add(clientMessageId: string, text: string): void {
    this.#set([...this.#pending, { clientMessageId, text, attempts: 0, failure: undefined }]);
  }

  sent(clientMessageId: string): void {
    this.#change(clientMessageId, (each) => ({ ...each, attempts: each.attempts + 1 }));
  }

  failed(clientMessageId: string, failure: string): void {
    this.#change(clientMessageId, (each) => ({ ...each, failure }));
  }

  remove(clientMessageId: string): void {
    if (this.#pending.some((each) => each.clientMessageId === clientMessageId)) {
      this.#set(this.#pending.filter((each) => each.clientMessageId !== clientMessageId));
    }
  }

  #change(clientMessageId: string, change: (pending: Pending) => Pending): void {
    this.#set(this.#pending.map((each) => (each.clientMessageId === clientMessageId ? change(each) : each)));
  }

  #set(pending: readonly Pending[]): void {
    this.#pending = pending;
    sessionStorage.setItem(this.#key, JSON.stringify(pending));
  }
}

function load(key: string): readonly Pending[] {
  try {
    const stored: readonly Pending[] | null = JSON.parse(sessionStorage.getItem(key) ?? "null");
    return Array.isArray(stored) ? stored : [];
  } catch {
    return [];
  }
}
