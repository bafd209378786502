// A room of the scripted server: its events, and how one gets from a position to its end.

import type { Position, RoomEvent, Subscribed } from "../../../../bridge/client/gen/types.js";

export class ServerRoom {
  readonly id: string;
  #events: RoomEvent[] = [];
  /** The first that is still kept. */
  #keptFrom = 1;
  /** Another one has other tags. */
  #history = 1;
  readonly #said = new Map<string, string>();
  readonly #published = new Map<string, Position>();

  constructor(id: string) {
    this.id = id;
  }

  get top(): Position {
    return this.#position(this.#events.length);
  }

  get texts(): readonly string[] {
    return this.#events.map(({ messageCreated }) => messageCreated?.body?.text ?? "");
  }

  /** What it said at this place of this history, at any time. */
  said({ seq, tag }: Position): string | undefined {
    return this.#said.get(`${seq} ${tag}`);
  }

  say(text: string): RoomEvent {
    return this.append({ messageCreated: { body: { text } } });
  }

  append(what: Omit<RoomEvent, "eventId" | "position">): RoomEvent {
    const position = this.#position(this.#events.length + 1);
    const event = { ...what, eventId: `${this.id}-${position.seq}`, position };
    this.#events.push(event);
    this.#said.set(`${position.seq} ${position.tag}`, event.messageCreated?.body?.text ?? "");
    return event;
  }

  /** Once for each key. */
  publish(key: string, text: string): { readonly event: RoomEvent | undefined; readonly position: Position } {
    const before = this.#published.get(key);
    if (before !== undefined) return { event: undefined, position: before };
    const event = this.say(text);
    const position = event.position ?? {};
    this.#published.set(key, position);
    return { event, position };
  }

  /** What came before the last `kept` events is no longer kept. */
  forget(kept: number): void {
    this.#keptFrom = Math.max(this.#keptFrom, this.#events.length - kept + 1);
  }

  /** As if the room had been restored from an older copy, and had gone on otherwise. */
  rewrite(): void {
    this.#history++;
    const texts = this.texts;
    this.#events = [];
    for (const text of texts) this.say(`${text}'`);
  }

  /** Those from one seq to another that are still kept. */
  events(fromSeq: number, toSeq: number): readonly RoomEvent[] {
    return this.#events.slice(Math.max(fromSeq, this.#keptFrom) - 1, toSeq);
  }

  /** How a subscription begins. */
  outcome(after: Position | undefined, recoveryLimit: number): Subscribed {
    const top = this.top;
    const [topSeq, seq] = [top.seq ?? 0, after?.seq ?? 0];
    const begin = { roomId: this.id, top };
    if (after === undefined) return { ...begin, caughtUp: {} };
    if (seq > topSeq) return { ...begin, reset: { reason: "RESET_REASON_BEYOND_END" } };
    if ((after.tag ?? 0) !== (this.#position(seq).tag ?? 0)) {
      return { ...begin, reset: { reason: "RESET_REASON_OTHER_HISTORY" } };
    }
    if (seq === topSeq) return { ...begin, caughtUp: {} };
    if (seq + 1 < this.#keptFrom) return { ...begin, reset: { reason: "RESET_REASON_EXPIRED" } };
    if (topSeq - seq > recoveryLimit) return { ...begin, gap: { fromSeq: seq + 1, toSeq: topSeq } };
    return { ...begin, replaying: { count: topSeq - seq } };
  }

  /** As proto3 JSON writes it: the place before the first event is an empty one. */
  #position(seq: number): Position {
    return seq === 0 ? {} : { seq, tag: seq * 100 + this.#history };
  }
}
