// Readers of tails as they are held against the log: each sees every event of its tenant once, in each room's order, however often it is
// cut off, but for what is no longer kept.

import type { RoomEvent } from "../../src/gen/trunkline/v1/message_pb.js";
import type { Checker } from "./checker.js";
import { Violation } from "./violation.js";

interface Reader {
  readonly tenantId: string;
  /** The top of each room when it began. */
  readonly begunAt: ReadonlyMap<string, number>;
  /** By room: the last seq it has dealt with. */
  readonly seen: Map<string, number>;
  /** By room: the last seq of the stream that is open. */
  streamed: Map<string, number>;
}

export class TailRecords {
  readonly #checker: Checker;
  readonly #readers = new Map<string, Reader>();

  constructor(checker: Checker) {
    this.#checker = checker;
  }

  /** A reader begins at where the log ends now: it must see what comes after. */
  begins(name: string, tenantId: string): void {
    const begunAt = new Map([...this.#roomsOf(tenantId)].map(({ key, top }) => [key, top]));
    this.#readers.set(name, { tenantId, begunAt, seen: new Map(), streamed: new Map() });
  }

  /** A reader goes on from a cursor: what it has dealt with may come again. */
  goesOn(name: string): void {
    this.#reader(name).streamed = new Map();
  }

  /** Events of a room leave for a reader. Returns those that it has not dealt with before. */
  told(name: string, roomKey: string, events: readonly RoomEvent[]): readonly RoomEvent[] {
    const reader = this.#reader(name);
    if (!roomKey.startsWith(`${reader.tenantId}/`))
      throw new Violation("not permitted", `${name} was told of ${roomKey}`);
    return events.filter((event) => {
      this.#checker.requireLogged(roomKey, event);
      const seq = event.position?.seq ?? 0;
      const named = `${name} was told of ${seq} of ${roomKey}`;
      const last = reader.streamed.get(roomKey) ?? 0;
      if (seq === last) throw new Violation("doubled", `${named} twice`);
      if (seq < last) throw new Violation("reordered", `${named} after ${last}`);
      const seen = this.#seen(reader, roomKey);
      if (seq <= seen) {
        reader.streamed.set(roomKey, seq);
        return false;
      }
      if (!this.#isKeptFrom(roomKey, seen + 1, seq)) throw new Violation("hole", `${named} after ${seen}`);
      reader.streamed.set(roomKey, seq);
      reader.seen.set(roomKey, seq);
      return true;
    });
  }

  /** What the reader has still to be told; undefined: nothing. */
  missing(name: string): string | undefined {
    const reader = this.#readers.get(name);
    if (reader === undefined) return `${name} has not begun`;
    for (const { key, top } of this.#roomsOf(reader.tenantId)) {
      const seen = this.#seen(reader, key);
      if (seen < top && !this.#isKeptFrom(key, seen + 1, top + 1))
        return `${name} stands at ${seen} of ${key}, the log at ${top}`;
    }
    return undefined;
  }

  #reader(name: string): Reader {
    const reader = this.#readers.get(name);
    if (reader === undefined) throw new Violation("phantom", `${name} has not begun`);
    return reader;
  }

  #seen({ seen, begunAt }: Reader, roomKey: string): number {
    return seen.get(roomKey) ?? begunAt.get(roomKey) ?? 0;
  }

  /** Whether the first event that is kept may be `next`, where `from` is the first that is wanted. */
  #isKeptFrom(roomKey: string, from: number, next: number): boolean {
    return from === next || this.#checker.oncePurgedThrough(roomKey) >= next - 1;
  }

  *#roomsOf(tenantId: string): Iterable<{ readonly key: string; readonly top: number }> {
    for (const [key, { top }] of this.#checker.rooms) if (key.startsWith(`${tenantId}/`)) yield { key, top };
  }
}
