// A subscription over a feed that loses, repeats and lags: no hole, no double, nothing after the loss of the room.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { settle } from "../use-core.js";
import { deleted, deniedReading, left, promoted, ReaderModel, RoomModel } from "./room-model.js";
import { WireModel } from "./wire-model.js";

const USERS = ["ada", "bob", "eve"];

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: Math.max(to - from + 1, 0) }, (_, index) => from + index);
}

type Step =
  | { readonly is: "grow"; readonly count: number; readonly heard: "all" | "none" | "first" | "last" }
  | { readonly is: "repeat"; readonly back: number }
  | { readonly is: "flush" }
  | { readonly is: "reach" }
  | {
      readonly is: "begin";
      readonly userId: string;
      readonly back: number;
      readonly capacity: number;
      readonly wired: boolean;
    }
  | { readonly is: "end"; readonly index: number }
  | { readonly is: "drain"; readonly index: number }
  | { readonly is: "archive"; readonly answers: "now" | "later" | "throws" }
  | { readonly is: "answer"; readonly fails: boolean }
  | { readonly is: "timers" }
  | { readonly is: "lose"; readonly userId: string; readonly how: "leave" | "deny"; readonly heard: boolean }
  | { readonly is: "purge"; readonly back: number }
  | { readonly is: "tell"; readonly count: number }
  | { readonly is: "wire"; readonly full: boolean }
  | { readonly is: "hear" }
  | { readonly is: "look"; readonly index: number; readonly may: boolean };

function step<I extends Step["is"]>(is: I) {
  return fc.constant(is);
}

const anyIndex = fc.nat({ max: 7 });
const anyBack = fc.nat({ max: 12 });
const anyUser = fc.constantFrom(...USERS);

const ordinary: fc.Arbitrary<Step>[] = [
  fc.record({
    is: step("grow"),
    count: fc.integer({ min: 1, max: 6 }),
    heard: fc.constantFrom("all" as const, "all" as const, "none" as const, "first" as const, "last" as const),
  }),
  fc.record({ is: step("repeat"), back: anyBack }),
  fc.record({ is: step("flush") }),
  fc.record({ is: step("reach") }),
  fc.record({
    is: step("begin"),
    userId: anyUser,
    back: anyBack,
    capacity: fc.constantFrom(1, 2, Number.POSITIVE_INFINITY),
    wired: fc.boolean(),
  }),
  fc.record({ is: step("wire"), full: fc.boolean() }),
  fc.record({ is: step("hear") }),
  fc.record({ is: step("look"), index: anyIndex, may: fc.boolean() }),
  fc.record({ is: step("end"), index: anyIndex }),
  fc.record({ is: step("drain"), index: anyIndex }),
  fc.record({ is: step("archive"), answers: fc.constantFrom("now" as const, "later" as const, "throws" as const) }),
  fc.record({ is: step("answer"), fails: fc.boolean() }),
  fc.record({ is: step("timers") }),
];
/** Mostly of readers that share a wire, and are up to date. */
const relaying: fc.Arbitrary<Step>[] = [
  ...ordinary,
  fc.record({
    is: step("begin"),
    userId: anyUser,
    back: fc.constant(0),
    capacity: fc.constantFrom(1, 2),
    wired: fc.constant(true),
  }),
  ...[1, 2, 3].map((count) => fc.record({ is: step("tell"), count: fc.constant(count) })),
];
const losing: fc.Arbitrary<Step> = fc.record({
  is: step("lose"),
  userId: anyUser,
  how: fc.constantFrom("leave" as const, "deny" as const),
  heard: fc.boolean(),
});
const purging: fc.Arbitrary<Step> = fc.record({ is: step("purge"), back: anyBack });

/** What is stated of a reader when it begins, and what has become of it. */
interface Begun {
  readonly reader: ReaderModel;
  readonly begin: number;
  /** The room's top when it was found to have access. */
  readonly authorized: number;
  ended: boolean;
}

class Scenario {
  readonly room: RoomModel;
  readonly wire = new WireModel();
  readonly readers: Begun[] = [];
  /** Seqs at which users lost the room. */
  readonly losses: { readonly seq: number; readonly userId: string }[] = [];

  constructor(ringBytes: number, page: number) {
    this.room = new RoomModel(ringBytes, page);
    this.room.grow(3);
  }

