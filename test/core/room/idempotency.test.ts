// A key takes effect once, whatever goes wrong between asking and being answered.

import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { ratesWith } from "../../../src/core/limit/rates.js";
import type { Outcome } from "../../../src/core/room/command.js";
import { nextTag } from "../../../src/core/room/position.js";
import { JoinRule, Permission, type RoomEvent } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { settle } from "../use-core.js";
import { expectRefusal, TENANT, TestRooms, useRooms, user } from "./use-rooms.js";

const ADA = user("ada");
const BOB = user("bob");
const NO_LIMIT = { perSecond: 0, burst: 0 };
const MINUTE_MS = 60_000;
/** The longest wait of a shard before it opens its log again. */
const REOPENED_MS = 5_000;

const USERS = ["ada", "bob", "eve"];
const KEYS = ["k1", "k2", "k3", "k4"];

type Step =
  | { readonly is: "publish"; readonly userId: string; readonly key: string }
  | { readonly is: "settle" }
  | { readonly is: "time"; readonly ms: number }
  | { readonly is: "fault"; readonly kind: "refuse" | "lose-answer" | "displace" | "hold" }
  | { readonly is: "release" }
  | { readonly is: "restart" };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      is: fc.constant("publish" as const),
      userId: fc.constantFrom(...USERS),
      key: fc.constantFrom(...KEYS),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ is: "settle" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      is: fc.constant("time" as const),
      ms: fc.constantFrom(1, 150, REOPENED_MS, MINUTE_MS, 9 * MINUTE_MS, 12 * MINUTE_MS),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      is: fc.constant("fault" as const),
      kind: fc.constantFrom("refuse" as const, "lose-answer" as const, "displace" as const, "hold" as const),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ is: "release" as const }) },
  { weight: 1, arbitrary: fc.constant({ is: "restart" as const }) },
);

/** Clients that resend, and what they were answered. */
class Clients {
  readonly rooms: TestRooms;
  /** By user and key: the acknowledgements, in the order they came. */
  readonly acknowledged = new Map<string, Outcome[]>();
  readonly refused: unknown[] = [];
  readonly #attempts = new Map<string, number>();
  #gates: (() => void)[] = [];

  constructor(rooms: TestRooms) {
    this.rooms = rooms;
  }

