// What of a room's events is told in the inboxes of users: being added, being removed, being named.

import { create } from "@bufbuild/protobuf";
import {
  AddedToRoomSchema,
  MentionedSchema,
  type MessageCreated,
  RemovedFromRoomSchema,
  type RoomEvent,
  RoomKind,
} from "../../gen/trunkline/v1/message_pb.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import type { EventKind } from "../room/command.js";
import { inboxRef, systemOf } from "../room/inbox.js";
import type { RoomOwner } from "../room/owner.js";
import { mayRead } from "../room/permissions.js";
import type { Following } from "./follower.js";

export class InboxEffects implements Following {
  readonly name = "inbox";
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;

  constructor(deps: CoreDependencies, owner: RoomOwner) {
    this.#deps = deps;
    this.#owner = owner;
  }

  handle(room: RoomRef, encoded: EncodedEvent): Promise<void> | undefined {
    const { event } = encoded;
    const { kind, actor } = event;
    switch (kind.case) {
      case "messageCreated":
        return kind.value.mentions.length === 0 ? undefined : this.#mentioned(room, event, kind.value);
      case "roomCreated":
        if (kind.value.room?.kind === RoomKind.INBOX) return undefined;
        return this.#added(
          room,
          event,
          kind.value.members.map(({ userId }) => userId),
        );
      case "memberJoined":
        return this.#added(room, event, [kind.value.member?.userId ?? ""]);
      case "memberLeft":
        return kind.value.userId === actor?.userId ? undefined : this.#removed(room, event, kind.value.userId);
      default:
        return undefined;
    }
  }

  #added(ref: RoomRef, event: RoomEvent, users: readonly string[]): Promise<void> | undefined {
    const others = users.filter((userId) => userId !== "" && userId !== event.actor?.userId);
    return others.length === 0 ? undefined : this.#tellAdded(ref, event, others);
  }

  async #tellAdded(ref: RoomRef, event: RoomEvent, users: readonly string[]): Promise<void> {
    const room = await this.#owner.view(ref, [], ({ state }) => state.view());
    const { roomId } = ref;
    const { kind = RoomKind.UNSPECIFIED, name = "" } = room ?? {};
    const value = create(AddedToRoomSchema, { roomId, kind, name, by: event.actor });
    await this.#tell(ref, event, users, { case: "addedToRoom", value });
  }

  async #removed(ref: RoomRef, event: RoomEvent, userId: string): Promise<void> {
    const value = create(RemovedFromRoomSchema, { roomId: ref.roomId, by: event.actor });
    await this.#tell(ref, event, [userId], { case: "removedFromRoom", value });
  }

  /** Only those who can read the room and have not blocked the sender are told, and nobody of their own words. */
  async #mentioned(ref: RoomRef, event: RoomEvent, { mentions, messageIndex }: MessageCreated): Promise<void> {
    const named = [...new Set(mentions.map(({ userId }) => userId))].filter((userId) => userId !== event.actor?.userId);
    const readers = await this.#owner.view(ref, named, ({ state }) =>
      named.filter((userId) => mayRead(state.member(userId))),
    );
    const sender = event.actor?.userId ?? "";
    const blocked = await Promise.all(readers.map((userId) => this.#owner.blocks.has(ref.tenantId, userId, sender)));
    const { eventId: messageId, position } = event;
    const by = event.actor;
    const value = create(MentionedSchema, { roomId: ref.roomId, messageId, position, messageIndex, by });
    const heard = readers.filter((_, index) => blocked[index] === false);
    await this.#tell(ref, event, heard, { case: "mentioned", value });
  }

  async #tell({ tenantId }: RoomRef, event: RoomEvent, users: readonly string[], what: EventKind): Promise<void> {
    // The same key whenever this event is followed again.
    const key = `~f.${event.eventId}`;
    await Promise.all(
      users.map(async (userId) => {
        const inbox = inboxRef(this.#deps.ids, tenantId, userId);
        // Not the first try, perhaps: the archive is asked.
        const command = { kind: "tell", key, attempt: 2, userId, event: what } as const;
        try {
          await this.#owner.submit(inbox, systemOf(inbox), command).outcome;
        } catch (error) {
          // Refused for good is done; what could not be done now is tried again.
          if (TrunklineError.from(error).code === ErrorCode.UNAVAILABLE) throw error;
          this.#deps.telemetry.emit("fault", { where: "telling an inbox", cause: error });
        }
      }),
    );
  }
}
