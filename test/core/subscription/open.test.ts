// Opening a subscription: what each position is answered, and what happens in the room meanwhile.

import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ratesWith } from "../../../src/core/limit/rates.js";
import { type Opened, openSubscription } from "../../../src/core/subscription/open.js";
import type { Subscription } from "../../../src/core/subscription/subscription.js";
import { JoinRule, Permission, type Position, PositionSchema } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ResetReason, type Subscribed } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { administrator, expectRefusal, TENANT, type TestRooms, useRooms, user } from "../room/use-rooms.js";
import { settle, type TestClient, useCore } from "../use-core.js";

const ADA = user("ada");
const BOB = user("bob");
const LOBBY = roomRef(TENANT, "lobby");
const NO_LIMIT = { perSecond: 0, burst: 0 };

/** A lobby whose top is at this seq. */
async function lobbyAt(top: number, recoveryLimit = 1_000, engine = new MemoryEngine()): Promise<TestRooms> {
  const rooms = await useRooms({
    engine,
    limits: { recoveryLimit, rates: ratesWith({ publish: { room: NO_LIMIT } }) },
  });
  await rooms.room("lobby", { members: [{ userId: "bob" }], joinRule: JoinRule.OPEN });
  await say(rooms, 2, top);
  return rooms;
}

async function say(rooms: TestRooms, from: number, to: number): Promise<void> {
  for (let seq = from; seq <= to; seq++) rooms.publish(ADA, "lobby", `m${seq}`).catch(() => undefined);
  await settle();
}

/** The position of a stored event; {0, 0} is before the first. */
async function at(rooms: TestRooms, seq: number): Promise<Position> {
  const events = await rooms.events("lobby");
  return events.find(({ position }) => position?.seq === seq)?.position ?? create(PositionSchema, { seq });
}

/** One subscription, and what its session was told in order. */
class Opening {
  readonly told: string[] = [];
  readonly done: Promise<void>;
  subscription: Subscription | undefined;
  opened: Opened | undefined;

  constructor(rooms: TestRooms, after: Position | undefined, caller = BOB) {
    const { deps, owner, hub, receipts } = rooms;
    const session = {
      userId: caller.identity.userId,
      ready: true,
      send: ({ firstSeq, lastSeq }: { readonly firstSeq: number; readonly lastSeq: number }) => {
        this.told.push(`${firstSeq}-${lastSeq}`);
        return true;
      },
      wait: () => {},
      lost: (_: Subscription, loss: string) => this.told.push(loss),
      reset: () => this.told.push("reset"),
      lagging: () => {},
      offer: () => {},
      upToDate: () => {},
      after: deps.clock.after.bind(deps.clock),
    };
    const services = { deps, owner, hub, receipts };
    this.done = openSubscription(services, session, LOBBY, caller, after, {
      opening: (subscription) => {
        this.subscription = subscription;
      },
      ended: () => {
        this.told.push("ended");
        this.subscription?.end();
      },
      opened: (opened) => {
        this.opened = opened;
        this.told.push(outcome(opened.outcome));
      },
    });
  }
}

function outcome(found: Subscribed["outcome"]): string {
  switch (found.case) {
    case "caughtUp":
      return "caught up";
    case "replaying":
      return `replaying ${found.value.count}`;
    case "gap":
      return `gap ${found.value.fromSeq}-${found.value.toSeq}`;
    case "reset":
      return `reset ${ResetReason[found.value.reason]}`;
    case undefined:
      return "nothing";
  }
}

/** What a subscription from this position is told, until nothing more follows. */
async function told(rooms: TestRooms, after: Position | undefined): Promise<readonly string[]> {
  const opening = new Opening(rooms, after);
  await opening.done;
  await settle();
  return opening.told;
}

