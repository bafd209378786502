// Asks again, shortly before the last allow runs out, whether a session may go on reading its rooms.

import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import type { Caller } from "../room/calls.js";
import type { TimerWheel } from "../session/wheel.js";
import type { AccessGate } from "./access-gate.js";

/** At most so often is one session's room asked about, in milliseconds. */
const LEAST_MS = 1_000;
/** Between attempts while the hook is away, in milliseconds: often where it decides how long the session may read on. */
const RETRY_MS = { closed: 1_000, open: 5_000 };
/** The share of an allow's time after which it is asked for again: the rest is for a hook that is briefly away. */
const RENEW_AFTER = 0.75;

export interface WatchingSession {
  readonly caller: Caller;
  /** Nobody can say whether the user may read on. */
  unanswered(ref: RoomRef): void;
}

/** The rooms that one session reads live and the hook has a say in. */
export class AccessWatch {
  readonly #clock: CoreDependencies["clock"];
  readonly #gate: AccessGate;
  readonly #wheel: TimerWheel;
  readonly #session: WatchingSession;
  readonly #rooms = new Map<string, WatchedRoom>();

  constructor(clock: CoreDependencies["clock"], gate: AccessGate, wheel: TimerWheel, session: WatchingSession) {
    this.#clock = clock;
    this.#gate = gate;
    this.#wheel = wheel;
    this.#session = session;
  }

  /** Begins, or begins anew; a denial takes the user out of the room, and so ends the subscription. */
  watch(ref: RoomRef): void {
    this.unwatch(ref.roomId);
    const room = new WatchedRoom(ref, (watched) => this.#renew(watched));
    this.#rooms.set(ref.roomId, room);
    this.#schedule(room);
  }

  unwatch(roomId: string): void {
    const room = this.#rooms.get(roomId);
    if (room === undefined) return;
    this.#rooms.delete(roomId);
    this.#wheel.remove(room);
  }

  end(): void {
    for (const room of this.#rooms.values()) this.#wheel.remove(room);
    this.#rooms.clear();
  }

  #schedule(room: WatchedRoom): void {
    const nowMs = this.#clock.monotonic();
    const { untilMs = nowMs, ttlMs = 0 } = this.#gate.reading(room.ref, this.#session.caller.identity.userId) ?? {};
    room.askAtMs = Math.max(untilMs - ttlMs * (1 - RENEW_AFTER), nowMs + LEAST_MS);
    room.untilMs = Math.max(untilMs, room.askAtMs);
    this.#wheel.schedule(room, room.askAtMs - nowMs);
  }

  #renew(room: WatchedRoom): void {
    const { caller } = this.#session;
    // Their token has a grant by now.
    if (!this.#gate.asksAbout(caller)) {
      this.unwatch(room.ref.roomId);
      return;
    }
    const known = this.#gate.reading(room.ref, caller.identity.userId);
    // Another session of the user has asked meanwhile.
    const renewed = known !== undefined && known.untilMs > room.untilMs;
    const renewing = renewed ? Promise.resolve() : this.#gate.renew(room.ref, caller);
    void renewing.then(
      () => {
        if (this.#watches(room)) this.#schedule(room);
      },
      () => {
        if (this.#watches(room)) this.#failed(room);
      },
    );
  }

  #failed(room: WatchedRoom): void {
    const nowMs = this.#clock.monotonic();
    const { failure } = this.#gate;
    if (failure === "closed" && nowMs >= room.untilMs) {
      this.unwatch(room.ref.roomId);
      this.#session.unanswered(room.ref);
      return;
    }
    room.askAtMs = nowMs + RETRY_MS[failure];
    this.#wheel.schedule(room, RETRY_MS[failure]);
  }

  #watches(room: WatchedRoom): boolean {
    return this.#rooms.get(room.ref.roomId) === room;
  }
}

class WatchedRoom {
  slot = -1;
  /** Monotonic. */
  askAtMs = 0;
  untilMs = 0;
  readonly ref: RoomRef;
  readonly #renew: (room: WatchedRoom) => void;

  constructor(ref: RoomRef, renew: (room: WatchedRoom) => void) {
    this.ref = ref;
    this.#renew = renew;
  }

  /** Called by the wheel, perhaps before the time. */
  tick(monotonicMs: number): number {
    if (monotonicMs < this.askAtMs) return this.askAtMs - monotonicMs;
    this.#renew(this);
    return 0;
  }
}
