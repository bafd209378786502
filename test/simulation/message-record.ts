// The messages of a room as the checker has them from the log: every form that each has had.

import type { Message, RoomEvent } from "../../src/gen/trunkline/v1/message_pb.js";
import { ThreadRecords } from "./thread-records.js";

/** A message from the event at `seq` on, up to its next form. */
interface Form {
  readonly seq: number;
  readonly text: string;
  readonly version: number;
  readonly deleted: boolean;
  /** `emoji user`, sorted. */
  readonly reactions: readonly string[];
  readonly pinned: boolean;
}

interface MessageRecord {
  readonly senderId: string;
  readonly expiresAtMs: number | undefined;
  readonly forms: Form[];
}

export function textOf(event: RoomEvent): string {
  const { kind } = event;
  if (kind.case !== "messageCreated" && kind.case !== "messageEdited") return "";
  return kind.value.body?.kind.case === "text" ? kind.value.body.kind.value : "";
}

export class MessageRecords {
  readonly #byId = new Map<string, MessageRecord>();
  /** message_ids, the first message's first. */
  readonly #byIndex: string[] = [];
  readonly threads = new ThreadRecords();

  /** message_ids, the first message's first. */
  get ids(): readonly string[] {
    return this.#byIndex;
  }

  /** Whether a page may go on from message `from` to message `to`: what lies between has, or had, an end, or is hidden from the reader. */
  mayFollow(from: number, to: number, hidden: ReadonlySet<number> = new Set()): boolean {
    const between = this.#byIndex.slice(from, to - 1);
    const isLeftOut = (id: string, at: number): boolean =>
      hidden.has(from + 1 + at) || this.#byId.get(id)?.expiresAtMs !== undefined;
    return to > from && between.every(isLeftOut);
  }

  senderOf(messageId: string): string | undefined {
    return this.#byId.get(messageId)?.senderId;
  }

  /** Whether its words must be gone. */
  isDeleted(messageId: string): boolean {
    return this.#byId.get(messageId)?.forms.at(-1)?.deleted === true;
  }

  /** What is wrong with an event of a message, rights aside. */
  judge(event: RoomEvent): string | undefined {
    const { kind } = event;
    if (kind.case === "messageCreated") return this.threads.judge(event);
    if (
      kind.case !== "messageEdited" &&
      kind.case !== "messageDeleted" &&
      kind.case !== "reactionSet" &&
      kind.case !== "messagePinned"
    ) {
      return undefined;
    }
    const record = this.#byId.get(kind.value.messageId);
    const form = record?.forms.at(-1);
    if (record === undefined || form === undefined) return `there is no ${kind.value.messageId}`;
    if (form.deleted) return `${kind.value.messageId} was deleted before`;
    switch (kind.case) {
      case "messageEdited":
        return kind.value.version === form.version + 1 ? undefined : `version ${kind.value.version}`;
      case "messageDeleted": {
        if (kind.value.version !== form.version + 1) return `version ${kind.value.version}`;
        if (!kind.value.expired) return undefined;
        return (record.expiresAtMs ?? Number.POSITIVE_INFINITY) <= timeOf(event) ? undefined : "its time is not over";
      }
      case "reactionSet": {
        const reaction = `${kind.value.emoji} ${event.actor?.userId}`;
        return form.reactions.includes(reaction) === kind.value.on ? "a reaction that changes nothing" : undefined;
      }
      case "messagePinned":
        return form.pinned === kind.value.pinned ? "a pin that changes nothing" : undefined;
    }
  }

  fold(event: RoomEvent): void {
    this.threads.fold(event);
    const { kind } = event;
    const seq = event.position?.seq ?? 0;
    switch (kind.case) {
      case "messageCreated": {
        const { expiresAt } = kind.value;
        const expiresAtMs = expiresAt && Number(expiresAt.seconds) * 1_000 + expiresAt.nanos / 1e6;
        const form = { seq, text: textOf(event), version: 1, deleted: false, reactions: [], pinned: false };
        this.#byIndex.push(event.eventId);
        this.#byId.set(event.eventId, { senderId: event.actor?.userId ?? "", expiresAtMs, forms: [form] });
        return;
      }
      case "messageEdited":
        this.#add(kind.value.messageId, { seq, text: textOf(event), version: kind.value.version });
        return;
      case "messageDeleted": {
        const { messageId, version } = kind.value;
        this.#add(messageId, { seq, text: "", version, deleted: true, reactions: [], pinned: false });
        return;
      }
      case "reactionSet": {
        const { messageId, emoji, on } = kind.value;
        const reaction = `${emoji} ${event.actor?.userId}`;
        const others = (this.#byId.get(messageId)?.forms.at(-1)?.reactions ?? []).filter((each) => each !== reaction);
        this.#add(messageId, { seq, reactions: (on ? [...others, reaction] : others).sort() });
        return;
      }
      case "messagePinned":
        this.#add(kind.value.messageId, { seq, pinned: kind.value.pinned });
        return;
      default:
        return;
    }
  }

  /** Whether the message is shown in a form that it has, or has had at `asOf` or later, and with as many replies as it had then. */
  isShownAsItWas(message: Message, asOf: number): boolean {
    if (message.replyCount !== this.threads.repliesAt(message.messageId, asOf)) return false;
    const forms = this.#byId.get(message.messageId)?.forms ?? [];
    const first = Math.max(
      forms.findLastIndex(({ seq }) => seq <= asOf),
      0,
    );
    const reactions = message.reactions.flatMap(({ emoji, userIds }) => userIds.map((userId) => `${emoji} ${userId}`));
    const text = message.body?.kind.case === "text" ? message.body.kind.value : "";
    return forms
      .slice(first)
      .some(
        (form) =>
          form.text === text &&
          form.version === message.version &&
          form.deleted === message.deleted &&
          form.pinned === message.pinned &&
          form.reactions.join() === reactions.sort().join(),
      );
  }

  #add(messageId: string, change: Partial<Form> & { readonly seq: number }): void {
    const forms = this.#byId.get(messageId)?.forms;
    const last = forms?.at(-1);
    if (last !== undefined) forms?.push({ ...last, ...change });
  }
}

export function timeOf({ createdAt }: RoomEvent): number {
  return createdAt === undefined ? 0 : Number(createdAt.seconds) * 1_000 + createdAt.nanos / 1e6;
}
