// How many rooms a tenant may have, as its clients are told.

import { describe, expect, it, vi } from "vitest";
import { limitsWith } from "../../../src/core/limit/limits.js";
import { TenantRooms } from "../../../src/core/limit/tenant-rooms.js";
import { TenantLimits } from "../../../src/core/limit/tenants.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { ErrorCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import type { ServerFrame } from "../../../src/gen/trunkline/v1/session_pb.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { gate, settle, type TestClient, type TestCore, useCore } from "../use-core.js";

type Reply = ServerFrame["frame"];
type Asked = Parameters<TestClient["ask"]>[0];

function creating(roomId: string, differing: { kind?: RoomKind; parentId?: string; attempt?: number } = {}): Asked {
  const value = { roomId, key: `make-${roomId}`, attempt: 1, ...differing };
  return { case: "call", value: { rpc: { case: "createRoom", value } } };
}

function creatingDirect(userId: string): Asked {
  const value = { key: `direct-${userId}`, kind: RoomKind.DIRECT, members: [{ userId }] };
  return { case: "call", value: { rpc: { case: "createRoom", value } } };
}

function deleting(roomId: string): Asked {
  return { case: "call", value: { rpc: { case: "deleteRoom", value: { roomId, key: `end-${roomId}` } } } };
}

function joining(roomId: string): Asked {
  return { case: "call", value: { rpc: { case: "joinRoom", value: { roomId, key: `join-${roomId}` } } } };
}

function full(limit: number, current = limit) {
  const details = { quota: "rooms_per_tenant", limit: `${limit}`, current: `${current}` };
  return { case: "error", value: { code: ErrorCode.LIMIT_EXCEEDED, retryable: true, details } };
}

const DONE = { case: "callResult" };

/** The replies to frames that are sent at once. */
async function askAll(client: TestClient, asked: readonly Asked[]): Promise<Reply[]> {
  const refs = asked.map((each) => client.send(each));
  await settle();
  return refs.map((ref) => client.reply(ref));
}

async function useAnna(options: Parameters<typeof useCore>[0]): Promise<{ core: TestCore; anna: TestClient }> {
  const core = await useCore(options);
  return { core, anna: await core.connect("anna") };
}