describe.each([false, true])("a position (archive answers later: %s)", (answersLater) => {
  const lobby = (top: number, recoveryLimit?: number) =>
    lobbyAt(top, recoveryLimit, new MemoryEngine({ answersLater }));

  it("that is absent, or the top, is caught up", async () => {
    const rooms = await lobby(5);
    expect(await told(rooms, undefined)).toEqual(["caught up"]);
    expect(await told(rooms, await at(rooms, 5))).toEqual(["caught up"]);
  });

  it("behind the top is replayed from there, {0, 0} from the first event", async () => {
    const rooms = await lobby(5);
    expect(await told(rooms, await at(rooms, 4))).toEqual(["replaying 1", "5-5"]);
    expect(await told(rooms, await at(rooms, 1))).toEqual(["replaying 4", "2-5"]);
    expect(await told(rooms, await at(rooms, 0))).toEqual(["replaying 5", "1-5"]);
  });

  it("exactly the recovery limit behind is replayed, one more is a gap and live from the top", async () => {
    const rooms = await lobby(9, 4);
    expect(await told(rooms, await at(rooms, 5))).toEqual(["replaying 4", "6-9"]);
    const opening = new Opening(rooms, await at(rooms, 4));
    await opening.done;
    await say(rooms, 10, 10);
    expect(opening.told).toEqual(["gap 5-9", "10-10"]);
    expect(await told(rooms, await at(rooms, 0))).toEqual(["gap 1-10"]);
  });

  it("beyond the end is reset, and so is one whose tag is not the history's", async () => {
    const rooms = await lobby(5);
    const of = (seq: number, tag: number) => create(PositionSchema, { seq, tag });
    const { tag } = await at(rooms, 5);
    expect(await told(rooms, of(6, tag))).toEqual(["reset BEYOND_END", "ended"]);
    expect(await told(rooms, of(0xffff_ffff, 1))).toEqual(["reset BEYOND_END", "ended"]);
    expect(await told(rooms, of(5, tag ^ 1))).toEqual(["reset OTHER_HISTORY", "ended"]);
    expect(await told(rooms, of(3, tag))).toEqual(["reset OTHER_HISTORY", "ended"]);
    expect(await told(rooms, of(1, 0))).toEqual(["reset OTHER_HISTORY", "ended"]);
  });

  it("whose own event or next one is no longer kept is reset, and gets nothing more", async () => {
    const rooms = await lobby(9);
    const positions = await Promise.all(Array.from({ length: 10 }, (_, seq) => at(rooms, seq)));
    await rooms.engine.archive.purge(LOBBY, 5);
    for (const seq of [0, 1, 4, 5])
      expect(await told(rooms, positions[seq]), String(seq)).toEqual(["reset EXPIRED", "ended"]);
    expect(await told(rooms, positions[6])).toEqual(["replaying 3", "7-9"]);
    expect(await told(rooms, positions[9])).toEqual(["caught up"]);
    const opening = new Opening(rooms, positions[2]);
    await opening.done;
    await say(rooms, 10, 11);
    expect(opening.told).toEqual(["reset EXPIRED", "ended"]);
  });

  it("of a room that was restored from a backup is told from one of the history before", async () => {
    const rooms = await lobby(3);
    const snapshot = rooms.engine.snapshot();
    await say(rooms, 4, 6);
    const before = await at(rooms, 5);
    rooms.engine.restore(snapshot);
    await rooms.restart();
    expect(await told(rooms, before)).toEqual(["reset BEYOND_END", "ended"]);
    for (const key of ["x4", "x5", "x6"]) await rooms.publish(ADA, "lobby", key);
    expect(await told(rooms, before)).toEqual(["reset OTHER_HISTORY", "ended"]);
  });

  it("is answered with the top, the room and the membership", async () => {
    const rooms = await lobby(3);
    const opening = new Opening(rooms, undefined);
    await opening.done;
    expect(opening.opened).toMatchObject({
      top: await at(rooms, 3),
      room: { roomId: "lobby", top: { seq: 3 }, memberCount: 2 },
      member: { userId: "bob" },
    });
    const root = new Opening(rooms, undefined, administrator("root"));
    await root.done;
    expect([root.told, root.opened?.member]).toEqual([["caught up"], undefined]);
  });
});

