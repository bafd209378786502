// The room of `fanout`, whoever serves it: what goes into it, and how its messages are counted.

import type { Target } from "../target.js";
import { afterText, findMarker, numberAt } from "../wire/message-text.js";
import type { Tally } from "./tally.js";

export interface FanoutInput {
  readonly target: Target;
  /** What receivers speak. Peers have one kind each. */
  readonly receivers: "binary" | "json" | "grpc" | "peer";
  readonly members: number;
  /** Messages a second, rising. */
  readonly rates: readonly number[];
  readonly warmupMs: number;
  readonly windowMs: number;
  /** How long to wait for what is still on its way when a rate has ended. */
  readonly graceMs: number;
}

/** Where the messages go through. */
export interface FanoutRoom {
  /** Sends message `n`, in order; queues what the server does not take yet. */
  publish(n: number): void;
  close(): void;
}

/** Counts the messages in a text frame; returns how many there were. */
export function countMessages(tally: Tally, receiver: number, buffer: Buffer, start: number, end: number): number {
  const now = performance.now();
  let count = 0;
  for (let at = findMarker(buffer, start, end); at >= 0; at = findMarker(buffer, afterText(at), end)) {
    tally.received(receiver, numberAt(buffer, at), 1, now);
    count++;
  }
  return count;
}