describe.each([
  ["an engine that answers at once", false],
  ["an engine that answers later", true],
])("the rooms of a tenant, with %s", (_, answersLater) => {
  const useLimit = (maxRoomsPerTenant: number, engine = new MemoryEngine({ answersLater })) =>
    useAnna({ engine, limits: { maxRoomsPerTenant } });

  it("are so many and no more, until one is deleted", async () => {
    const { core, anna } = await useLimit(2);
    const refused = core.record("quota.refused");
    expect(await anna.ask(creating("a"))).toMatchObject(DONE);
    expect(await anna.ask(creating("b"))).toMatchObject(DONE);
    expect(await anna.ask(creating("c"))).toMatchObject(full(2));
    expect(refused).toEqual([{ quota: "rooms_per_tenant", tenantId: "acme" }]);
    expect(await anna.ask(deleting("a"))).toMatchObject(DONE);
    expect(await anna.ask(creating("c"))).toMatchObject(DONE);
    expect(await anna.ask(creating("d"))).toMatchObject(full(2));
  });

  it("are counted whatever they are, but for inboxes", async () => {
    const { anna } = await useLimit(3);
    // Makes anna's inbox.
    const setting = { key: "theme", value: new TextEncoder().encode("dark") };
    const settings: Asked = {
      case: "call",
      value: { rpc: { case: "setSettings", value: { key: "s", settings: [setting] } } },
    };
    expect(await anna.ask(settings)).toMatchObject(DONE);
    expect(await anna.ask(creating("a"))).toMatchObject(DONE);
    expect(await anna.ask(creating("a~under", { parentId: "a" }))).toMatchObject(DONE);
    expect(await anna.ask(creatingDirect("bert"))).toMatchObject(DONE);
    for (const one of [creating("b"), creating("a~more", { parentId: "a" }), creatingDirect("carl")]) {
      expect(await anna.ask(one)).toMatchObject(full(3));
    }
    // It is there.
    expect(await anna.ask(creatingDirect("bert"))).toMatchObject(DONE);
  });

  it("free their places with the room that they are under", async () => {
    const { core, anna } = await useLimit(3);
    for (const one of [creating("a"), creating("a~b", { parentId: "a" }), creating("a~c", { parentId: "a" })]) {
      expect(await anna.ask(one)).toMatchObject(DONE);
    }
    expect(await anna.ask(deleting("a"))).toMatchObject(DONE);
    await core.elapse(1_000);
    const replies = await askAll(
      anna,
      ["d", "e", "f", "g"].map((id) => creating(id)),
    );
    expect(replies.map((reply) => reply.case)).toEqual(["callResult", "callResult", "callResult", "error"]);
  });

  it("are no more where many are made at once, in whatever shards", async () => {
    const { anna } = await useLimit(5);
    const replies = await askAll(
      anna,
      Array.from({ length: 20 }, (__, index) => creating(`r${index}`)),
    );
    expect(replies.filter((reply) => reply.case === "callResult")).toHaveLength(5);
    expect(replies.filter((reply) => reply.case === "error")).toHaveLength(15);
    expect(replies.at(-1)).toMatchObject(full(5));
  });

  it("are taken from the turn that makes them, and free when the deletion is durable", async () => {
    const { core, anna } = await useLimit(1, new MemoryEngine({ shards: 4, answersLater }));
    const [made, deleted] = [gate<void>(), gate<void>()];
    core.engine.faultNextAppend({ kind: "hold", until: made.promise });
    const first = anna.send(creating("a"));
    await settle();
    expect(await anna.ask(creating("b"))).toMatchObject(full(1));
    made.resolve();
    await settle();
    expect(anna.reply(first)).toMatchObject(DONE);
    core.engine.faultNextAppend({ kind: "hold", until: deleted.promise });
    anna.send(deleting("a"));
    await settle();
    expect(await anna.ask(creating("c"))).toMatchObject(full(1));
    deleted.resolve();
    await settle();
    expect(await anna.ask(creating("d"))).toMatchObject(DONE);
  });

  it("are not taken by a creation that was refused for something else", async () => {
    const { anna } = await useLimit(2);
    expect(await anna.ask(creating("a"))).toMatchObject(DONE);
    const refused = { value: { code: ErrorCode.ALREADY_EXISTS } };
    const again: Asked = {
      case: "call",
      value: { rpc: { case: "createRoom", value: { roomId: "a", key: "other" } } },
    };
    expect(await anna.ask(again)).toMatchObject(refused);
    expect(await anna.ask(creating("a"))).toMatchObject(DONE);
    expect(await anna.ask(creating("nowhere~b", { parentId: "nowhere" }))).toMatchObject({ case: "error" });
    expect(await anna.ask(creating("b"))).toMatchObject(DONE);
  });

  it("answer a repeat of what was done, however full the tenant is", async () => {
    const engine = new MemoryEngine({ answersLater });
    const { core, anna } = await useLimit(1, engine);
    expect(await anna.ask(creating("a"))).toMatchObject(DONE);
    expect(await anna.ask(creating("a", { attempt: 2 }))).toMatchObject(DONE);
    await core.core.stop();
    engine.crash();
    const { anna: later } = await useLimit(1, engine);
    expect(await later.ask(creating("a", { attempt: 3 }))).toMatchObject(DONE);
    expect(await later.ask(creating("b"))).toMatchObject(full(1));
    expect(await later.ask(deleting("a"))).toMatchObject(DONE);
    expect(await later.ask(creating("b"))).toMatchObject(DONE);
  });

  it("are as many as are stored where an append was not answered", async () => {
    const { core, anna } = await useLimit(1, new MemoryEngine({ shards: 1, answersLater }));
    core.engine.faultNextAppend({ kind: "lose-answer" });
    expect(await anna.ask(creating("a"))).toMatchObject({ value: { code: ErrorCode.UNAVAILABLE } });
    await core.elapse(2_000);
    expect(await anna.ask(creating("b"))).toMatchObject(full(1));
    expect(await anna.ask(creating("a", { attempt: 2 }))).toMatchObject(DONE);
    core.engine.faultNextAppend({ kind: "lose-answer" });
    expect(await anna.ask(deleting("a"))).toMatchObject({ value: { code: ErrorCode.UNAVAILABLE } });
    await core.elapse(2_000);
    expect(await anna.ask(creating("b"))).toMatchObject(DONE);
  });

  it("have their place again where an append was refused", async () => {
    const { core, anna } = await useLimit(1, new MemoryEngine({ shards: 1, answersLater }));
    core.engine.faultNextAppend({ kind: "refuse" });
    expect(await anna.ask(creating("a"))).toMatchObject({ value: { code: ErrorCode.UNAVAILABLE } });
    await core.elapse(2_000);
    expect(await anna.ask(creating("b"))).toMatchObject(DONE);
    expect(await anna.ask(creating("c"))).toMatchObject(full(1));
  });

  it("cannot be made while they cannot be counted, and can afterwards", async () => {
    const { core, anna } = await useLimit(1);
    core.engine.archiveDown = true;
    expect(await anna.ask(creating("a"))).toMatchObject({ value: { code: ErrorCode.UNAVAILABLE } });
    core.engine.archiveDown = false;
    expect(await anna.ask(creating("a"))).toMatchObject(DONE);
  });
});

