// What of rooms' events is to be told in the inboxes of users, and how often: once for each time that they are added, removed or named.

import type { RoomEvent } from "../../src/gen/trunkline/v1/message_pb.js";
import type { RoomRecord } from "./room-record.js";
import { mentionOf } from "./user-record.js";

/** How often a user is to be told of something. */
interface Due {
  readonly least: number;
  readonly most: number;
}

const ONCE: Due = { least: 1, most: 1 };
const PERHAPS: Due = { least: 0, most: 1 };
const NEVER: Due = { least: 0, most: 0 };

/** Whether a user is told that a message names them, as far as blocks decide it. */
type Hears = (tenantId: string, userId: string, message: RoomEvent) => "surely" | "perhaps" | "never";

/** By user, and then by what: all that a room's users are to be told. */
export class DueInInboxes {
  readonly #hears: Hears;
  readonly #due = new Map<string, Map<string, Due>>();
  /** Messages whose words are gone, and whom they named with them, where all that is left was read again. */
  readonly #wordless = new Set<string>();

  constructor(hears: Hears) {
    this.#hears = hears;
  }

  /** Takes in what a room's events have for its users. */
  add(tenantId: string, roomId: string, room: RoomRecord): void {
    for (const event of room.events) {
      if (room.messages.isDeleted(event.eventId)) this.#wordless.add(mentionOf(roomId, event.eventId));
      for (const userId of addedBy(event)) this.#add(`${tenantId}/${userId}`, `addedToRoom ${roomId}`, ONCE);
      for (const userId of removedBy(event)) this.#add(`${tenantId}/${userId}`, `removedFromRoom ${roomId}`, ONCE);
      for (const userId of namedBy(event)) {
        const hears = this.#hears(tenantId, userId, event);
        const due = hears === "never" ? NEVER : mention(room, event, userId);
        this.#add(
          `${tenantId}/${userId}`,
          mentionOf(roomId, event.eventId),
          due === ONCE && hears === "perhaps" ? PERHAPS : due,
        );
      }
    }
  }

  /** What is wrong with what a user was told, if anything. */
  wrong(
    user: string,
    told: ReadonlyMap<string, number>,
  ): { readonly kind: "lost" | "doubled"; readonly what: string } | undefined {
    const due = this.#due.get(user) ?? new Map<string, Due>();
    for (const what of new Set([...told.keys(), ...due.keys()])) {
      const { least, most } = due.get(what) ?? (this.#wordless.has(what) ? PERHAPS : NEVER);
      const count = told.get(what) ?? 0;
      if (count >= least && count <= most) continue;
      const expected = least === most ? `${least}` : `${least} to ${most}`;
      return {
        kind: count < least ? "lost" : "doubled",
        what: `${user} was told ${count} times of ${what}, not ${expected}`,
      };
    }
    return undefined;
  }

  /** Users who are to be told something, or may be. */
  get users(): Iterable<string> {
    return this.#due.keys();
  }

  #add(user: string, what: string, { least, most }: Due): void {
    const due = this.#due.get(user) ?? new Map<string, Due>();
    this.#due.set(user, due);
    const before = due.get(what) ?? NEVER;
    due.set(what, { least: before.least + least, most: before.most + most });
  }
}

/** Whoever could not read the room when they were told is not told; whose words are gone by then neither. */
function mention(room: RoomRecord, { eventId, position }: RoomEvent, userId: string): Due {
  const seq = position?.seq ?? 0;
  const stays = room.mayRead(userId, seq) && !room.isLostAfter(userId, seq);
  if (stays && !room.messages.isDeleted(eventId)) return ONCE;
  return room.mayReadFrom(userId, seq) ? PERHAPS : NEVER;
}

/** The users that an event has made members of a room, whoever did it not among them. */
function addedBy({ kind, actor }: RoomEvent): readonly string[] {
  const members =
    kind.case === "roomCreated" ? kind.value.members : kind.case === "memberJoined" ? [kind.value.member] : [];
  return members.flatMap((member) => (member === undefined || member.userId === actor?.userId ? [] : [member.userId]));
}

/** Who was removed from a room by somebody else. */
function removedBy({ kind, actor }: RoomEvent): readonly string[] {
  return kind.case === "memberLeft" && kind.value.userId !== actor?.userId ? [kind.value.userId] : [];
}

/** Whom an event names, whoever said it not among them. */
function namedBy({ kind, actor }: RoomEvent): readonly string[] {
  if (kind.case !== "messageCreated") return [];
  return [...new Set(kind.value.mentions.map(({ userId }) => userId))].filter((userId) => userId !== actor?.userId);
}
