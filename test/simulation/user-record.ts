// What a user keeps for themselves, as the checker has it from the events of their inbox.

import type { RoomEvent } from "../../src/gen/trunkline/v1/message_pb.js";

export class UserRecord {
  readonly userId: string;
  readonly settings = new Map<string, { readonly value: string; readonly version: number }>();
  /** By room: the indexes of hidden messages. */
  readonly hidden = new Map<string, Set<number>>();
  /** Whom the user has blocked, by the event that says so. */
  readonly blocked = new Map<string, string>();
  readonly everBlocked = new Set<string>();
  /** How often the user was told of what rooms have for them, each by its name. */
  readonly told = new Map<string, number>();

  constructor(userId: string) {
    this.userId = userId;
  }

  /** Takes the next event of the inbox. Returns what is wrong with it, if anything. */
  take({ kind, actor, eventId }: RoomEvent): string | undefined {
    switch (kind.case) {
      case "settingChanged": {
        const { key, value, version } = kind.value;
        if (actor?.userId !== this.userId) return "may not set another's settings";
        const before = this.settings.get(key)?.version ?? 0;
        if (version !== (value.length === 0 ? 0 : before + 1)) return `version ${version} of ${key} after ${before}`;
        if (value.length === 0) this.settings.delete(key);
        else this.settings.set(key, { value: textOf(value), version });
        return undefined;
      }
      case "messageHidden": {
        if (actor?.userId !== this.userId) return "may not hide from another";
        const { roomId, messageIndex } = kind.value;
        this.hidden.set(roomId, (this.hidden.get(roomId) ?? new Set()).add(messageIndex));
        return undefined;
      }
      case "userBlocked": {
        if (actor?.userId !== this.userId) return "may not block for another";
        const { userId, blocked } = kind.value;
        if (this.blocked.has(userId) === blocked) return `a block of ${userId} that changes nothing`;
        if (blocked) this.blocked.set(userId, eventId);
        else this.blocked.delete(userId);
        this.everBlocked.add(userId);
        return undefined;
      }
      case "addedToRoom":
      case "removedFromRoom":
        this.#isTold(`${kind.case} ${kind.value.roomId}`);
        return undefined;
      case "mentioned":
        this.#isTold(mentionOf(kind.value.roomId, kind.value.messageId));
        return undefined;
      default:
        return undefined;
    }
  }

  #isTold(what: string): void {
    this.told.set(what, (this.told.get(what) ?? 0) + 1);
  }
}

/** A name for being named in a message. */
export function mentionOf(roomId: string, messageId: string): string {
  return `mentioned ${roomId} ${messageId}`;
}

export function textOf(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}
