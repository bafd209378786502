// Who has come to a room and gone from it, for the lines between the messages: from the last events before it was opened, and all since.

import type { Client } from "../../client/client.js";
import type { RoomEvent } from "../../client/gen/types.js";

export interface Coming {
  /** Where it stands among the messages. */
  readonly seq: number;
  readonly text: string;
}

/** Events before the room was opened that are looked through: one page. */
const BEFORE = 200;
/** Lines that are kept. */
const MOST = 500;

export class Comings {
  readonly #listeners = new Set<() => void>();
  #all: readonly Coming[] = [];

  /** In order; another list after each change. */
  get all(): readonly Coming[] {
    return this.#all;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  happened(...events: readonly RoomEvent[]): void {
    const known = new Set(this.#all.map(({ seq }) => seq));
    const added = events.flatMap((event) => {
      const text = textOfComing(event);
      const { seq = 0 } = event.position ?? {};
      return text === undefined || known.has(seq) ? [] : [{ seq, text }];
    });
    if (added.length === 0) return;
    this.#all = [...this.#all, ...added].sort((a, b) => a.seq - b.seq).slice(-MOST);
    for (const listener of this.#listeners) listener();
  }

  /** Reads those of before. Never rejects: without them there are fewer lines. */
  async load(client: Client, roomId: string, topSeq: number): Promise<void> {
    try {
      const getEvents = { roomId, fromSeq: Math.max(topSeq - BEFORE + 1, 1), toSeq: topSeq, limit: BEFORE };
      const { getEvents: page } = await client.call({ getEvents });
      this.happened(...(page?.events ?? []));
    } catch {
      // There is no connection, or they are not kept for so long.
    }
  }
}

function textOfComing({ actor, roomCreated, memberJoined, memberLeft }: RoomEvent): string | undefined {
  const by = actor?.displayName || actor?.userId || "Somebody";
  if (roomCreated !== undefined) return `${by} made the room`;
  if (memberJoined !== undefined) {
    const { userId = "", displayName } = memberJoined.member ?? {};
    return userId === actor?.userId ? `${by} joined` : `${by} added ${displayName || userId}`;
  }
  if (memberLeft !== undefined) {
    const { userId = "" } = memberLeft;
    return userId === actor?.userId ? `${by} left` : `${by} removed ${userId}`;
  }
  return undefined;
}
