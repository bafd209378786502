// The messages of a room as its owner holds them: those that a command names, and those that are not durable yet.

import { clone, create } from "@bufbuild/protobuf";
import { type MessageDocument, MessageDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import { type Message, MessageSchema, ReactionSchema, type RoomEvent } from "../../gen/trunkline/v1/message_pb.js";
import type { StoredMessage } from "../../ports/archive.js";
import { createdMessage } from "./materialise.js";

/** A message and the events that hold what it says or said. Replaced, never changed. */
interface Held {
  readonly message: Message;
  readonly bodySeqs: readonly number[];
  /** The last event that changed it; 0: none has since it was created. */
  readonly appliedSeq: number;
}

/** What must be read before a turn. */
export interface Missing {
  readonly messages: readonly string[];
  /** Seqs of events. */
  readonly bodies: readonly number[];
}

/** Kept beyond what is tentative, at most. */
const MAX_HELD = 512;

export class RoomMessages {
  readonly #roomId: string;
  /** Undefined: there is no such message. Most rooms are only added to: it is there with the first. */
  #held: Map<string, Held | undefined> | undefined;
  /**
   * By seq, in rising order: events with a body that are not durable yet, and those that were read to be scrubbed. Undefined: it is no longer
   * kept.
   */
  readonly #bodies = new Map<number, RoomEvent | undefined>();

  constructor(roomId: string) {
    this.#roomId = roomId;
  }

  /** The message as it stands, if it was loaded or is tentative. */
  get(messageId: string): Message | undefined {
    return this.#get(messageId)?.message;
  }

  /** What of these messages is not known here. With `bodies`, also the events that hold what they say, and the roots of their threads. */
  missing(messageIds: readonly string[], withBodies: boolean): Missing {
    const messages: string[] = [];
    const bodies: number[] = [];
    const want = (messageId: string): void => {
      if (messageId !== "" && !this.#knows(messageId)) messages.push(messageId);
    };
    for (const messageId of messageIds) {
      want(messageId);
      const held = withBodies ? this.#get(messageId) : undefined;
      if (held === undefined) continue;
      want(held.message.threadRoot);
      for (const seq of held.bodySeqs) if (!this.#bodies.has(seq)) bodies.push(seq);
    }
    return { messages, bodies };
  }

  /** Takes in what the archive says, unless an event has said something newer. */
  load(messageId: string, stored: StoredMessage | undefined): void {
    if (this.#knows(messageId)) return;
    const created = stored?.created?.event;
    const message = stored?.document?.message ?? (created && createdMessage(this.#roomId, created));
    const bodySeqs = stored?.document?.bodySeqs ?? (message?.position === undefined ? [] : [message.position.seq]);
    this.#hold(messageId, message && { message, bodySeqs, appliedSeq: stored?.document?.appliedSeq ?? 0 });
  }

  /** Takes in an event that holds a body; undefined: it is no longer kept. */
  loadBody(seq: number, event: RoomEvent | undefined): void {
    if (!this.#bodies.has(seq)) this.#bodies.set(seq, event);
  }

  /** The events that hold what the message says, as far as they are kept. */
  bodiesOf(messageId: string): readonly RoomEvent[] {
    const seqs = this.#get(messageId)?.bodySeqs ?? [];
    return seqs.flatMap((seq) => this.#bodies.get(seq) ?? []);
  }

  /** Folds an event in and returns the messages it changed, the one it created not among them. */
  apply(event: RoomEvent): readonly string[] {
    const { kind } = event;
    const seq = event.position?.seq ?? 0;
    switch (kind.case) {
      case "messageCreated": {
        this.#bodies.set(seq, event);
        const { threadRoot } = kind.value;
        return threadRoot === "" ? NONE : this.#count(threadRoot, 1, seq);
      }
      case "messageEdited": {
        const { messageId, body, version, mentions, metadata } = kind.value;
        this.#bodies.set(seq, event);
        return this.#change(
          messageId,
          seq,
          (message) => Object.assign(message, { body, version, mentions, metadata, editedAt: event.createdAt }),
          seq,
        );
      }
      case "messageDeleted": {
        const { messageId, version } = kind.value;
        const root = this.get(messageId)?.threadRoot ?? "";
        const changed = this.#change(messageId, seq, (message) => bury(message, version));
        return root === "" ? changed : [...changed, ...this.#count(root, -1, seq)];
      }
      case "reactionSet": {
        const { messageId, emoji, on } = kind.value;
        const userId = event.actor?.userId ?? "";
        return this.#change(messageId, seq, (message) => react(message, emoji, userId, on));
      }
      case "messagePinned": {
        const { messageId, pinned } = kind.value;
        return this.#change(messageId, seq, (message) => Object.assign(message, { pinned }));
      }
      default:
        return NONE;
    }
  }

  /** The document of a message that has changed. */
  document(messageId: string, appliedSeq: number): MessageDocument {
    const held = this.#get(messageId);
    return create(MessageDocumentSchema, { message: held?.message, appliedSeq, bodySeqs: [...(held?.bodySeqs ?? [])] });
  }

  /** Everything up to `seq` can be read in the archive. `all`: there is nothing beyond it. */
  settle(seq: number, all: boolean): void {
    for (const place of this.#bodies.keys()) {
      if (place > seq) break;
      this.#bodies.delete(place);
    }
    if (all && this.#held !== undefined && this.#held.size > MAX_HELD) this.#held = undefined;
  }

  /** Forgets what is archived; only when every event is. */
  unload(): void {
    this.#held = undefined;
    this.#bodies.clear();
  }

  #hold(messageId: string, held: Held | undefined): void {
    this.#held ??= new Map();
    this.#held.set(messageId, held);
  }

  #knows(messageId: string): boolean {
    return this.#held?.has(messageId) === true || this.#created(messageId) !== undefined;
  }

  #get(messageId: string): Held | undefined {
    const held = this.#held?.get(messageId);
    if (held !== undefined) return held;
    const event = this.#created(messageId);
    const message = event && createdMessage(this.#roomId, event);
    if (message === undefined) return undefined;
    const fresh: Held = { message, bodySeqs: [event?.position?.seq ?? 0], appliedSeq: 0 };
    this.#hold(messageId, fresh);
    return fresh;
  }

  /** The event that created it, where that is not durable yet. */
  #created(messageId: string): RoomEvent | undefined {
    for (const event of this.#bodies.values()) if (event?.eventId === messageId) return event;
    return undefined;
  }

  #count(rootId: string, by: 1 | -1, seq: number): readonly string[] {
    return this.#change(rootId, seq, (root) => {
      root.replyCount = Math.max(root.replyCount + by, 0);
    });
  }

  /** Changes it by the event at `seq`, unless that is in it already, as where an archive was written in part. */
  #change(messageId: string, seq: number, change: (message: Message) => void, bodySeq?: number): readonly string[] {
    const held = this.#get(messageId);
    if (held === undefined || held.appliedSeq >= seq) return NONE;
    const message = clone(MessageSchema, held.message);
    change(message);
    const bodySeqs = bodySeq === undefined ? held.bodySeqs : [...held.bodySeqs, bodySeq];
    this.#hold(messageId, { message, bodySeqs, appliedSeq: seq });
    return [messageId];
  }
}

const NONE: readonly string[] = [];

/** Leaves the place of a message and nothing of what it said. */
function bury(message: Message, version: number): void {
  Object.assign(message, { deleted: true, version, pinned: false, mentions: [], reactions: [] });
  message.body = undefined;
  message.metadata = undefined;
  message.forwardedFrom = undefined;
}

function react(message: Message, emoji: string, userId: string, on: boolean): void {
  let reaction = message.reactions.find((each) => each.emoji === emoji);
  if (on) {
    if (reaction === undefined) {
      reaction = create(ReactionSchema, { emoji });
      message.reactions.push(reaction);
    }
    if (!reaction.userIds.includes(userId)) reaction.userIds.push(userId);
  } else if (reaction !== undefined) {
    reaction.userIds = reaction.userIds.filter((each) => each !== userId);
  }
  if (reaction !== undefined) reaction.count = reaction.userIds.length;
  message.reactions = message.reactions.filter(({ count }) => count > 0);
}
