// The rooms that somebody has asked for. One that nobody listens to any more is left, and let go of; it is the same object again for as long as the
// application has it.

import type { Timer } from "../platform.js";
import { Room, type RoomContext } from "./room.js";

/** How often it is looked at. A room is left the second time that nobody listens to it. */
const LOOK_MS = 60_000;

interface Held {
  /** Undefined: nobody but the application keeps it. */
  room: Room | undefined;
  readonly ref: WeakRef<Room>;
  idle: boolean;
}

export class Rooms {
  readonly #context: RoomContext;
  readonly #rooms = new Map<string, Held>();
  #timer: Timer | undefined;

  constructor(context: RoomContext) {
    this.#context = context;
  }

  /** Undefined: nobody has asked for it, or nobody has it any more. */
  get(id: string): Room | undefined {
    return this.#rooms.get(id)?.ref.deref();
  }

  get all(): readonly Room[] {
    return [...this.#rooms.values()].flatMap(({ ref }) => ref.deref() ?? []);
  }

  /** The same one for the same id. */
  of(id: string): Room {
    let room = this.get(id);
    if (room === undefined) {
      room = new Room(id, this.#context);
      this.#rooms.set(id, { room, ref: new WeakRef(room), idle: false });
    } else this.used(room);
    return room;
  }

  /** Somebody wants something of it. */
  used(room: Room): void {
    const held = this.#rooms.get(room.id);
    if (held === undefined) return;
    held.room = room;
    held.idle = false;
  }

  /** Looks at them now and then, until `rest`. */
  watch(): void {
    this.#timer?.cancel();
    this.#timer = this.#context.platform.after(LOOK_MS, () => {
      for (const [id, held] of this.#rooms) {
        const room = held.ref.deref();
        if (room === undefined) this.#rooms.delete(id);
        else if (room.wanted) held.idle = false;
        else if (held.idle) {
          room.leave();
          held.room = undefined;
        } else held.idle = true;
      }
      this.watch();
    });
  }

  rest(): void {
    this.#timer?.cancel();
  }
}
