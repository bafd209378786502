// What is left of a room that was deleted: the fact, and nothing of what it was or whose. Who was there is forgotten at once; what was
// said, when those who read the log have read it.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import type { Following } from "./follower.js";

/** First, so that nobody's list of rooms is thin for long. */
export class DeletedRoomMembers implements Following {
  readonly name = "deleted-room-members";
  readonly #deps: CoreDependencies;

  constructor(deps: CoreDependencies) {
    this.#deps = deps;
  }

  handle(room: RoomRef, { event }: EncodedEvent): Promise<void> | undefined {
    return event.kind.case === "roomDeleted" ? this.#deps.archive.dismiss(room) : undefined;
  }
}

/**
 * Waits for all others who read what it removes: for followers and outlets, which run where it runs, and which look into the archive; and for
 * tails where the log is the archive's own, since both are in one process then. Tails of other nodes nobody could wait for, and need not: a
 * log that is kept beside the archive keeps its records for as long as its own retention says, whatever is removed from the archive.
 */
export class DeletedRooms implements Following {
  readonly name = "deleted-rooms";
  readonly #deps: CoreDependencies;

  constructor(deps: CoreDependencies) {
    this.#deps = deps;
  }

  removes({ event }: EncodedEvent): boolean {
    return event.kind.case === "roomDeleted";
  }

  handle(room: RoomRef, { event, seq }: EncodedEvent): Promise<void> | undefined {
    // The deletion itself stays, so that whoever comes back learns of it.
    return event.kind.case === "roomDeleted" ? this.#deps.archive.purge(room, seq - 1) : undefined;
  }
}
