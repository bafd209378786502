// What a crowd of `edge` gets: of the channel and of the small rooms, that nothing is missing or doubled, and how late each message is.

import { LatencyHistogram } from "../stats.js";
import { afterText, findMarker, numberAt } from "../wire/message-text.js";
import { EventWalker } from "../wire/walk.js";
import { CHANNEL } from "./edge-rooms.js";
import { dueAt, type Schedule } from "./pace.js";

const CHANNEL_INITIAL = CHANNEL.charCodeAt(0);

export interface Lap {
  /** Number of the first message; those of earlier laps have lower ones. */
  readonly from: number;
  readonly schedule: Schedule;
  /** The first that is measured. */
  readonly windowFrom: number;
}

/** Messages of one kind of room. */
export class Arrivals {
  /** Since the start. */
  deliveries = 0;
  /** Measured messages of this lap that have arrived. */
  measured = 0;
  readonly latencies = new LatencyHistogram();
  /** By member, the seq that has arrived last. */
  readonly #tops: Float64Array;
  #lap: Lap = { from: 0, schedule: { startAt: 0, intervalMs: 1, count: 0 }, windowFrom: 0 };

  constructor(members: number) {
    this.#tops = new Float64Array(members);
  }

  /** A member is subscribed, and gets what comes after `seq`. */
  subscribed(member: number, seq: number): void {
    this.#tops[member] = seq;
  }

  begin(lap: Lap): void {
    this.#lap = lap;
    this.measured = 0;
    this.latencies.clear();
  }

  /** Throws unless the events are the member's next ones. */
  received(member: number, walker: EventWalker, buffer: Buffer, end: number): void {
    const top = this.#tops[member] ?? 0;
    if (!walker.dense || walker.first !== top + 1) throw new Error(`got seq ${walker.first} after ${top}`);
    this.#tops[member] = top + walker.count;
    this.deliveries += walker.count;
    const { from, schedule, windowFrom } = this.#lap;
    const now = performance.now();
    let at = walker.firstAt;
    for (let left = walker.count; left > 0; left--) {
      at = findMarker(buffer, at, end);
      if (at < 0) throw new Error("got an event that is no message");
      const n = numberAt(buffer, at);
      at = afterText(at);
      if (n < windowFrom || n >= from + schedule.count) continue;
      this.measured++;
      this.latencies.record(now - dueAt(schedule, n - from));
    }
  }
}

export class EdgeWatch {
  readonly channel: Arrivals;
  readonly rooms: Arrivals;
  /** The first failure. */
  failed: string | undefined;
  readonly #walker = new EventWalker();

  constructor(members: number) {
    this.channel = new Arrivals(members);
    this.rooms = new Arrivals(members);
  }

  readonly fail = (reason: string): void => {
    this.failed ??= reason;
  };

  received(member: number, buffer: Buffer, start: number, end: number): void {
    const walker = this.#walker;
    if (!walker.walk(buffer, start, end) || walker.count === 0) return;
    const arrivals = buffer[walker.roomAt] === CHANNEL_INITIAL ? this.channel : this.rooms;
    arrivals.received(member, walker, buffer, end);
  }
}
