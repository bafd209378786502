// Reads a room as an application would: resumes from its position, drops by seq, pages what is named as a gap.

import {
  at,
  contentOf,
  type Frame,
  isArray,
  isObject,
  type Json,
  type JsonObject,
  kindOf,
  number,
  text,
} from "../client/index.js";
import type { SeenEvent } from "../history/history.js";
import { ReturningClient, type ReturningOptions } from "./returning-client.js";

export interface ReceiverOptions extends ReturningOptions {
  readonly roomId: string;
}

export function seenEvent(event: Json): SeenEvent {
  return {
    seq: number(at(event, "position", "seq")),
    tag: number(at(event, "position", "tag")),
    eventId: text(at(event, "eventId")),
    clientMessageId: text(at(event, "messageCreated", "clientMessageId")),
    text: text(at(event, "messageCreated", "body", "text")),
  };
}

export class Receiver extends ReturningClient {
  readonly roomId: string;
  /** What the application was handed. */
  readonly events: SeenEvent[] = [];
  /** Dropped because it was at or below the position: at least once on the wire. */
  dropped = 0;
  /** Gaps that were paged. */
  gaps = 0;
  /** Resets, by reason. */
  readonly resets: string[] = [];
  #seq = 0;
  #tag = 0;
  /** The next seq that this subscription owes; undefined: not subscribed. */
  #owed: number | undefined;
  /** Live events that wait until the gap before them is paged. */
  #held: SeenEvent[] = [];
  #pagingTo: number | undefined;

  constructor(options: ReceiverOptions) {
    super(options);
    this.roomId = options.roomId;
  }

  get seq(): number {
    return this.#seq;
  }

  reached(seq: number, withinMs: number): Promise<void> {
    return this.until(() => this.#seq >= seq, `event ${seq}`, withinMs);
  }

  protected rooms(): readonly JsonObject[] {
    return [{ roomId: this.roomId, after: { seq: this.#seq, tag: this.#tag } }];
  }

  protected welcomed(): void {}

  protected gone(): void {
    this.#owed = undefined;
    this.#held = [];
    this.#pagingTo = undefined;
  }

  protected received(frame: Frame): void {
    const content = contentOf(frame);
    switch (kindOf(frame)) {
      case "subscribed":
        this.#subscribed(content);
        break;
      case "roomEvents":
        this.#live(content);
        break;
      case "callResult":
        this.#page(at(content, "getEvents"));
        break;
      case "error":
        // The room could not be had just now: come back and ask again.
        if (content.retryable !== true) this.violated(`${this.name}: ${JSON.stringify(content)}`);
        this.cut();
        break;
      case "unsubscribed":
        this.violated(`${this.name} was unsubscribed: ${JSON.stringify(content)}`);
        this.cut();
        break;
    }
  }

  #subscribed(subscribed: JsonObject): void {
    if (isObject(subscribed.gap)) {
      const to = number(subscribed.gap.toSeq);
      if (number(subscribed.gap.fromSeq) !== this.#seq + 1) this.violated(`${this.name}: a gap that begins elsewhere`);
      this.gaps += 1;
      this.#owed = to + 1;
      this.#pagingTo = to;
      this.#askForPage();
    } else if (isObject(subscribed.reset)) {
      this.resets.push(text(subscribed.reset.reason));
    } else this.#owed = this.#seq + 1;
  }

  #live(content: JsonObject): void {
    if (content.roomId !== this.roomId) this.violated(`${this.name}: events of ${String(content.roomId)}`);
    for (const item of isArray(content.events) ? content.events : []) {
      const event = seenEvent(item);
      if (this.#owed !== event.seq) {
        this.violated(`${this.name}: the subscription owed ${this.#owed ?? "nothing"} and gave ${event.seq}`);
      }
      this.#owed = event.seq + 1;
      if (this.#pagingTo === undefined) this.#accept(event);
      else this.#held.push(event);
    }
  }

  #askForPage(): void {
    const range = { roomId: this.roomId, fromSeq: this.#seq + 1, toSeq: this.#pagingTo ?? 0, limit: 1000 };
    this.request({ call: { getEvents: range } });
  }

  #page(page: Json | undefined): void {
    if (this.#pagingTo === undefined) return;
    const events = at(page, "events");
    for (const item of isArray(events) ? events : []) this.#accept(seenEvent(item));
    if (this.#seq < this.#pagingTo) {
      if (isArray(events) && events.length > 0) this.#askForPage();
      else this.violated(`${this.name}: an empty page in a gap`);
      return;
    }
    this.#pagingTo = undefined;
    for (const event of this.#held.splice(0)) this.#accept(event);
  }

  /** The rule of the contract: drop what is at or below the seq one has, hand on the rest. */
  #accept(event: SeenEvent): void {
    if (event.seq <= this.#seq) {
      this.dropped += 1;
      return;
    }
    this.#seq = event.seq;
    this.#tag = event.tag;
    this.events.push(event);
  }
}
