// Messages as they stand: pages of the history, and what events have made of them since.

import type { Message, Reaction, RoomEvent } from "../gen/types.js";

/** Users that are named with a reaction, at most; its count tells of the others. */
const MAX_REACTION_USERS = 100;

interface Held {
  /** Replaced, never changed. */
  message: Message;
  /** The last event that is in it. */
  seq: number;
}

type Change = (message: Message) => Message;

export class Messages {
  readonly #roomId: string;
  /** In order. */
  #held: Held[] = [];
  readonly #byId = new Map<string, Held>();
  #seq = 0;

  constructor(roomId: string) {
    this.#roomId = roomId;
  }

  /** The seq up to which all of the room is in here, as far back as it goes. */
  get seq(): number {
    return this.#seq;
  }

  get count(): number {
    return this.#held.length;
  }

  /** The `messageIndex` of the oldest; 0: there is none. */
  get firstIndex(): number {
    return this.#held[0]?.message.messageIndex ?? 0;
  }

  /** In order. */
  get all(): readonly Message[] {
    return this.#held.map(({ message }) => message);
  }

  /** Begins anew with the newest page. @param seq The page's `asOf`. */
  begin(page: readonly Message[], seq: number): void {
    this.#held = [];
    this.#byId.clear();
    this.#seq = seq;
    this.prepend(page, seq);
  }

  /** Adds the page before all there is. @param seq The page's `asOf`: events up to it are in it. */
  prepend(page: readonly Message[], seq: number): void {
    const older = page.filter(({ messageId = "" }) => !this.#byId.has(messageId)).map((message) => ({ message, seq }));
    for (const held of older) this.#byId.set(held.message.messageId ?? "", held);
    this.#held = [...older, ...this.#held];
  }

  /** Takes in an event, whether or not it is in here already. */
  apply(event: RoomEvent): void {
    const { messageCreated, messageEdited, messageDeleted, reactionSet, messagePinned, position, actor } = event;
    const seq = position?.seq ?? 0;
    if (messageCreated !== undefined) {
      if (seq > this.#seq) this.#add(createdMessage(this.#roomId, event), seq);
      this.#count(messageCreated.threadRoot, 1, seq);
    } else if (messageEdited !== undefined) {
      const { messageId, body, version, mentions, metadata } = messageEdited;
      const editedAt = event.createdAt;
      this.#change(messageId, seq, (message) => ({ ...message, body, version, mentions, metadata, editedAt }));
    } else if (messageDeleted !== undefined) {
      const { messageId = "", version, expired } = messageDeleted;
      const held = this.#byId.get(messageId);
      if (held !== undefined && held.seq < seq) {
        this.#change(messageId, seq, (message) => buried(message, version));
        if (expired) this.remove(messageId);
      }
      this.#count(held?.message.threadRoot, -1, seq);
    } else if (reactionSet !== undefined) {
      const { messageId, emoji = "", on = false } = reactionSet;
      this.#change(messageId, seq, (message) => reacted(message, emoji, actor?.userId ?? "", on));
    } else if (messagePinned !== undefined) {
      const { messageId, pinned } = messagePinned;
      this.#change(messageId, seq, (message) => ({ ...message, pinned: pinned || undefined }));
    }
    this.#seq = Math.max(this.#seq, seq);
  }

  /** Leaves one out. */
  remove(messageId: string): void {
    const held = this.#byId.get(messageId);
    if (held === undefined) return;
    this.#byId.delete(messageId);
    this.#held = this.#held.filter((each) => each !== held);
  }

  /** Leaves out the oldest until no more are left than `most`. */
  trim(most: number): void {
    const gone = this.#held.splice(0, Math.max(this.#held.length - most, 0));
    for (const { message } of gone) this.#byId.delete(message.messageId ?? "");
  }

  #add(message: Message, seq: number): void {
    const held = { message, seq };
    this.#held.push(held);
    this.#byId.set(message.messageId ?? "", held);
  }

  #change(messageId: string | undefined, seq: number, change: Change): void {
    const held = this.#byId.get(messageId ?? "");
    // A page may be of a later state than the events have come to.
    if (held === undefined || held.seq >= seq) return;
    held.message = change(held.message);
    held.seq = seq;
  }

  #count(rootId: string | undefined, by: number, seq: number): void {
    if (!rootId) return;
    this.#change(rootId, seq, (root) => ({
      ...root,
      replyCount: Math.max((root.replyCount ?? 0) + by, 0) || undefined,
    }));
  }
}

/** The message right after the event that created it. */
function createdMessage(roomId: string, { eventId, position, createdAt, actor, messageCreated }: RoomEvent): Message {
  return { ...messageCreated, messageId: eventId, roomId, position, createdAt, sender: actor, version: 1 };
}

/** Its place, and nothing of what it said. */
function buried(message: Message, version: number | undefined): Message {
  const { body, mentions, metadata, reactions, pinned, forwardedFrom, ...rest } = message;
  return { ...rest, version, deleted: true };
}

function reacted(message: Message, emoji: string, userId: string, on: boolean): Message {
  const before = message.reactions ?? [];
  const reaction: Reaction = before.find((each) => each.emoji === emoji) ?? { emoji, count: 0, userIds: [] };
  const { count = 0, userIds = [] } = reaction;
  // Of very many not all are named: whether this one was among the others is not known, and an event tells of a change.
  const named = userIds.includes(userId);
  if (on === named) return message;
  const unnamed = count > userIds.length;
  if (!on && !named && !unnamed) return message;
  const others = userIds.filter((each) => each !== userId);
  const after: Reaction = {
    emoji,
    count: count + (on ? 1 : -1),
    userIds: on && others.length < MAX_REACTION_USERS ? [...others, userId] : others,
  };
  const isNew = !before.includes(reaction);
  const all = isNew ? [...before, after] : before.map((each) => (each === reaction ? after : each));
  const reactions = all.filter((each) => (each.count ?? 0) > 0);
  return { ...message, reactions: reactions.length > 0 ? reactions : undefined };
}
