// What is left of a room that was deleted: the fact, and nothing of what it was or whose.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import type { Following } from "./follower.js";

export class DeletedRooms implements Following {
  readonly name = "deleted-rooms";
  readonly #deps: CoreDependencies;

  constructor(deps: CoreDependencies) {
    this.#deps = deps;
  }

  handle(room: RoomRef, { event, seq }: EncodedEvent): Promise<void> | undefined {
    return event.kind.case === "roomDeleted" ? this.#clear(room, seq) : undefined;
  }

  async #clear(room: RoomRef, deletedSeq: number): Promise<void> {
    const { archive } = this.#deps;
    // First, so that nobody's list of rooms is thin for long.
    await archive.dismiss(room);
    // The deletion itself stays, so that whoever comes back learns of it.
    await archive.purge(room, deletedSeq - 1);
  }
}