  publish(userId: string, key: string): void {
    const name = `${userId} ${key}`;
    const attempt = (this.#attempts.get(name) ?? 0) + 1;
    this.#attempts.set(name, attempt);
    this.rooms.publish(user(userId), "lobby", key, attempt, `${name} ${attempt}`).then(
      (outcome) => this.acknowledged.set(name, [...(this.acknowledged.get(name) ?? []), outcome]),
      (error: unknown) => this.refused.push(error),
    );
  }

  async take(step: Step): Promise<void> {
    switch (step.is) {
      case "publish":
        this.publish(step.userId, step.key);
        return;
      case "settle":
        await settle();
        return;
      case "time":
        this.rooms.clock.advance(step.ms);
        return;
      case "fault":
        if (step.kind !== "hold") this.rooms.engine.faultNextAppend({ kind: step.kind });
        else this.#hold();
        return;
      case "release":
        this.release();
        return;
      case "restart":
        await this.rooms.restart();
        return;
    }
  }

  release(): void {
    for (const open of this.#gates) open();
    this.#gates = [];
  }

  #hold(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gates.push(resolve);
    this.rooms.engine.faultNextAppend({ kind: "hold", until: promise });
  }

  /** Every key that was used is sent again until it is answered, and once more. */
  async insist(): Promise<void> {
    for (const name of this.#attempts.keys()) {
      const [userId = "", key = ""] = name.split(" ");
      for (let round = 0; round < 2; round++) {
        const before = this.acknowledged.get(name)?.length ?? 0;
        for (let tries = 0; (this.acknowledged.get(name)?.length ?? 0) === before; tries++) {
          if (tries > 50) throw new Error(`${name} is not answered: ${String(this.refused.at(-1))}`);
          this.publish(userId, key);
          this.release();
          await settle();
          this.rooms.clock.advance(REOPENED_MS);
          await settle();
        }
      }
    }
  }

  get used(): readonly string[] {
    return [...this.#attempts.keys()].sort();
  }
}

/** Dense seqs, chained tags, dense message indexes. */
function expectSound(events: readonly RoomEvent[]): void {
  let tag = 0;
  let messages = 0;
  for (const [index, event] of events.entries()) {
    tag = nextTag(tag, event.eventId);
    expect(event.position).toMatchObject({ seq: index + 1, tag });
    if (event.kind.case === "messageCreated") expect(event.kind.value.messageIndex).toBe(++messages);
  }
}

describe("a publish", () => {
  it("takes effect once for each key, whatever fails and however often it is sent again", async () => {
    const scenario = fc.record({
      answersLater: fc.boolean(),
      steps: fc.array(anyStep, { minLength: 1, maxLength: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ answersLater, steps }) => {
        const rooms = new TestRooms({
          engine: new MemoryEngine({ shards: 1, answersLater }),
          limits: { rates: ratesWith({ publish: { room: NO_LIMIT } }) },
        });
        await rooms.owner.start();
        await rooms.room("lobby", { members: USERS.map((userId) => ({ userId })) });
        const clients = new Clients(rooms);
        for (const step of steps) await clients.take(step);
        await clients.insist();
        rooms.owner.close();

        const events = await rooms.events("lobby");
        expectSound(events);
        const stored = events.flatMap((event) =>
          event.kind.case === "messageCreated"
            ? [{ name: `${event.actor?.userId} ${event.kind.value.clientMessageId}`, event }]
            : [],
        );
        expect(stored.map(({ name }) => name).sort()).toEqual(clients.used);
        for (const { name, event } of stored) {
          const answers = clients.acknowledged.get(name) ?? [];
          for (const answer of answers) {
            expect(answer).toMatchObject({
              seq: event.position?.seq,
              tag: event.position?.tag,
              eventId: event.eventId,
            });
            expect(event.kind).toMatchObject({ value: { messageIndex: answer.messageIndex } });
          }
          // That of the first try may have been lost; the last one answers a repeat of what was answered before.
          expect(answers.filter(({ duplicate }) => !duplicate).length).toBeLessThanOrEqual(1);
          expect(answers.at(-1)?.duplicate).toBe(true);
        }
        for (const refusal of clients.refused) expect(refusal).toMatchObject({ code: ErrorCode.UNAVAILABLE });
      }),
      { numRuns: 150 },
    );
  }, 60_000);

  it("is not a duplicate the first time, and one every other time", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby");
    const first = await rooms.publish(ADA, "lobby", "k");
    expect(first.duplicate).toBe(false);
    expect(await rooms.publish(ADA, "lobby", "k")).toEqual({ ...first, duplicate: true });
    await rooms.restart();
    expect(await rooms.publish(ADA, "lobby", "k", 2)).toEqual({ ...first, duplicate: true });
  });

  it("is two messages where two users use the same key", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby", { members: [{ userId: "bob" }] });
    const [ada, bob] = await Promise.all([rooms.publish(ADA, "lobby", "k"), rooms.publish(BOB, "lobby", "k")]);
    expect([ada.seq, bob.seq, ada.duplicate, bob.duplicate]).toEqual([2, 3, false, false]);
    expect(ada.eventId).not.toBe(bob.eventId);
  });

  it("is two messages where one key is used in two rooms", async () => {
    const rooms = await useRooms();
    for (const roomId of ["lobby", "hall"]) await rooms.room(roomId);
    const outcomes = await Promise.all(["lobby", "hall"].map((roomId) => rooms.publish(ADA, roomId, "k")));
    expect(outcomes.map(({ duplicate }) => duplicate)).toEqual([false, false]);
  });

  it("keeps the first content where a key comes with another", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby");
    const first = await rooms.publish(ADA, "lobby", "k", 1, "first");
    expect(await rooms.publish(ADA, "lobby", "k", 2, "second")).toEqual({ ...first, duplicate: true });
    const { messages } = await rooms.ask(ADA, "getHistory", { roomId: "lobby" });
    expect(messages.map(({ body }) => body?.kind.value)).toEqual(["first"]);
  });

