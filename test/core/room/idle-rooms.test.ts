// Rooms that nobody uses are archived, once, when their time is over.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import type { TenantDifferences } from "../../../src/core/limit/tenants.js";
import { ANNOUNCEMENTS_ID } from "../../../src/core/room/announcements.js";
import { RoomDocumentSchema } from "../../../src/gen/trunkline/store/v1/documents_pb.js";
import { RoomKind, RoomStatus } from "../../../src/gen/trunkline/v1/message_pb.js";
import type { CallSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { type CoreOptions, gate, settle, type TestClient, TestCore, text } from "../use-core.js";

const NEVER = 0xffff_ffff;
const MINUTE = 60_000;
/** What a poller takes to come round. */
const ROUND = 5_500;

type Rpc = NonNullable<MessageInitShape<typeof CallSchema>["rpc"]>;

let keys = 0;

async function call(client: TestClient, rpc: Rpc) {
  const answer = await client.ask({ case: "call", value: { rpc } });
  if (answer.case !== "callResult" && answer.case !== "error") throw new Error(`answered ${answer.case}`);
  return answer;
}

function make(
  client: TestClient,
  roomId: string,
  archiveAfterS: number,
  differing: { kind?: RoomKind; parentId?: string } = {},
) {
  return call(client, {
    case: "createRoom",
    value: { roomId, key: `make-${roomId}`, settings: { archiveAfterS }, ...differing },
  });
}

function update(
  client: TestClient,
  roomId: string,
  value: { status?: RoomStatus; name?: string; archiveAfterS?: number },
) {
  const { archiveAfterS, ...rest } = value;
  const settings = archiveAfterS === undefined ? {} : { settings: { archiveAfterS } };
  keys += 1;
  return call(client, { case: "updateRoom", value: { roomId, key: `k${keys}`, ...rest, ...settings } });
}

async function statusOf(core: TestCore, roomId: string): Promise<RoomStatus | undefined> {
  return (await core.engine.archive.room(roomRef("acme", roomId)))?.room?.status;
}

/** How often the room was archived by the system. */
async function archivings(core: TestCore, roomId: string): Promise<number> {
  const range = { from: 1, to: 0xffff_ffff, limit: 10_000, maxBytes: 1 << 30 };
  const events = await core.engine.archive.events(roomRef("acme", roomId), range);
  return events.filter(
    ({ event: { kind, actor } }) =>
      kind.case === "roomUpdated" && kind.value.room?.status === RoomStatus.ARCHIVED && actor === undefined,
  ).length;
}

async function use(options: CoreOptions = {}): Promise<{ core: TestCore; ada: TestClient }> {
  const clock = options.clock ?? new StoppedClock();
  if (options.clock === undefined) clock.advance(1_790_000_000_000);
  // Clients that say nothing for long stay.
  const core = new TestCore({ ...options, clock, limits: { pingIntervalMs: NEVER, ...options.limits } });
  await core.core.start();
  // One that has died is not stopped.
  onTestFinished(() => (dead.has(core) ? undefined : core.core.stop()));
  return { core, ada: await core.connect("ada") };
}

const dead = new WeakSet<TestCore>();

/** The process dies, and another opens the store. */
async function restart(core: TestCore, options: CoreOptions = {}): Promise<{ core: TestCore; ada: TestClient }> {
  dead.add(core);
  core.engine.crash();
  return await use({ ...options, engine: core.engine, clock: core.clock });
}

describe("a room with a time to be idle", () => {
  it("is archived once when that is over, and its subscribers are told", async () => {
    const { core, ada } = await use();
    await make(ada, "lobby", 120);
    await ada.ask({ case: "subscribe", value: { roomId: "lobby" } });
    await core.elapse(2 * MINUTE - 250);
    expect(await statusOf(core, "lobby")).toBe(RoomStatus.ACTIVE);
    await core.elapse(ROUND);
    const [told] = ada.all("roomEvents").flatMap(({ value }) => value.events);
    expect(told).toMatchObject({
      position: { seq: 2 },
      kind: { case: "roomUpdated", value: { room: { status: RoomStatus.ARCHIVED, version: 2 } } },
    });
    expect(told?.actor).toBeUndefined();
    expect(await ada.ask(text("lobby", "late"))).toMatchObject({ value: { code: ErrorCode.PERMISSION_DENIED } });
    await core.elapse(5 * MINUTE);
    expect(await archivings(core, "lobby")).toBe(1);
  });

  it("stays for its time after each message, and after nothing else that is said of messages", async () => {
    const { core, ada } = await use();
    await make(ada, "lobby", 120);
    await core.elapse(119_000);
    const sent = await ada.ask(text("lobby", "in-time"));
    await core.elapse(119_000);
    expect(await statusOf(core, "lobby")).toBe(RoomStatus.ACTIVE);
    const messageId = sent.case === "published" ? sent.value.messageId : "";
    await ada.ask({ case: "react", value: { roomId: "lobby", messageId, emoji: "+1", on: true, key: "r" } });
    await core.elapse(ROUND + 1_000);
    expect(await statusOf(core, "lobby")).toBe(RoomStatus.ARCHIVED);
  });

  it.each(["lobby", "lobby~corner"])(
    "stays where a message in %s is on its way when it is looked at",
    async (where) => {
      const { core, ada } = await use();
      await make(ada, "lobby", 60);
      await call(ada, { case: "createRoom", value: { roomId: "lobby~corner", parentId: "lobby", key: "c" } });
      await core.elapse(MINUTE - 500);
      const until = gate<void>();
      core.engine.faultNextAppend({ kind: "hold", until: until.promise });
      ada.send(text(where, "slow"));
      await core.elapse(ROUND);
      until.resolve();
      await settle();
      expect(await statusOf(core, "lobby")).toBe(RoomStatus.ACTIVE);
      await core.elapse(MINUTE + ROUND);
      expect(await archivings(core, "lobby")).toBe(1);
    },
  );

  it("follows its setting when that is changed", async () => {
    const { core, ada } = await use();
    await make(ada, "longer", 60);
    await make(ada, "shorter", 3_600);
    await make(ada, "kept", 60);
    await update(ada, "longer", { archiveAfterS: 180 });
    await update(ada, "shorter", { archiveAfterS: 60 });
    await update(ada, "kept", { archiveAfterS: NEVER });
    const statuses = async () => [
      await statusOf(core, "longer"),
      await statusOf(core, "shorter"),
      await statusOf(core, "kept"),
    ];
    await core.elapse(MINUTE + ROUND);
    expect(await statuses()).toEqual([RoomStatus.ACTIVE, RoomStatus.ARCHIVED, RoomStatus.ACTIVE]);
    await core.elapse(2 * MINUTE);
    expect(await statuses()).toEqual([RoomStatus.ARCHIVED, RoomStatus.ARCHIVED, RoomStatus.ACTIVE]);
  });

  it("has its time anew when it is made active again", async () => {
    const { core, ada } = await use();
    await make(ada, "lobby", 60);
    await core.elapse(MINUTE + ROUND);
    await update(ada, "lobby", { status: RoomStatus.ACTIVE });
    await core.elapse(MINUTE - 1_000);
    expect(await statusOf(core, "lobby")).toBe(RoomStatus.ACTIVE);
    await core.elapse(1_000 + ROUND);
    expect(await archivings(core, "lobby")).toBe(2);
  });

  it("has its time also where the wall clock was set back", async () => {
    const { core, ada } = await use();
    await make(ada, "lobby", 60);
    await core.elapse(MINUTE + ROUND);
    core.clock.setBack(60 * MINUTE);
    await update(ada, "lobby", { status: RoomStatus.ACTIVE });
    await core.elapse(MINUTE - 1_000);
    expect(await statusOf(core, "lobby")).toBe(RoomStatus.ACTIVE);
    await core.elapse(1_000 + ROUND);
    expect(await archivings(core, "lobby")).toBe(2);
  });

  it("is archived by whoever runs when it is over", async () => {
    const { core, ada } = await use();
    await make(ada, "lobby", 60);
    await make(ada, "later", 180);
    await core.elapse(30_000);
    await ada.ask(text("later", "hello"));
    core.clock.advance(2 * MINUTE);
    const next = await restart(core);
    await next.core.elapse(ROUND);
    expect(await statusOf(next.core, "lobby")).toBe(RoomStatus.ARCHIVED);
    expect(await statusOf(next.core, "later")).toBe(RoomStatus.ACTIVE);
    await next.core.elapse(MINUTE);
    expect(await archivings(next.core, "lobby")).toBe(1);
    expect(await archivings(next.core, "later")).toBe(1);
  });

  it("is kept by what is said under it, also by what was said before a restart", async () => {
    const { core, ada } = await use();
    await make(ada, "lobby", 60);
    await call(ada, { case: "createRoom", value: { roomId: "lobby~corner", parentId: "lobby", key: "c" } });
    await core.elapse(50_000);
    await ada.ask(text("lobby~corner", "one"));
    await core.elapse(30_000);
    expect(await statusOf(core, "lobby")).toBe(RoomStatus.ACTIVE);
    const next = await restart(core);
    await next.core.elapse(25_000);
    expect(await statusOf(next.core, "lobby")).toBe(RoomStatus.ACTIVE);
    await next.core.elapse(5_000 + ROUND);
    expect(await statusOf(next.core, "lobby")).toBe(RoomStatus.ARCHIVED);
    expect(await archivings(next.core, "lobby~corner")).toBe(0);
  });

  it("is neither direct nor under another", async () => {
    const { core, ada } = await use();
    await make(ada, "root", NEVER);
    await call(ada, {
      case: "createRoom",
      value: { roomId: "root~corner", parentId: "root", key: "c", settings: { archiveAfterS: 60 } },
    });
    const members = [{ userId: "bob" }];
    await call(ada, {
      case: "createRoom",
      value: { kind: RoomKind.DIRECT, key: "d", members, settings: { archiveAfterS: 60 } },
    });
    await make(ada, "channel", 60, { kind: RoomKind.CHANNEL });
    await core.elapse(2 * MINUTE);
    const documents = await core.engine.archive.rooms({ after: "", limit: 10 });
    const archived = documents.filter(({ room }) => room?.status === RoomStatus.ARCHIVED);
    expect(documents.some(({ room }) => room?.kind === RoomKind.DIRECT)).toBe(true);
    expect(archived.map(({ room }) => room?.roomId)).toEqual(["channel"]);
  });

  it.each([1, 59])("cannot be given %i s", async (archiveAfterS) => {
    const { ada } = await use();
    expect(await make(ada, "lobby", archiveAfterS)).toMatchObject({
      value: { code: ErrorCode.INVALID_ARGUMENT, field: "settings.archive_after_s" },
    });
  });

  it("does not wait for one that fails", async () => {
    const { core, ada } = await use();
    await make(ada, "broken", 60);
    await make(ada, "lobby", 60);
    const faults = core.record("fault");
    const { archive } = core.engine;
    const read = archive.room.bind(archive);
    let broken = true;
    archive.room = (room) => {
      if (broken && room.roomId === "broken") throw new Error("out of order");
      return read(room);
    };
    await core.elapse(MINUTE + ROUND);
    expect(await archivings(core, "lobby")).toBe(1);
    expect(await archivings(core, "broken")).toBe(0);
    expect(faults.filter(({ where }) => where === "archiving idle rooms")).toHaveLength(1);
    broken = false;
    await core.elapse(MINUTE + ROUND);
    expect(await archivings(core, "broken")).toBe(1);
  });
});

describe("a room that says nothing of its time", () => {
  const own = (archiveAfterMs: number): ReadonlyMap<string, TenantDifferences> =>
    new Map([["acme", { archiveAfterMs }]]);

  it("stays for ever by default", async () => {
    const { core, ada } = await use();
    await make(ada, "lobby", 0);
    core.clock.advance(400 * 86_400_000);
    await core.elapse(ROUND);
    expect(await statusOf(core, "lobby")).toBe(RoomStatus.ACTIVE);
  });

  it("has its tenant's", async () => {
    const { core, ada } = await use({ limits: { archiveAfterMs: 10 * MINUTE }, tenants: own(2 * MINUTE) });
    await make(ada, "lobby", 0);
    await make(ada, "kept", NEVER);
    const root = await core.connect("root", {}, { grants: new Set(["admin"]) });
    await make(root, ANNOUNCEMENTS_ID, 0);
    await core.elapse(2 * MINUTE + ROUND);
    expect(await statusOf(core, "lobby")).toBe(RoomStatus.ARCHIVED);
    expect(await statusOf(core, ANNOUNCEMENTS_ID)).toBe(RoomStatus.ACTIVE);
    expect(await statusOf(core, "kept")).toBe(RoomStatus.ACTIVE);
  });

  it("has one that is set after it was made, and loses it again", async () => {
    const { core, ada } = await use();
    await make(ada, "early", 0);
    await core.elapse(3 * MINUTE);
    await make(ada, "late", 0);
    core.tenants.replace(own(2 * MINUTE));
    await core.elapse(2 * ROUND);
    expect(await statusOf(core, "early")).toBe(RoomStatus.ARCHIVED);
    expect(await statusOf(core, "late")).toBe(RoomStatus.ACTIVE);
    core.tenants.replace(new Map());
    await core.elapse(5 * MINUTE);
    expect(await statusOf(core, "late")).toBe(RoomStatus.ACTIVE);
  });

  it("has, where it was stored before that was noted, been idle since its last event", async () => {
    const { core, ada } = await use();
    await make(ada, "lobby", 0);
    await core.elapse(MINUTE);
    await ada.ask(text("lobby", "last"));
    const ref = roomRef("acme", "lobby");
    const document = await core.engine.archive.room(ref);
    const stored = core.engine.state.rooms.get(ref.key);
    if (document === undefined || stored === undefined) throw new Error("there is no room");
    const { appliedSeq } = document;
    stored.document = { appliedSeq, bytes: toBinary(RoomDocumentSchema, { ...document, activeAtMs: 0 }) };
    const options = { tenants: own(2 * MINUTE) };
    const next = await restart(core, options);
    await next.core.elapse(2 * MINUTE - 1_000);
    expect(await statusOf(next.core, "lobby")).toBe(RoomStatus.ACTIVE);
    await next.core.elapse(1_000 + ROUND);
    expect(await archivings(next.core, "lobby")).toBe(1);
  });
});

describe("a service", () => {
  const SERVICE = { grants: new Set(["service"]) };

  it("wakes an archived room and changes nothing else of it", async () => {
    const { core, ada } = await use();
    await make(ada, "lobby", 60);
    const bot = await core.connect("bot", {}, SERVICE);
    const denied = { value: { code: ErrorCode.PERMISSION_DENIED } };
    const missing = { value: { code: ErrorCode.NOT_A_MEMBER } };
    await core.elapse(MINUTE + ROUND);
    expect(await update(bot, "lobby", { status: RoomStatus.ACTIVE, name: "mine" })).toMatchObject(missing);
    expect(await update(bot, "lobby", { archiveAfterS: NEVER, status: RoomStatus.ACTIVE })).toMatchObject(missing);
    expect(await bot.ask(text("lobby", "asleep"))).toMatchObject(denied);
    expect(await update(bot, "lobby", { status: RoomStatus.ACTIVE })).toMatchObject({
      value: { rpc: { value: { room: { status: RoomStatus.ACTIVE, version: 3 } } } },
    });
    expect(await bot.ask(text("lobby", "awake"))).toMatchObject({ case: "published" });
    expect(await update(bot, "lobby", { status: RoomStatus.ACTIVE })).toMatchObject({
      value: { rpc: { value: { room: { status: RoomStatus.ACTIVE, version: 3 } } } },
    });
    expect(await update(bot, "lobby", { status: RoomStatus.ARCHIVED })).toMatchObject(missing);
  });

  it("wakes none that is not there", async () => {
    const { core, ada } = await use();
    await make(ada, "gone", 60);
    await call(ada, { case: "deleteRoom", value: { roomId: "gone", key: "d" } });
    const bot = await core.connect("bot", {}, SERVICE);
    for (const roomId of ["gone", "never"]) {
      expect(await update(bot, roomId, { status: RoomStatus.ACTIVE })).toMatchObject({
        value: { code: ErrorCode.NOT_FOUND },
      });
    }
  });
});
