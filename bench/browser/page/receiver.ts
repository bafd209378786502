// Runs in the page: what every contestant's page tells of itself, as `globalThis.receiver`.

import { type Due, Ordered } from "./ordered.js";

export interface Receiver {
  /** Resolves once all its rooms are live. */
  start(options: StartOptions): Promise<void>;
  /** The measured window begins. */
  begin(due: Due): void;
  figures(): ReceiverFigures;
}

export interface StartOptions {
  readonly url: string;
  readonly token: string;
  readonly rooms: readonly string[];
}

export interface ReceiverFigures {
  readonly received: number;
  readonly frames: number;
  readonly doubled: number;
  /** In milliseconds, of some of the messages since the window began. */
  readonly latencies: readonly number[];
  /** How long the tasks since the window began took that blocked the page for more than 50 ms. */
  readonly longTasksMs: readonly number[];
}

/** What a contestant's page makes of a connection. */
export interface Heard {
  /** The text of a message. */
  message(text: string): void;
  /** A WebSocket message with events. */
  frame(): void;
}

/** Offers a receiver to whoever drives the page. */
export function offer(connect: (options: StartOptions, heard: Heard) => Promise<void>): void {
  let ordered = new Ordered(1);
  let frames = 0;
  const longTasksMs: number[] = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longTasksMs.push(duration);
    // Node's types do not know it.
  }).observe({ entryTypes: ["longtask" as "measure"] });
  const receiver: Receiver = {
    async start(options) {
      ordered = new Ordered(options.rooms.length);
      await connect(options, {
        message: (text) => ordered.take(text),
        frame: () => {
          frames++;
        },
      });
    },
    begin(due) {
      ordered.begin(due);
      longTasksMs.length = 0;
    },
    figures: () => ({
      received: ordered.received,
      frames,
      doubled: ordered.doubled,
      latencies: ordered.latencies,
      longTasksMs: [...longTasksMs],
    }),
  };
  Object.assign(globalThis, { receiver });
}