  async take(next: Step): Promise<void> {
    const { room } = this;
    switch (next.is) {
      case "grow":
        this.#grow(next.count, next.heard);
        return;
      case "repeat":
        room.announce(Math.max(room.feed.top - next.back, 1), room.feed.top);
        return;
      case "flush":
        room.flush();
        this.#written();
        return;
      case "reach":
        room.feed.hear(room.top);
        return;
      case "begin": {
        const begin = Math.max(room.top - next.back, 0);
        const reader = new ReaderModel(room, next.userId, next.capacity, next.wired ? this.wire : undefined);
        this.readers.push({ reader, begin, authorized: room.top, ended: false });
        reader.begin(begin);
        return;
      }
      case "end": {
        const begun = this.readers[next.index];
        if (begun === undefined || begun.reader.subscription.status === "ended") return;
        begun.ended = true;
        begun.reader.subscription.end();
        return;
      }
      case "drain":
        this.readers[next.index]?.reader.drain();
        return;
      case "archive":
        room.answers = next.answers;
        return;
      case "answer":
        room.answer(next.fails);
        await settle(2);
        return;
      case "timers":
        room.fireTimers();
        this.wire.clock.advance(1_000);
        return;
      case "lose":
        this.#lose(next.userId, next.how, next.heard);
        return;
      case "purge":
        room.firstKept = Math.max(room.firstKept, room.top - next.back + 1);
        return;
      case "tell":
        for (let n = 0; n < next.count; n++) {
          this.#grow(1, "all");
          room.flush();
          this.#written();
        }
        return;
      case "wire":
        this.wire.full = next.full;
        return;
      case "hear":
        this.wire.hear();
        return;
      case "look":
        this.readers[next.index]?.reader.subscription.seeMembers(room.top, next.may);
        return;
    }
  }

  #written(): void {
    for (const { reader } of this.readers) reader.written();
  }

  #grow(count: number, heard: "all" | "none" | "first" | "last"): void {
    const from = this.room.top + 1;
    this.room.grow(count);
    const to = this.room.top;
    if (heard === "all") this.room.announce(from, to);
    if (heard === "first") this.room.announce(from);
    if (heard === "last") this.room.announce(to);
  }

  #lose(userId: string, how: "leave" | "deny", heard: boolean): void {
    // Whoever is live and reads fast enough, and had no hole before.
    const { room } = this;
    const upToDate = this.readers.filter(
      ({ reader }) => reader.userId === userId && reader.subscription.status === "live" && reader.ready,
    );
    const dense = room.feed.top === room.top;
    const { seq } = room.happen(how === "leave" ? left(userId) : deniedReading(userId));
    this.losses.push({ seq, userId });
    if (!heard) return;
    room.announce(seq);
    if (!dense) return;
    for (const { reader } of upToDate) {
      expect(reader.losses).toEqual(["access-lost"]);
      expect(reader.seqs.at(-1)).toBe(seq);
    }
  }

  /** Nothing is held up any more, and the feed learns the top. */
  async settle(): Promise<void> {
    const { room } = this;
    room.answers = "now";
    room.feed.hear(room.top);
    for (let round = 0; round < 300; round++) {
      room.flush();
      while (room.waiting > 0) room.answer();
      await settle(1);
      room.fireTimers();
      for (const { reader } of this.readers) reader.drain();
      this.wire.full = false;
      this.wire.clock.advance(1_000);
      this.wire.hear();
      this.#written();
      const open = this.readers.filter(({ reader }) => reader.subscription.status === "catching-up");
      if (open.length === 0 && room.waiting === 0) return;
    }
    throw new Error("the readers do not come to rest");
  }

  check(): void {
    for (const begun of this.readers) this.#check(begun);
    const relayed = this.readers.filter(({ reader }) => reader.subscription.status === "relayed");
    expect([this.wire.attached, this.wire.relays.size]).toEqual([
      relayed.length,
      relayed.length > 0 ? expect.any(Number) : 0,
    ]);
  }

  #check({ reader, begin, authorized, ended }: Begun): void {
    const loss = this.losses.find(({ seq, userId }) => userId === reader.userId && seq > authorized);
    expect(reader.seqs).toEqual(range(begin + 1, begin + reader.seqs.length));
    const next = begin + reader.seqs.length + 1;
    if (reader.resets > 0) {
      // Only where what came next was gone, and it ends the subscription.
      expect([reader.resets, reader.subscription.status]).toEqual([1, "ended"]);
      expect(next).toBeLessThan(this.room.firstKept);
      return;
    }
    if (!ended && loss === undefined) expect(next).toBe(this.room.top + 1);
    if (loss !== undefined) {
      expect(reader.seqs.at(-1) ?? 0).toBeLessThanOrEqual(loss.seq);
      if (!ended) expect(reader.losses).toEqual(["access-lost"]);
      expect(reader.subscription.status).toBe("ended");
    } else expect(reader.losses).toEqual([]);
    if (!ended && loss === undefined) expect(["live", "relayed"]).toContain(reader.subscription.status);
  }
}

