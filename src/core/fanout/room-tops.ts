// Tells the members of small rooms who are there, but do not read the room, that it has moved on: at most once a second per room.

import { create } from "@bufbuild/protobuf";
import { type Position, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import { RoomTopSchema, SignalsSchema } from "../../gen/trunkline/v1/session_pb.js";
import type { Timer } from "../../ports/clock.js";
import { EncodedFrame } from "../../ports/encoded-frame.js";
import type { NewRecord } from "../../ports/event-log.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { isAnnouncements } from "../room/announcements.js";
import { inboxRef, isInbox } from "../room/inbox.js";
import { mayRead } from "../room/permissions.js";
import { shardOf } from "../room/position.js";
import { rootOf } from "../room/sub-room.js";
import { serverFrame } from "../session/frames.js";

const INTERVAL_MS = 1_000;
/** Members of a room beyond which nobody is told. */
const MAX_MEMBERS = 100;
/** Rooms whose members are remembered; the one that has rested longest is forgotten. */
const MAX_ROOMS = 2_000;
/** Rooms whose members are read at once; the others wait for the next time. */
const MAX_READS = 64;

interface Watched {
  readonly ref: RoomRef;
  /** Of the room whose members it has, if that is another. */
  readonly rootRef: RoomRef | undefined;
  position: Position | undefined;
  /** 0: not known. */
  lastMessageIndex: number;
  /** Counts changes of who may read it. */
  changes: number;
  /** The inboxes of those who may read it; undefined: not known. Empty where they are too many. */
  readers: readonly RoomRef[] | undefined;
  /** Its shard has been released since. */
  gone: boolean;
}

export class RoomTops {
  readonly #deps: CoreDependencies;
  /** The one that has rested longest first. */
  readonly #rooms = new Map<string, Watched>();
  /** Those that have moved since their members were told. */
  #moved = new Set<Watched>();
  #timer: Timer | undefined;
  #telling = false;
  #stopped = false;

  constructor(deps: CoreDependencies) {
    this.#deps = deps;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Events have become durable. */
  appended(records: readonly NewRecord[]): void {
    if (this.#stopped) return;
    for (const { room, event } of records) this.#move(this.#rooms.get(room.key) ?? this.#watch(room), event.event);
    this.#schedule();
  }

  /** The shard is another node's: what is known of its rooms grows old, and their members are told by that node. */
  released(shard: number): void {
    for (const room of this.#rooms.values()) {
      if (shardOf(room.ref.key, this.#deps.log.shards) !== shard) continue;
      this.#rooms.delete(room.ref.key);
      this.#moved.delete(room);
      room.gone = true;
    }
  }

  #move(room: Watched | undefined, { kind, position }: NewRecord["event"]["event"]): void {
    if (room === undefined) return;
    switch (kind.case) {
      case "messageCreated":
        room.lastMessageIndex = kind.value.messageIndex;
        break;
      case "memberJoined":
      case "memberLeft":
      case "memberChanged":
      case "roomDeleted":
        if (kind.case === "roomDeleted" && room.rootRef !== undefined) {
          this.#rooms.delete(room.ref.key);
          this.#moved.delete(room);
          return;
        }
        room.readers = undefined;
        room.changes++;
        break;
    }
    room.position = position;
    const { readers } = this.#rooms.get(room.rootRef?.key ?? "") ?? room;
    if (readers === undefined || readers.length > 0) this.#moved.add(room);
  }

  /** Undefined: an inbox, whose user's sessions hear of it anyway, or the announcements, whose readers are too many. */
  #watch(ref: RoomRef): Watched | undefined {
    if (isInbox(ref) || isAnnouncements(ref.roomId)) return undefined;
    const rootRef = rootOf(ref);
    const room: Watched = {
      ref,
      rootRef,
      position: undefined,
      lastMessageIndex: 0,
      changes: 0,
      readers: undefined,
      gone: false,
    };
    this.#rooms.set(ref.key, room);
    if (this.#rooms.size > MAX_ROOMS) {
      const oldest = this.#rooms.values().next();
      if (oldest.done !== true) {
        this.#rooms.delete(oldest.value.ref.key);
        this.#moved.delete(oldest.value);
      }
    }
    return room;
  }

  #schedule(): void {
    if (this.#moved.size === 0 || this.#telling || this.#timer !== undefined || this.#stopped) return;
    this.#timer = this.#deps.clock.after(INTERVAL_MS, () => {
      this.#timer = undefined;
      this.#telling = true;
      // Whoever was not told now is told with the room's next event.
      this.#tellAll().finally(() => {
        this.#telling = false;
        this.#schedule();
      });
    });
  }

  /** Never rejects. */
  async #tellAll(): Promise<void> {
    const moved = this.#moved;
    this.#moved = new Set();
    let reads = 0;
    for (const room of moved) {
      if (room.gone) continue;
      if (this.#membersOf(room).readers === undefined && ++reads > MAX_READS) {
        this.#moved.add(room);
        continue;
      }
      // Behind those that rest.
      if (this.#rooms.delete(room.ref.key)) this.#rooms.set(room.ref.key, room);
      try {
        await this.#tell(room);
      } catch (cause) {
        if (!room.gone) this.#deps.telemetry.emit("fault", { where: "telling of a room's top", cause });
      }
      if (this.#stopped) return;
    }
  }

  async #tell(room: Watched): Promise<void> {
    const members = this.#membersOf(room);
    const readers = members.readers ?? (await this.#read(members));
    if (room.lastMessageIndex === 0) room.lastMessageIndex = await this.#lastIndexOf(room.ref);
    const [first] = readers;
    if (first === undefined || room.gone || this.#stopped) return;
    const { ref, position, lastMessageIndex } = room;
    const top = create(RoomTopSchema, { roomId: ref.roomId, top: position, lastMessageIndex });
    const frame = EncodedFrame.of(serverFrame({ case: "signals", value: create(SignalsSchema, { top }) }));
    for (const inbox of readers) this.#deps.fanout.signal(inbox, frame);
  }

  /** Where it is known who reads the room. */
  #membersOf(room: Watched): Watched {
    if (room.rootRef === undefined) return room;
    return this.#rooms.get(room.rootRef.key) ?? this.#watch(room.rootRef) ?? room;
  }

  async #lastIndexOf(ref: RoomRef): Promise<number> {
    return (await this.#deps.archive.room(ref))?.room?.lastMessageIndex ?? 0;
  }

  async #read(room: Watched): Promise<readonly RoomRef[]> {
    const { archive, ids } = this.#deps;
    const { changes } = room;
    const document = await archive.room(room.ref);
    const members = await archive.members(room.ref, { after: "", limit: MAX_MEMBERS + 1 });
    room.lastMessageIndex = Math.max(room.lastMessageIndex, document?.room?.lastMessageIndex ?? 0);
    const { tenantId } = room.ref;
    const readers =
      members.length > MAX_MEMBERS || document?.room?.status === RoomStatus.DELETED
        ? []
        : members.flatMap(({ member }) =>
            member !== undefined && mayRead(member) ? [inboxRef(ids, tenantId, member.userId)] : [],
          );
    // Whoever came or went meanwhile is read of again.
    if (room.changes === changes) room.readers = readers;
    return readers;
  }
}
