// What is known of a room: lines in order of position, and how far that is complete.

import type { Actor, Body, Message, Position, RoomEvent } from "./wire.js";

export type Line =
  | {
      readonly kind: "message";
      readonly id: string;
      readonly seq: number;
      readonly at: string;
      readonly sender: Actor;
      readonly clientMessageId: string;
      readonly text: string;
      readonly edited: boolean;
      readonly deleted: boolean;
    }
  | { readonly kind: "notice"; readonly id: string; readonly seq: number; readonly text: string };

/** Lines kept; the oldest go first, and can be loaded again. */
const MAX_LINES = 2_000;

export class RoomLog {
  #lines = new Map<string, Line>();
  /** Events beyond a hole, until it is filled. */
  readonly #ahead = new Map<number, RoomEvent>();
  #position: Position | undefined;

  /** Everything up to here is known. Undefined: nothing is. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** In rising order. */
  get lines(): readonly Line[] {
    return [...this.#lines.values()].sort((a, b) => a.seq - b.seq).slice(-MAX_LINES);
  }

  /** The seqs missing before events that have come already. */
  get hole(): { readonly from: number; readonly to: number } | undefined {
    if (this.#ahead.size === 0) return undefined;
    return { from: (this.#position?.seq ?? 0) + 1, to: Math.min(...this.#ahead.keys()) - 1 };
  }

  /** Forgets everything and begins again from a page of history. */
  restart(messages: readonly Message[], asOf: Position): void {
    this.#lines = new Map();
    this.#ahead.clear();
    this.#position = asOf;
    this.addHistory(messages);
  }

  /** Messages as they stood; older ones than those known, or the first. */
  addHistory(messages: readonly Message[]): void {
    for (const message of messages) {
      const id = message.messageId ?? "";
      if (this.#lines.has(id)) continue;
      this.#lines.set(id, {
        kind: "message",
        id,
        seq: message.position?.seq ?? 0,
        at: message.createdAt ?? "",
        sender: message.sender ?? {},
        clientMessageId: message.clientMessageId ?? "",
        text: textOf(message.body),
        edited: message.editedAt !== undefined,
        deleted: message.deleted ?? false,
      });
    }
  }

  /** Takes events in any order, any number of times; each counts once, in its turn. */
  add(events: readonly RoomEvent[]): void {
    for (const event of events) {
      const seq = event.position?.seq ?? 0;
      if (seq > (this.#position?.seq ?? 0)) this.#ahead.set(seq, event);
    }
    for (;;) {
      const next = (this.#position?.seq ?? 0) + 1;
      const event = this.#ahead.get(next);
      if (event === undefined) return;
      this.#ahead.delete(next);
      this.#position = event.position;
      this.#apply(event, next);
    }
  }

  #apply(event: RoomEvent, seq: number): void {
    const { messageCreated, messageEdited, messageDeleted, memberJoined, memberLeft } = event;
    const id = event.eventId ?? `seq ${seq}`;
    if (messageCreated !== undefined) {
      this.#lines.set(id, {
        kind: "message",
        id,
        seq,
        at: event.createdAt ?? "",
        sender: event.actor ?? {},
        clientMessageId: messageCreated.clientMessageId ?? "",
        text: textOf(messageCreated.body),
        edited: false,
        deleted: false,
      });
    } else if (messageEdited !== undefined) {
      this.#change(messageEdited.messageId, { text: textOf(messageEdited.body), edited: true });
    } else if (messageDeleted !== undefined) {
      this.#change(messageDeleted.messageId, { text: "", deleted: true });
    } else if (memberJoined !== undefined) {
      const { userId, displayName } = memberJoined.member ?? {};
      this.#notice(id, seq, `${displayName || event.actor?.displayName || userId} joined`);
    } else if (memberLeft !== undefined) {
      this.#notice(id, seq, `${memberLeft.userId} left`);
    } else if (event.roomCreated !== undefined) {
      this.#notice(id, seq, `${event.actor?.displayName || event.actor?.userId} created the room`);
    } else if (event.roomDeleted !== undefined) {
      this.#notice(id, seq, "The room was deleted");
    }
  }

  #change(
    id: string | undefined,
    change: { readonly text: string; readonly edited?: true; readonly deleted?: true },
  ): void {
    const line = this.#lines.get(id ?? "");
    if (line?.kind === "message") this.#lines.set(line.id, { ...line, ...change });
  }

  #notice(id: string, seq: number, text: string): void {
    this.#lines.set(id, { kind: "notice", id, seq, text });
  }
}

function textOf(body: Body | undefined): string {
  if (body?.text !== undefined) return body.text;
  if (body?.system !== undefined) return body.system.text ?? "";
  if (body?.attachment !== undefined) return `[file: ${body.attachment.name ?? "unnamed"}]`;
  if (body?.custom !== undefined) return `[${body.custom.type ?? "custom"}]`;
  return "";
}
