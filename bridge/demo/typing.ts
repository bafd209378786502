// Who is typing: what this page tells of its own user, and what it believes of the others.

import type { Signal } from "./wire.js";

/** While the user types it is told again so often, in milliseconds. */
const REPEAT_MS = 3_000;
/** What was not told again for so long no longer holds, in milliseconds: its end may have been lost. */
const HOLD_MS = 6_000;
/** More are not named. */
const MOST_NAMED = 2;

/** The own user: told when it begins, now and then while it lasts, and when the text is taken back. */
export class OwnTyping {
  readonly #tell: (typing: boolean) => void;
  #toldAt: number | undefined;

  constructor(tell: (typing: boolean) => void) {
    this.#tell = tell;
  }

  /** The text has changed under the user's hands. */
  changed(text: string): void {
    if (text === "") {
      if (this.#toldAt !== undefined) this.#tell(false);
      this.#toldAt = undefined;
      return;
    }
    const now = Date.now();
    if (this.#toldAt !== undefined && now - this.#toldAt < REPEAT_MS) return;
    this.#toldAt = now;
    this.#tell(true);
  }

  /** The text was sent, and the server ends what it ends, or the connection is a new one. */
  forget(): void {
    this.#toldAt = undefined;
  }
}

interface Typist {
  readonly userId: string;
  readonly name: string;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** The others. */
export class Typists {
  readonly #ownUserId: string;
  readonly #onChange: () => void;
  /** By user and device: who types on two types until both have ended. */
  readonly #typists = new Map<string, Typist>();

  constructor(ownUserId: string, onChange: () => void) {
    this.#ownUserId = ownUserId;
    this.#onChange = onChange;
  }

  hear(signals: readonly Signal[]): void {
    for (const { sender, typing } of signals) {
      if (typing === undefined || sender?.userId === undefined || sender.userId === this.#ownUserId) continue;
      const { userId, deviceId, displayName } = sender;
      const key = `${userId} ${deviceId}`;
      this.#end(key);
      if (!typing) continue;
      const timer = setTimeout(() => {
        this.#end(key);
        this.#onChange();
      }, HOLD_MS);
      this.#typists.set(key, { userId, name: displayName || userId, timer });
    }
    this.#onChange();
  }

  /** The user has said it, or is gone. */
  drop(userId: string | undefined): void {
    for (const [key, typist] of this.#typists) if (typist.userId === userId) this.#end(key);
  }

  clear(): void {
    for (const key of this.#typists.keys()) this.#end(key);
    this.#onChange();
  }

  /** In words; empty: nobody types. */
  get text(): string {
    const names = [...new Map([...this.#typists.values()].map(({ userId, name }) => [userId, name])).values()];
    if (names.length === 0) return "";
    if (names.length > MOST_NAMED) return "Several people are typing…";
    return `${names.join(" and ")} ${names.length === 1 ? "is" : "are"} typing…`;
  }

  #end(key: string): void {
    clearTimeout(this.#typists.get(key)?.timer);
    this.#typists.delete(key);
  }
}