  it("is found by a later attempt after the owner has forgotten it", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby");
    const first = await rooms.publish(ADA, "lobby", "k");
    for (let minute = 0; minute < 30; minute++) rooms.clock.advance(MINUTE_MS);
    expect(await rooms.publish(ADA, "lobby", "k", 2)).toEqual({ ...first, duplicate: true });
  });

  it("is found among more tentative ones than the owner remembers of durable ones", async () => {
    const rooms = await useRooms({ limits: { rates: ratesWith({ publish: { room: NO_LIMIT } }) } });
    await rooms.room("lobby");
    const held = Promise.withResolvers<void>();
    rooms.engine.faultNextAppend({ kind: "hold", until: held.promise });
    const keys = Array.from({ length: 4_200 }, (_, index) => `k${index}`);
    const firsts = keys.map((key) => rooms.publish(ADA, "lobby", key));
    await settle();
    const repeats = ["k0", "k50", "k4199"].map((key) => rooms.publish(ADA, "lobby", key, 2));
    held.resolve();
    const outcomes = await Promise.all(firsts);
    for (const repeat of await Promise.all(repeats)) {
      expect(repeat).toEqual({ ...outcomes.find(({ eventId }) => eventId === repeat.eventId), duplicate: true });
    }
    expect(await rooms.events("lobby")).toHaveLength(4_201);
    // Once durable, what is forgotten is looked up.
    for (const key of ["k0", "k4199"]) expect((await rooms.publish(ADA, "lobby", key)).duplicate).toBe(true);
  });

  it("takes effect once where the archive was asked before the change was made, and more was said since than is remembered", async () => {
    const engine = new MemoryEngine();
    const rooms = await useRooms({ engine, limits: { rates: ratesWith({ publish: { room: NO_LIMIT } }) } });
    await rooms.room("lobby");
    const { archive } = engine;
    const held = Promise.withResolvers<undefined>();
    vi.spyOn(archive, "seqOf").mockImplementationOnce(() => held.promise);
    const slow = rooms.publish(ADA, "lobby", "k", 2);
    await settle();
    const quick = await rooms.publish(ADA, "lobby", "k", 3);
    for (let n = 0; n < 4_200; n++) await rooms.publish(ADA, "lobby", `k${n}`);
    held.resolve(undefined);
    await expectRefusal(slow, ErrorCode.UNAVAILABLE);
    expect(await rooms.publish(ADA, "lobby", "k", 4)).toEqual({ ...quick, duplicate: true });
    expect(await rooms.events("lobby")).toHaveLength(4_202);
  });

  it("is answered again to who has left since, and to nobody for a look", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby", { members: [{ userId: "bob" }] });
    const first = await rooms.publish(BOB, "lobby", "k");
    await rooms.ask(BOB, "leaveRoom", { roomId: "lobby", key: "leave", attempt: 1 });
    expect(await rooms.publish(BOB, "lobby", "k", 2)).toMatchObject({ seq: first.seq, duplicate: true });
    await expectRefusal(rooms.publish(BOB, "lobby", "k2"), ErrorCode.NOT_A_MEMBER);
  });

  it.each([
    ["on", -12],
    ["back", 12],
  ])("takes effect once where the wall clock is set %s between two tries", async (_, minutes) => {
    const rooms = await useRooms();
    await rooms.room("r");
    await rooms.publish(ADA, "r", "k1");
    rooms.clock.setBack(minutes * MINUTE_MS);
    // The sweep comes by, and then the next process.
    rooms.clock.advance(MINUTE_MS);
    await settle();
    expect(await rooms.publish(ADA, "r", "k1")).toMatchObject({ seq: 2, duplicate: true });
    await rooms.restart();
    rooms.clock.setBack(minutes * MINUTE_MS);
    await rooms.publish(BOB, "r", "k2").catch(() => {});
    rooms.clock.setBack(-2 * minutes * MINUTE_MS);
    expect(await rooms.publish(ADA, "r", "k1")).toMatchObject({ seq: 2, duplicate: true });
    expect(await rooms.kinds("r")).toEqual(["roomCreated", "messageCreated"]);
  });

  it("waits for the archive where it cannot be known without it", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby");
    await rooms.publish(ADA, "lobby", "k");
    rooms.engine.archiveDown = true;
    await expectRefusal(rooms.publish(ADA, "lobby", "k2"), ErrorCode.UNAVAILABLE);
    rooms.engine.archiveDown = false;
    expect((await rooms.publish(ADA, "lobby", "k2", 2)).duplicate).toBe(false);
    for (let minute = 0; minute < 11; minute++) {
      rooms.clock.advance(MINUTE_MS);
      await rooms.ask(ADA, "getRoom", { roomId: "lobby" });
    }
    // Ten minutes later a first try is known to be one.
    rooms.engine.archiveDown = true;
    expect((await rooms.publish(ADA, "lobby", "k3")).duplicate).toBe(false);
    await expectRefusal(rooms.publish(ADA, "lobby", "k4", 2), ErrorCode.UNAVAILABLE);
  });
});