describe("while a subscription opens", () => {
  /** Opening waits for an append that the test lets go. */
  async function waiting(after?: (rooms: TestRooms) => Promise<Position>) {
    const rooms = await lobbyAt(3);
    const position = await after?.(rooms);
    const held = Promise.withResolvers<void>();
    rooms.engine.faultNextAppend({ kind: "hold", until: held.promise });
    rooms.publish(ADA, "lobby", "m4").catch(() => undefined);
    await settle();
    const opening = new Opening(rooms, position);
    opening.done.catch(() => undefined);
    await settle();
    expect(opening.told).toEqual([]);
    return { rooms, opening, release: () => held.resolve() };
  }

  it("nothing is told that is not durable", async () => {
    const { opening, release } = await waiting();
    release();
    await opening.done;
    expect(opening.opened?.top.seq).toBe(4);
    await settle();
    expect(opening.told).toEqual(["caught up"]);
  });

  it("events that arrive come after the answer, once and in order", async () => {
    const { rooms, opening, release } = await waiting((rooms) => at(rooms, 2));
    await say(rooms, 5, 7);
    expect(opening.told).toEqual([]);
    release();
    await opening.done;
    await settle();
    await say(rooms, 8, 8);
    expect(opening.told[0]).toBe("replaying 2");
    const seqs = opening.told.slice(1).flatMap((frame) => {
      const [from = 0, to = 0] = frame.split("-").map(Number);
      return Array.from({ length: to - from + 1 }, (_, index) => from + index);
    });
    expect(seqs).toEqual([3, 4, 5, 6, 7, 8]);
  });

  it.each([
    ["removed", ErrorCode.NOT_A_MEMBER],
    ["denied reading", ErrorCode.NOT_A_MEMBER],
    ["the room deleted", ErrorCode.NOT_FOUND],
  ] as const)("being %s behind the judgement refuses it", async (how, code) => {
    const { rooms, opening, release } = await waiting();
    const change = { roomId: "lobby", key: "k", attempt: 1 };
    const overrides = { denied: [Permission.READ] };
    const taken =
      how === "removed"
        ? rooms.ask(ADA, "removeMember", { ...change, userId: "bob" })
        : how === "denied reading"
          ? rooms.ask(ADA, "setMember", { ...change, userId: "bob", overrides })
          : rooms.ask(ADA, "deleteRoom", change);
    await settle();
    release();
    await taken;
    await say(rooms, 6, 7);
    await expectRefusal(opening.done, code);
    expect(opening.told).toEqual(["ended"]);
    expect(opening.subscription?.status).toBe("ended");
  });

  it("the loss of the room between the judgement and the archive's answer refuses it", async () => {
    for (const [change, code] of [
      ["removeMember", ErrorCode.NOT_A_MEMBER],
      ["deleteRoom", ErrorCode.NOT_FOUND],
    ] as const) {
      const rooms = await lobbyAt(3);
      const position = await at(rooms, 2);
      const { archive } = rooms.engine;
      const read = archive.events.bind(archive);
      const gate = Promise.withResolvers<void>();
      archive.events = async (ref, range) => {
        const found = await read(ref, range);
        await gate.promise;
        return found;
      };
      const opening = new Opening(rooms, position);
      opening.done.catch(() => undefined);
      await settle();
      await rooms.ask(ADA, change, { roomId: "lobby", key: "k", attempt: 1, userId: "bob" });
      gate.resolve();
      await expectRefusal(opening.done, code);
      expect([opening.told, opening.subscription?.status]).toEqual([["ended"], "ended"]);
    }
  });

  it("ending it ends it: nothing is told, and the room is not read any more", async () => {
    const { rooms, opening, release } = await waiting();
    opening.subscription?.end();
    release();
    await opening.done;
    await say(rooms, 5, 6);
    expect([opening.told, opening.subscription?.feed.size]).toEqual([[], 0]);
  });

  it("a failing append refuses it as retryable, and nothing of it was told", async () => {
    const rooms = await lobbyAt(3);
    rooms.engine.faultNextAppend({ kind: "refuse" });
    const lost = rooms.publish(ADA, "lobby", "m4");
    const opening = new Opening(rooms, undefined);
    await expectRefusal(opening.done, ErrorCode.UNAVAILABLE);
    await expectRefusal(lost, ErrorCode.UNAVAILABLE);
    expect(opening.told).toEqual(["ended"]);
  });
});

