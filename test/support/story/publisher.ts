// Publishes as fast as its window lets it, and resends under the same key until each message is answered.

import { at, contentOf, type Frame, type JsonObject, kindOf, number, replyTo, text } from "../client/index.js";
import type { Acknowledged, Refused } from "../history/history.js";
import { ReturningClient, type ReturningOptions } from "./returning-client.js";

export interface PublisherOptions extends ReturningOptions {
  readonly roomId: string;
  /** Messages under way at once; below the server's limit of requests in flight. */
  readonly window: number;
  /** Least time between two messages, in milliseconds. 0: full speed. */
  readonly everyMs?: number;
}

interface Pending {
  readonly key: string;
  readonly text: string;
  /** When it was first asked for, monotonic. */
  readonly begun: number;
  attempt: number;
}

/** Between a refusal that may be retried and the retry, where the refusal does not say. */
const RETRY_MS = 20;

export class Publisher extends ReturningClient {
  readonly roomId: string;
  readonly acknowledged: Acknowledged[] = [];
  readonly refused: Refused[] = [];
  readonly published = new Set<string>();
  /** Answers that said `duplicate`: what the crash had hidden. */
  duplicates = 0;
  readonly #window: number;
  readonly #everyMs: number;
  readonly #pending = new Map<string, Pending>();
  readonly #keyOfRef = new Map<number, string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #live = false;
  #finishing = false;
  #count = 0;

  constructor(options: PublisherOptions) {
    super(options);
    this.roomId = options.roomId;
    this.#window = options.window;
    this.#everyMs = options.everyMs ?? 0;
  }

  /** Begins nothing new and resolves when all that was begun is answered. */
  async finish(withinMs: number): Promise<void> {
    this.#finishing = true;
    await this.until(() => this.#pending.size === 0, `answer to ${this.#pending.size} messages`, withinMs);
  }

  override async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await super.stop();
  }

  protected rooms(): readonly JsonObject[] {
    return [];
  }

  protected welcomed(): void {
    this.#live = true;
    for (const pending of this.#pending.values()) this.#resend(pending);
    this.#fill();
  }

  protected gone(): void {
    this.#live = false;
    this.#keyOfRef.clear();
  }

  protected received(frame: Frame): void {
    const key = this.#keyOfRef.get(replyTo(frame));
    if (key === undefined) return;
    this.#keyOfRef.delete(replyTo(frame));
    if (kindOf(frame) === "published") this.#answered(key, contentOf(frame));
    else if (kindOf(frame) === "error") this.#refused(key, contentOf(frame));
  }

  #answered(key: string, published: JsonObject): void {
    const pending = this.#pending.get(key);
    if (pending === undefined) return;
    this.#pending.delete(key);
    if (published.duplicate === true) this.duplicates += 1;
    this.acknowledged.push({
      clientMessageId: key,
      messageId: text(published.messageId),
      seq: number(at(published, "position", "seq")),
      tag: number(at(published, "position", "tag")),
      text: pending.text,
      time: { begun: pending.begun, answered: performance.now() },
    });
    if (this.#everyMs > 0) this.#later(this.#everyMs, () => this.#fill());
    else this.#fill();
  }

  #refused(key: string, error: JsonObject): void {
    const pending = this.#pending.get(key);
    if (pending === undefined) return;
    const retryable = error.retryable === true;
    this.refused.push({ clientMessageId: key, code: text(error.code), retryable });
    if (!retryable) {
      this.violated(`${this.name}: ${key} was refused for good: ${JSON.stringify(error)}`);
      this.#pending.delete(key);
      return;
    }
    this.#later(number(error.retryAfterMs) || RETRY_MS, () => {
      if (this.#live && this.#pending.has(key)) this.#resend(pending);
    });
  }

  #fill(): void {
    while (this.#live && !this.#finishing && this.#pending.size < this.#window) {
      this.#count += 1;
      const key = `${this.name}-${this.#count}`;
      const pending = { key, text: `message ${this.#count} of ${this.name}`, begun: performance.now(), attempt: 0 };
      this.published.add(key);
      this.#pending.set(key, pending);
      this.#resend(pending);
    }
  }

  #resend(pending: Pending): void {
    pending.attempt += 1;
    const { key, attempt } = pending;
    const publish = { roomId: this.roomId, clientMessageId: key, attempt, body: { text: pending.text } };
    this.#keyOfRef.set(this.request({ publish }), key);
  }

  #later(delayMs: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, delayMs);
    this.#timers.add(timer);
  }
}