async function holds(steps: readonly fc.Arbitrary<Step>[]): Promise<void> {
  const scenario = fc.record({
    ringBytes: fc.constantFrom(1, 60, 400),
    page: fc.integer({ min: 1, max: 5 }),
    steps: fc.array(fc.oneof(...steps), { minLength: 1, maxLength: 50 }),
  });
  await fc.assert(
    fc.asyncProperty(scenario, async ({ ringBytes, page, steps: taken }) => {
      const run = new Scenario(ringBytes, page);
      for (const each of taken) await run.take(each);
      await run.settle();
      run.check();
    }),
    { numRuns: 400 },
  );
}

describe("every reader", () => {
  it("gets a dense stream from where it began, up to the top, whatever is lost, repeated or late", async () => {
    await holds(ordinary);
  }, 60_000);

  it("gets it over a wire that it shares, too, however slowly it reads", async () => {
    await holds([...relaying, losing]);
  }, 60_000);

  it("gets nothing after it lost the room, also where nobody told of the loss", async () => {
    await holds([...ordinary, losing]);
  }, 60_000);

  it("is told where the archive no longer has what comes next, and gets nothing more", async () => {
    await holds([...ordinary, purging]);
  }, 60_000);
});

describe("a live reader", () => {
  function live(capacity?: number): { room: RoomModel; ada: ReaderModel; bob: ReaderModel } {
    const room = new RoomModel();
    room.grow(5);
    const ada = new ReaderModel(room, "ada", capacity).begin();
    const bob = new ReaderModel(room, "bob").begin();
    return { room, ada, bob };
  }

  it("is handed the same frame as every other", () => {
    const { room, ada, bob } = live();
    room.grow(3);
    room.announce(6, 8);
    room.flush();
    expect(ada.seqs).toEqual([6, 7, 8]);
    expect(ada.frames[0]).toBe(bob.frames[0]);
    expect(room.reads).toBe(0);
  });

  it("that is full lags, is fed from the ring as it reads, and is live again", () => {
    const { room, ada } = live(1);
    for (let seq = 6; seq <= 12; seq++) {
      room.grow(1);
      room.announce(seq);
      room.flush();
    }
    expect([ada.subscription.status, ada.lags]).toEqual(["catching-up", 1]);
    for (let reads = 0; reads < 9; reads++) ada.drain();
    expect(ada.seqs).toEqual(range(6, 12));
    expect([ada.subscription.status, room.reads]).toEqual(["live", 0]);
  });

  it("learns from the owner's top of events that were never announced", () => {
    const { room, ada } = live();
    room.grow(4);
    room.feed.hear(room.top);
    expect(ada.seqs).toEqual([6, 7, 8, 9]);
  });

  it("learns from the owner's top of events lost behind those that are being collected", () => {
    const { room, ada } = live();
    room.grow(4);
    room.announce(6, 7);
    room.feed.hear(room.top);
    room.flush();
    expect(ada.seqs).toEqual([6, 7, 8, 9]);
  });

  it.each([
    ["leaves", left("ada")],
    ["may not read any more", deniedReading("ada")],
  ])("that %s gets that event at once, and nothing after it", (_, kind) => {
    const { room, ada, bob } = live();
    room.grow(1);
    room.happen(kind);
    room.grow(2);
    room.announce(6, 9);
    expect([ada.seqs, ada.losses, ada.subscription.status]).toEqual([[6, 7], ["access-lost"], "ended"]);
    room.flush();
    expect([ada.seqs, bob.seqs]).toEqual([
      [6, 7],
      [6, 7, 8, 9],
    ]);
    expect(room.feed.size).toBe(1);
  });

  it("keeps the room when its rights change otherwise", () => {
    const { room, ada } = live();
    room.happen(promoted("ada"));
    room.announce(6);
    room.flush();
    expect([ada.seqs, ada.losses]).toEqual([[6], []]);
  });

  it("of a deleted room gets that event, and all of them lose the room", () => {
    const { room, ada, bob } = live();
    room.happen(deleted());
    room.announce(6);
    for (const reader of [ada, bob]) expect([reader.seqs, reader.losses]).toEqual([[6], ["room-deleted"]]);
    expect(room.feed.size).toBe(0);
  });

  it("that came back after it had left is not taken for one who leaves", () => {
    const room = new RoomModel();
    room.grow(3);
    new ReaderModel(room, "bob").begin();
    room.happen(left("ada"));
    const ada = new ReaderModel(room, "ada").begin(2);
    room.announce(4);
    room.flush();
    expect([ada.seqs, ada.losses]).toEqual([[3, 4], []]);
  });
});

