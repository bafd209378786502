// Says how far the user has received and read rooms: after a burst of events, not with each of them, and never more of it than the server takes.

import type { ClientFrame, Mark } from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";

/** A room, or what stands for it. */
export interface Marking {
  /** What is to be said now, if anything. It counts as said. */
  take(): Mark | undefined;
}

export interface MarksContext {
  readonly platform: Pick<Platform, "after" | "monotonic">;
  readonly post: (frame: ClientFrame) => void;
  readonly live: () => boolean;
}

/** Between two marks of one room. */
const INTERVAL_MS = 1_000;
/** From the first event of a burst to its mark, and between two rounds. */
const ROUND_MS = 250;
/** Rooms of one round: 32 marks a second, where a session has 50. */
const ROUND = 8;

export class Marks {
  readonly #context: MarksContext;
  /** Those that have something to say, who waits longest first. */
  readonly #due = new Set<Marking>();
  /** When each has said something, within the last interval. */
  readonly #saidAtMs = new Map<Marking, number>();
  #timer: Timer | undefined;

  constructor(context: MarksContext) {
    this.#context = context;
  }

  /** Has the room asked before long what it has to say. */
  due(room: Marking): void {
    this.#due.add(room);
    this.#schedule();
  }

  /** What could not be said before is said now. */
  welcomed(): void {
    this.#schedule();
  }

  disconnected(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(): void {
    if (this.#due.size === 0 || !this.#context.live()) return;
    this.#timer ??= this.#context.platform.after(ROUND_MS, () => {
      this.#timer = undefined;
      this.#round();
      this.#schedule();
    });
  }

  #round(): void {
    const { platform, post } = this.#context;
    const nowMs = platform.monotonic();
    for (const [room, atMs] of this.#saidAtMs) if (nowMs - atMs >= INTERVAL_MS) this.#saidAtMs.delete(room);
    let left = ROUND;
    for (const room of this.#due) {
      if (this.#saidAtMs.has(room)) continue;
      if (left === 0) return;
      this.#due.delete(room);
      const mark = room.take();
      if (mark === undefined) continue;
      this.#saidAtMs.set(room, nowMs);
      post({ mark });
      left--;
    }
  }
}