describe("the rooms of a tenant", () => {
  it("are limited where that is said of it, and from when it is said", async () => {
    const { core, anna } = await useAnna({ tenants: new Map([["other", { maxRoomsPerTenant: 1 }]]) });
    const other = await core.connect("anna", { token: "t" }, { tenantId: "other" });
    for (const id of ["a", "b"]) expect(await anna.ask(creating(id))).toMatchObject(DONE);
    expect(await other.ask(creating("a"))).toMatchObject(DONE);
    expect(await other.ask(creating("b"))).toMatchObject(full(1));
    core.tenants.replace(new Map([["acme", { maxRoomsPerTenant: 1 }]]));
    expect(await anna.ask(creating("c"))).toMatchObject(full(1, 2));
    expect(await other.ask(creating("b"))).toMatchObject(DONE);
  });

  it("are limited with what was under way when that was said", async () => {
    const { core, anna } = await useAnna({});
    const made = gate<void>();
    expect(await anna.ask(creating("a"))).toMatchObject(DONE);
    core.engine.faultNextAppend({ kind: "hold", until: made.promise });
    anna.send(creating("b"));
    await settle();
    core.tenants.replace(new Map([["acme", { maxRoomsPerTenant: 2 }]]));
    expect(await anna.ask(creating("c"))).toMatchObject(full(2));
    made.resolve();
    await settle();
    expect(await anna.ask(creating("c"))).toMatchObject(full(2));
  });

  it("are limited where joining makes them", async () => {
    const { anna } = await useAnna({ limits: { maxRoomsPerTenant: 1, openRooms: true } });
    expect(await anna.ask(joining("a"))).toMatchObject(DONE);
    expect(await anna.ask(joining("a"))).toMatchObject(DONE);
    expect(await anna.ask(joining("b"))).toMatchObject(full(1));
  });

  it("are counted for nobody whose rooms are not limited", async () => {
    const engine = new MemoryEngine();
    const counting = vi.spyOn(engine.archive, "countRooms");
    const { anna } = await useAnna({ engine, tenants: new Map([["other", { maxRoomsPerTenant: 1 }]]) });
    expect(await anna.ask(creating("a"))).toMatchObject(DONE);
    expect(await anna.ask(deleting("a"))).toMatchObject(DONE);
    expect(counting).not.toHaveBeenCalled();
  });

  it("are counted anew for a refusal that might be wrong, and once for all that follow", async () => {
    const engine = new MemoryEngine({ shards: 1 });
    const counting = vi.spyOn(engine.archive, "countRooms");
    const { core, anna } = await useAnna({ engine, limits: { maxRoomsPerTenant: 1 } });
    core.engine.faultNextAppend({ kind: "lose-answer" });
    anna.send(creating("a"));
    for (const id of ["b", "c", "d", "e"]) {
      await core.elapse(2_000);
      expect(await anna.ask(creating(id))).toMatchObject(full(1));
    }
    expect(counting).toHaveBeenCalledTimes(2);
  });

  it("are not counted all the time where that takes long", async () => {
    const engine = new MemoryEngine();
    const clock = new StoppedClock();
    const tenants = new TenantLimits(limitsWith({ maxRoomsPerTenant: 1 }));
    const counts = Array.from({ length: 2 }, () => gate<number>());
    const counting = vi.spyOn(engine.archive, "countRooms");
    for (const { promise } of counts) counting.mockReturnValueOnce(promise);
    const rooms = new TenantRooms({
      archive: engine.archive,
      clock,
      log: engine.log,
      telemetry: new Telemetry(),
      tenants,
    });
    const first = rooms.ready("acme");
    clock.advance(2_000);
    counts[0]?.resolve(1);
    await first;
    clock.advance(199_999);
    expect(rooms.ready("acme")).toBeUndefined();
    expect(counting).toHaveBeenCalledTimes(1);
    clock.advance(1);
    expect(rooms.ready("acme")).toBeDefined();
    expect(counting).toHaveBeenCalledTimes(2);
  });

  it("are forgotten where nobody asks for long", async () => {
    const engine = new MemoryEngine();
    const counting = vi.spyOn(engine.archive, "countRooms");
    const clock = new StoppedClock();
    const limits = limitsWith({ maxRoomsPerTenant: 1 });
    const deps = { archive: engine.archive, clock, log: engine.log, telemetry: new Telemetry() };
    const rooms = new TenantRooms({ ...deps, tenants: new TenantLimits(limits) });
    for (const tenantId of ["one", "two"]) rooms.ready(tenantId);
    clock.advance(9 * 60_000);
    rooms.ready("two");
    clock.advance(2 * 60_000);
    rooms.sweep();
    expect(rooms.size).toBe(1);
    expect(counting).toHaveBeenCalledTimes(3);
  });

  it("are counted once, and anew after a minute", async () => {
    const engine = new MemoryEngine();
    const counting = vi.spyOn(engine.archive, "countRooms");
    const { core, anna } = await useAnna({ engine, limits: { maxRoomsPerTenant: 3 } });
    for (const id of ["a", "b", "c", "d", "e"]) await anna.ask(creating(id));
    expect(counting).toHaveBeenCalledTimes(1);
    await core.elapse(61_000);
    const again = await core.connect("anna");
    for (const id of ["d", "e"]) expect(await again.ask(creating(id))).toMatchObject(full(3));
    expect(counting).toHaveBeenCalledTimes(2);
  });
});