describe("a refused subscription", () => {
  it("is a stranger's, one to a room that is not there, or one the archive cannot answer", async () => {
    const rooms = await lobbyAt(3);
    const cases: readonly [Opening, ErrorCode][] = [
      [new Opening(rooms, undefined, user("eve")), ErrorCode.NOT_A_MEMBER],
    ];
    await rooms.ask(ADA, "setMember", {
      roomId: "lobby",
      key: "k",
      userId: "bob",
      overrides: { denied: [Permission.READ] },
    });
    const all = [...cases, [new Opening(rooms, undefined), ErrorCode.PERMISSION_DENIED] as const];
    for (const [opening, code] of all) {
      await expectRefusal(opening.done, code);
      expect([opening.told, opening.subscription?.status]).toEqual([["ended"], "ended"]);
    }
    rooms.engine.archiveDown = true;
    const behind = new Opening(rooms, create(PositionSchema, { seq: 1, tag: 1 }), ADA);
    await expectRefusal(behind.done, ErrorCode.UNAVAILABLE);
    rooms.engine.archiveDown = false;
    await rooms.ask(ADA, "deleteRoom", { roomId: "lobby", key: "d" });
    await expectRefusal(new Opening(rooms, undefined, ADA).done, ErrorCode.NOT_FOUND);
  });
});

describe("in a session", () => {
  const subscribe = (client: TestClient, after?: { seq: number; tag: number }) =>
    client.ask({ case: "subscribe", value: { roomId: "lobby", ...(after === undefined ? {} : { after }) } });

  it("subscribing again moves the cursor, forward and back", async () => {
    const test = await useCore();
    const ada = await test.connect("ada");
    await test.room(ada, "lobby");
    for (const key of ["m2", "m3", "m4"]) {
      const value = { roomId: "lobby", clientMessageId: key, body: { kind: { case: "text" as const, value: key } } };
      await ada.ask({ case: "publish", value });
    }
    const positions = new Map(
      (await ada.ask({ case: "call", value: { rpc: { case: "getEvents", value: { roomId: "lobby" } } } })).case ===
        "callResult"
        ? ada
            .all("callResult")
            .flatMap(({ value: { rpc } }) => (rpc.case === "getEvents" ? rpc.value.events : []))
            .map(({ position }) => [position?.seq ?? 0, { seq: position?.seq ?? 0, tag: position?.tag ?? 0 }])
        : [],
    );
    expect(await subscribe(ada, positions.get(2))).toMatchObject({ value: { outcome: { case: "replaying" } } });
    expect(ada.seqs("lobby")).toEqual([3, 4]);
    expect(await subscribe(ada, positions.get(4))).toMatchObject({ value: { outcome: { case: "caughtUp" } } });
    expect(ada.seqs("lobby")).toEqual([3, 4]);
    await subscribe(ada, positions.get(3));
    await subscribe(ada, { seq: 0, tag: 0 });
    await ada.ask({
      case: "publish",
      value: { roomId: "lobby", clientMessageId: "m5", body: { kind: { case: "text", value: "m5" } } },
    });
    expect(ada.seqs("lobby")).toEqual([3, 4, 4, 1, 2, 3, 4, 5]);
  });

  it("unsubscribing behind a subscribe that waits ends it: its answer comes first, and nothing after", async () => {
    const test = await useCore();
    const ada = await test.connect("ada");
    await test.room(ada, "lobby");
    const held = Promise.withResolvers<void>();
    test.engine.faultNextAppend({ kind: "hold", until: held.promise });
    const publish = (key: string) =>
      ada.post({
        case: "publish",
        value: { roomId: "lobby", clientMessageId: key, body: { kind: { case: "text", value: key } } },
      });
    publish("m2");
    await settle();
    const subscribed = ada.send({ case: "subscribe", value: { roomId: "lobby" } });
    const unsubscribed = ada.send({ case: "unsubscribe", value: { roomId: "lobby" } });
    await settle();
    expect([ada.reply(subscribed).case, ada.reply(unsubscribed).case]).toEqual([undefined, undefined]);
    held.resolve();
    await settle();
    publish("m3");
    await settle();
    expect([ada.reply(subscribed).case, ada.reply(unsubscribed).case]).toEqual(["subscribed", "unsubscribed"]);
    expect(ada.seqs("lobby")).toEqual([]);
  });
});
