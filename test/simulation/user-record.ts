// What a user keeps for themselves, as the checker has it from the events of their inbox.

import type { RoomEvent } from "../../src/gen/trunkline/v1/message_pb.js";

export class UserRecord {
  readonly userId: string;
  readonly settings = new Map<string, { readonly value: string; readonly version: number }>();
  /** By room: the indexes of hidden messages. */
  readonly hidden = new Map<string, Set<number>>();
  /** By room: how often the user was told that they were added to it. */
  readonly added = new Map<string, number>();

  constructor(userId: string) {
    this.userId = userId;
  }

  /** Takes the next event of the inbox. Returns what is wrong with it, if anything. */
  take({ kind, actor }: RoomEvent): string | undefined {
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
      case "addedToRoom": {
        const { roomId } = kind.value;
        this.added.set(roomId, (this.added.get(roomId) ?? 0) + 1);
        return undefined;
      }
      default:
        return undefined;
    }
  }
}

/** The users that an event has made members of a room, whoever did it not among them. */
export function addedBy({ kind, actor }: RoomEvent): readonly string[] {
  const members =
    kind.case === "roomCreated" ? kind.value.members : kind.case === "memberJoined" ? [kind.value.member] : [];
  return members.flatMap((member) => (member === undefined || member.userId === actor?.userId ? [] : [member.userId]));
}

export function textOf(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}