describe("a key of a room's change", () => {
  const rename = (rooms: TestRooms, name: string, attempt = 1) =>
    rooms.ask(ADA, "updateRoom", { roomId: "lobby", key: "k", attempt, name });

  it("takes effect once, from memory and from the archive", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby");
    const first = await rename(rooms, "a");
    expect((await rename(rooms, "b", 2)).position).toEqual(first.position);
    await rooms.restart();
    expect(await rename(rooms, "c", 3)).toEqual(first);
    expect(await rooms.kinds("lobby")).toEqual(["roomCreated", "roomUpdated"]);
  });

  it("is CONFLICT where it was used for another change, from memory and from the archive", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby", { members: [{ userId: "bob" }] });
    await rename(rooms, "a");
    for (let round = 0; round < 2; round++) {
      const key = { roomId: "lobby", key: "k", attempt: 2 };
      const others = [
        rooms.ask(ADA, "deleteRoom", key),
        rooms.ask(ADA, "addMembers", { ...key, members: [{ userId: "eve" }] }),
        rooms.ask(ADA, "removeMember", { ...key, userId: "bob" }),
        rooms.ask(ADA, "setMember", { ...key, userId: "bob", muteForMs: 5 }),
        rooms.publish(ADA, "lobby", "k", 2),
      ];
      for (const refused of others) await expectRefusal(refused, ErrorCode.CONFLICT, { field: "key" });
      await rooms.restart();
    }
    await rooms.publish(ADA, "lobby", "m");
    await expectRefusal(
      rooms.ask(ADA, "updateRoom", { roomId: "lobby", key: "m", attempt: 2, name: "b" }),
      ErrorCode.CONFLICT,
      { field: "key" },
    );
    expect(await rooms.kinds("lobby")).toEqual(["roomCreated", "roomUpdated", "messageCreated"]);
  });

  it("shows nothing of the room to who has lost it since, from memory and from the archive", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby", { joinRule: JoinRule.OPEN, name: "before" });
    const join = (attempt: number) => rooms.ask(BOB, "joinRoom", { roomId: "lobby", key: "join", attempt });
    const first = await join(1);
    expect(first.room?.name).toBe("before");
    await rooms.ask(ADA, "removeMember", { roomId: "lobby", key: "remove", attempt: 1, userId: "bob" });
    await rooms.ask(ADA, "updateRoom", { roomId: "lobby", key: "rename", attempt: 1, name: "secret" });
    for (let round = 2; round < 4; round++) {
      const again = await join(round);
      expect(again.position).toEqual(first.position);
      expect(again.room).toBeUndefined();
      expect(again.member).toBeUndefined();
      await rooms.restart();
    }
    const add = { roomId: "lobby", key: "add", attempt: 1, members: [{ userId: "bob" }] };
    await rooms.ask(ADA, "addMembers", add);
    const rights = { denied: [Permission.READ] };
    await rooms.ask(ADA, "setMember", { roomId: "lobby", key: "deny", attempt: 1, userId: "bob", overrides: rights });
    expect((await join(4)).room).toBeUndefined();
  });
});

describe("an actor", () => {
  it("that was unused for long is dropped and loaded again as it was", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby", { members: [{ userId: "bob" }] });
    await rooms.publish(BOB, "lobby", "k");
    const reads: string[] = [];
    const { archive } = rooms.engine;
    const read = archive.room.bind(archive);
    archive.room = (ref) => {
      reads.push(ref.key);
      return read(ref);
    };
    expect((await rooms.publish(BOB, "lobby", "k2")).seq).toBe(3);
    expect(reads).toEqual([]);
    for (let minute = 0; minute < 13; minute++) rooms.clock.advance(MINUTE_MS);
    expect((await rooms.publish(BOB, "lobby", "k3")).seq).toBe(4);
    expect(reads).toEqual([`${TENANT}/lobby`]);
    expectSound(await rooms.events("lobby"));
  });

  it("of a room that does not exist is dropped at the next sweep", async () => {
    const rooms = await useRooms();
    const reads: string[] = [];
    const { archive } = rooms.engine;
    const read = archive.room.bind(archive);
    archive.room = (ref) => {
      reads.push(ref.roomId);
      return read(ref);
    };
    await rooms.room("lobby");
    const look = async () => {
      await expectRefusal(rooms.ask(ADA, "getRoom", { roomId: "nowhere" }), ErrorCode.NOT_FOUND);
      await rooms.ask(ADA, "getRoom", { roomId: "lobby" });
    };
    await look();
    await look();
    rooms.clock.advance(MINUTE_MS);
    await look();
    expect(reads).toEqual(["lobby", "nowhere", "nowhere"]);
  });
});
