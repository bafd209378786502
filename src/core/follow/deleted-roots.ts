// The rooms under one that was deleted: gone with it at once, and told so each, so that what they hold is cleared as that of any other.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { systemOf } from "../room/inbox.js";
import type { RoomOwner } from "../room/owner.js";
import { isSubRoom } from "../room/sub-room.js";
import type { Following } from "./follower.js";

/** Rooms ended at once. */
const AT_ONCE = 100;

export class DeletedRoots implements Following {
  readonly name = "deleted-roots";
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;

  constructor(deps: CoreDependencies, owner: RoomOwner) {
    this.#deps = deps;
    this.#owner = owner;
  }

  handle(room: RoomRef, { event }: EncodedEvent): Promise<void> | undefined {
    return event.kind.case === "roomDeleted" && !isSubRoom(room.roomId) ? this.#endAll(room) : undefined;
  }

  async #endAll(root: RoomRef): Promise<void> {
    for (;;) {
      const roomIds = await this.#deps.archive.subRooms(root, { after: "", limit: AT_ONCE });
      await Promise.all(roomIds.map((roomId) => this.#end(roomRef(root.tenantId, roomId))));
      if (roomIds.length < AT_ONCE) return;
    }
  }

  #end(room: RoomRef): Promise<unknown> {
    // Not the first try, perhaps: the archive is asked.
    const command = { kind: "deleteWithRoot", key: "~root-deleted", attempt: 2 } as const;
    return this.#owner.submit(room, systemOf(room), command).outcome;
  }
}
