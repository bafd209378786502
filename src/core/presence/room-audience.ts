// Who watches a room's presence on this node, and what each of them is told: encoded once for all who see the same.

import { create } from "@bufbuild/protobuf";
import { type Presence, PresenceChangesSchema, type RoomPresenceCount } from "../../gen/trunkline/v1/session_pb.js";
import { EncodedFrame } from "../../ports/encoded-frame.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { SignalFrame } from "../fanout/shared-frame.js";
import { serverFrame } from "../session/frames.js";
import type { PresenceHub } from "./hub.js";

/** A session that watches rooms, as they see it. */
export interface RoomPresenceReader<Room> {
  readonly userId: string;
  /** Whether it watches whatever its membership. */
  readonly privileged: boolean;
  /** Whether members that have blocked it look offline to it. */
  readonly heedsBlocks: boolean;
  /** Something of this room. */
  offer(frame: SignalFrame, room: Room): void;
  /** The right to see the room's presence is lost: it is no longer watched. */
  lostRoom(roomId: string): void;
}

export class RoomAudience<Room> {
  readonly #ref: RoomRef;
  readonly #hub: PresenceHub;
  /** How often each watches. */
  readonly #readers = new Map<RoomPresenceReader<Room>, number>();

  constructor(ref: RoomRef, hub: PresenceHub) {
    this.#ref = ref;
    this.#hub = hub;
  }

  get empty(): boolean {
    return this.#readers.size === 0;
  }

  /** A copy: it may be changed meanwhile. */
  get all(): readonly RoomPresenceReader<Room>[] {
    return [...this.#readers.keys()];
  }

  has(reader: RoomPresenceReader<Room>): boolean {
    return this.#readers.has(reader);
  }

  join(reader: RoomPresenceReader<Room>): void {
    this.#readers.set(reader, (this.#readers.get(reader) ?? 0) + 1);
  }

  leave(reader: RoomPresenceReader<Room>): void {
    const times = this.#readers.get(reader) ?? 0;
    if (times > 1) this.#readers.set(reader, times - 1);
    else this.#readers.delete(reader);
  }

  /** Takes the room away from a reader. */
  lose(reader: RoomPresenceReader<Room>): void {
    if (this.#readers.delete(reader)) reader.lostRoom(this.#ref.roomId);
  }

  /** Those of the members who look offline to the reader. */
  hiddenFrom({ heedsBlocks, userId }: RoomPresenceReader<Room>, members: readonly string[]): readonly string[] {
    if (!heedsBlocks) return NOBODY;
    return members.filter((member) => this.#hub.hides(this.#ref.tenantId, member, userId));
  }

  /** Tells each of what is not hidden from them. */
  tell(room: Room, presences: readonly Presence[], counts: readonly RoomPresenceCount[]): void {
    if (this.empty) return;
    const hiding = this.#hub.hiding(
      this.#ref.tenantId,
      presences.map(({ userId }) => userId),
    );
    const frames = new Map<string, SignalFrame>();
    for (const reader of this.#readers.keys()) {
      const hidden = hiding.length === 0 ? hiding : this.hiddenFrom(reader, hiding);
      if (hidden.length === presences.length && counts.length === 0) continue;
      const key = hidden.join(" ");
      const frame =
        frames.get(key) ??
        frameOf(
          presences.filter(({ userId }) => !hidden.includes(userId)),
          counts,
        );
      frames.set(key, frame);
      reader.offer(frame, room);
    }
  }

  /** Tells one user alone, wherever they watch from. */
  tellUser(room: Room, userId: string, presence: Presence): void {
    const frame = frameOf([presence], []);
    for (const reader of this.#readers.keys()) {
      if (reader.heedsBlocks && reader.userId === userId) reader.offer(frame, room);
    }
  }

  /** Whether this user watches, held to blocks. */
  hasUser(userId: string): boolean {
    return this.all.some((reader) => reader.heedsBlocks && reader.userId === userId);
  }
}

const NOBODY: readonly string[] = [];

function frameOf(presences: readonly Presence[], counts: readonly RoomPresenceCount[]): SignalFrame {
  const value = create(PresenceChangesSchema, { presences: [...presences], counts: [...counts] });
  return new SignalFrame(EncodedFrame.of(serverFrame({ case: "presenceChanges", value })));
}
