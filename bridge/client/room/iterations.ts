// Those who iterate over a room's events. The slowest sets the pace: the room is left for as long as somebody has not taken what waits.

import { Queue } from "../events.js";
import type { Position, RoomEvent } from "../gen/types.js";
import type { FeedState, RoomFeed } from "./feed.js";

export interface IterationOptions {
  /** The first event is the one after it. Without it: those from now on, or from where the room was closed. */
  readonly after?: Position;
  /** Events that may wait to be taken; with so many the room is left until they are. Default 1,000, at least 1. */
  readonly ahead?: number;
}

const AHEAD = 1_000;

export class Iterations {
  readonly #feed: () => Pick<RoomFeed, "pause" | "resume">;
  /** Somebody iterates no more. */
  readonly #left: () => void;
  readonly #queues = new Set<Queue<RoomEvent>>();
  readonly #full = new Set<Queue<RoomEvent>>();

  constructor(feed: () => Pick<RoomFeed, "pause" | "resume">, left: () => void) {
    this.#feed = feed;
    this.#left = left;
  }

  /** Whether anybody iterates. */
  get any(): boolean {
    return this.#queues.size > 0;
  }

  begin(ahead = AHEAD): Queue<RoomEvent> {
    const queue: Queue<RoomEvent> = new Queue({
      high: ahead,
      pause: () => {
        this.#full.add(queue);
        this.#feed().pause();
      },
      resume: () => this.#taken(queue),
      left: () => {
        if (!this.#queues.delete(queue)) return;
        this.#taken(queue);
        this.#left();
      },
    });
    this.#queues.add(queue);
    return queue;
  }

  event(event: RoomEvent): void {
    for (const queue of this.#queues) queue.push(event);
  }

  stateChanged(state: FeedState): void {
    if (state.status === "reset") this.#end(new Error(`cannot go on: ${state.reason}`));
    else if (state.status === "lost") this.#end(state.cause instanceof Error ? state.cause : undefined);
    else if (state.status === "off") this.#end(undefined);
  }

  #end(error: Error | undefined): void {
    for (const queue of this.#queues) queue.end(error);
    this.#queues.clear();
    this.#full.clear();
  }

  #taken(queue: Queue<RoomEvent>): void {
    if (this.#full.delete(queue) && this.#full.size === 0) this.#feed().resume();
  }
}