describe("a reader that catches up", () => {
  it("reads no further than its outbox takes", () => {
    const room = new RoomModel(1, 2);
    room.grow(20);
    const ada = new ReaderModel(room, "ada", 1).begin(0);
    expect([ada.seqs, room.reads]).toEqual([[1, 2], 1]);
    ada.drain();
    expect([ada.seqs, room.reads]).toEqual([range(1, 4), 2]);
  });

  it("shares a read with those who ask for the same page", async () => {
    const room = new RoomModel(1, 10);
    room.grow(10);
    room.answers = "later";
    const readers = ["ada", "bob", "eve"].map((userId) => new ReaderModel(room, userId).begin(0));
    expect(room.reads).toBe(1);
    room.answer();
    await settle(2);
    for (const reader of readers) expect(reader.seqs).toEqual(range(1, 10));
    expect(new Set(readers.map(({ frames }) => frames[0])).size).toBe(1);
  });

  it.each(["throws", "later"] as const)("asks again a second after the archive failed (%s)", async (answers) => {
    const room = new RoomModel(1, 10);
    room.grow(5);
    room.answers = answers;
    const ada = new ReaderModel(room, "ada").begin(0);
    const bob = new ReaderModel(room, "bob").begin(room.top);
    room.answer(true);
    await settle(2);
    expect(room.timers.map(({ atMs }) => atMs)).toEqual([1_000]);
    // What is live meanwhile is handed to the others all the same.
    room.grow(1);
    room.announce(6);
    room.flush();
    expect([ada.seqs, bob.seqs, ada.subscription.status]).toEqual([[], [6], "catching-up"]);
    room.answers = "now";
    room.fireTimers();
    expect(ada.seqs).toEqual(range(1, 6));
  });

  it("that ended meanwhile gets nothing, and leaves no timer", async () => {
    const room = new RoomModel(1, 10);
    room.grow(5);
    room.answers = "later";
    const ada = new ReaderModel(room, "ada").begin(0);
    ada.subscription.end();
    room.answer();
    const bob = new ReaderModel(room, "bob").begin(1);
    room.answer(true);
    await settle(2);
    bob.subscription.end();
    expect([ada.seqs, bob.seqs, room.timers, room.feed.size]).toEqual([[], [], [], 0]);
  });

  it("that lost the room meanwhile gets nothing of the page it waited for", async () => {
    const room = new RoomModel(1, 10);
    room.grow(5);
    room.answers = "later";
    const ada = new ReaderModel(room, "ada").begin(0);
    room.happen(left("ada"));
    room.announce(6);
    room.answer();
    await settle(2);
    expect([ada.seqs, ada.losses]).toEqual([[], ["access-lost"]]);
  });

  it("is told once where what comes next is gone, and gets nothing more", () => {
    const room = new RoomModel(1, 10);
    room.grow(9);
    room.firstKept = 5;
    const ada = new ReaderModel(room, "ada").begin(2);
    expect([ada.seqs, ada.resets]).toEqual([[], 1]);
    room.grow(1);
    room.announce(10);
    room.flush();
    expect([ada.seqs, ada.resets, ada.subscription.status]).toEqual([[], 1, "ended"]);
  });
});

describe("a reader that opens", () => {
  it("is handed nothing, and then all from where it begins", () => {
    const room = new RoomModel();
    room.grow(3);
    const ada = new ReaderModel(room, "ada");
    room.grow(2);
    room.announce(4, 5);
    room.flush();
    expect(ada.seqs).toEqual([]);
    ada.begin(1);
    expect(ada.seqs).toEqual([2, 3, 4, 5]);
  });

  it("remembers the loss that came after the place it was judged at", () => {
    const room = new RoomModel();
    room.grow(3);
    const ada = new ReaderModel(room, "ada");
    room.happen(left("ada"));
    room.announce(4);
    expect(ada.losses).toEqual([]);
    expect([ada.subscription.lostSince(3), ada.subscription.lostSince(4)]).toEqual(["access-lost", undefined]);
  });
});
