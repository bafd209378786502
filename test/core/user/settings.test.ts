// Settings that all of a user's devices share.

import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../../src/ports/error.js";
import { administrator, expectRefusal, useRooms, user } from "../room/use-rooms.js";
import { useCore } from "../use-core.js";
import { call, openInbox, told } from "./use-inbox.js";

const ADA = user("ada");
const BOB = user("bob");

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

describe("settings", () => {
  it("are read as they were last set, by their user alone", async () => {
    const rooms = await useRooms();
    const settings = [
      { key: "theme", value: bytes("dark") },
      { key: "lang", value: bytes("de") },
    ];
    const set = await rooms.ask(ADA, "setSettings", { settings, key: "k" });
    expect(set.settings).toMatchObject([
      { key: "lang", version: 1, value: bytes("de") },
      { key: "theme", version: 1, value: bytes("dark") },
    ]);
    await rooms.ask(ADA, "setSettings", { settings: [{ key: "lang", value: bytes("en"), version: 1 }], key: "k2" });
    const some = await rooms.ask(ADA, "getSettings", { keys: ["lang", "none"] });
    expect(some.settings).toMatchObject([{ key: "lang", version: 2, value: bytes("en") }]);
    expect((await rooms.ask(ADA, "getSettings", {})).settings).toHaveLength(2);
    expect((await rooms.ask(BOB, "getSettings", {})).settings).toEqual([]);
  });

  it("survive the process", async () => {
    const rooms = await useRooms();
    const key = "pinned-rooms";
    await rooms.ask(ADA, "setSettings", { settings: [{ key, value: bytes("a,b") }], key: "k" });
    await rooms.restart();
    const { settings } = await rooms.ask(ADA, "getSettings", {});
    expect(settings).toMatchObject([{ key, value: bytes("a,b"), version: 1 }]);
  });

  it("change all or not at all, and not from a stale version", async () => {
    const rooms = await useRooms();
    const set = (key: string, ...settings: { key: string; value: Uint8Array; version?: number }[]) =>
      rooms.ask(ADA, "setSettings", { settings, key });
    await set("1", { key: "a", value: bytes("1") });
    await set("2", { key: "a", value: bytes("2"), version: 1 });
    const refused = set("3", { key: "b", value: bytes("1") }, { key: "a", value: bytes("3"), version: 1 });
    const facts = { field: "settings[1].version", details: { current_version: "2" } };
    await expectRefusal(refused, ErrorCode.CONFLICT, facts);
    await expectRefusal(set("4", { key: "new", value: bytes("1"), version: 3 }), ErrorCode.CONFLICT, {
      details: { current_version: "0" },
    });
    const { settings } = await rooms.ask(ADA, "getSettings", {});
    expect(settings).toMatchObject([{ key: "a", value: bytes("2"), version: 2 }]);
  });

  it("happen once for a key, whatever was set since", async () => {
    const rooms = await useRooms();
    const first = { settings: [{ key: "a", value: bytes("1"), version: 0 }], key: "k" };
    await rooms.ask(ADA, "setSettings", first);
    await rooms.ask(ADA, "setSettings", { settings: [{ key: "a", value: bytes("2") }], key: "k2" });
    const again = await rooms.ask(ADA, "setSettings", { ...first, attempt: 2 });
    expect(again.settings).toMatchObject([{ value: bytes("2"), version: 2 }]);
    await rooms.restart();
    const after = await rooms.ask(ADA, "setSettings", { ...first, attempt: 3 });
    expect(after.settings).toMatchObject([{ value: bytes("2"), version: 2 }]);
  });

  it("are removed by an empty value, and begin anew", async () => {
    const rooms = await useRooms();
    const set = (key: string, value: string) =>
      rooms.ask(ADA, "setSettings", { settings: [{ key: "a", value: bytes(value) }], key });
    await set("1", "x");
    await set("2", "y");
    expect((await set("3", "")).settings).toEqual([]);
    expect((await set("4", "z")).settings).toMatchObject([{ version: 1 }]);
  });

  it("are so many and no more, each so long and no longer", async () => {
    const rooms = await useRooms();
    const set = (key: string, settings: { key: string; value: Uint8Array }[]) =>
      rooms.ask(ADA, "setSettings", { settings, key });
    const many = Array.from({ length: 200 }, (_, n) => ({ key: `s${n}`, value: bytes("x") }));
    await set("many", many);
    await expectRefusal(set("more", [{ key: "more", value: bytes("x") }]), ErrorCode.LIMIT_EXCEEDED, {
      details: { limit: "200" },
    });
    await set("instead", [
      { key: "s0", value: bytes("") },
      { key: "more", value: bytes("x") },
    ]);
    await expectRefusal(set("long", [{ key: "s1", value: new Uint8Array(8_193) }]), ErrorCode.TOO_LARGE, {
      field: "settings[0].value",
    });
    const heavy = Array.from({ length: 16 }, (_, n) => ({ key: `s${n + 1}`, value: new Uint8Array(8_192).fill(n) }));
    await expectRefusal(set("heavy", heavy), ErrorCode.LIMIT_EXCEEDED, { details: { limit: "131072" } });
    await set("less", heavy.slice(1));
    await expectRefusal(set("twice", [...many.slice(0, 1), ...many.slice(0, 1)]), ErrorCode.INVALID_ARGUMENT, {
      field: "settings[1].key",
    });
    await expectRefusal(set("none", []), ErrorCode.INVALID_ARGUMENT, { field: "settings" });
  });

  it("are told to the user's other devices, each change once and in order", async () => {
    const core = await useCore();
    const phone = await core.connect("ada");
    const laptop = await core.connect("ada", { device: { deviceId: "laptop" } });
    await openInbox(laptop);
    const set = (key: string, value: string) =>
      call(phone, { case: "setSettings", value: { key, settings: [{ key: "a", value: bytes(value) }] } });
    await set("1", "x");
    await set("same", "x");
    await set("2", "y");
    await set("2", "y");
    await set("3", "");
    expect(told(laptop)).toMatchObject([
      { case: "settingChanged", value: { key: "a", value: bytes("x"), version: 1 } },
      { case: "settingChanged", value: { key: "a", value: bytes("y"), version: 2 } },
      { case: "settingChanged", value: { key: "a", value: bytes(""), version: 0 } },
    ]);
  });
});

describe("an inbox", () => {
  it("is neither left nor changed nor ended, not even by an administrator", async () => {
    const core = await useCore();
    const ada = await core.connect("ada");
    const roomId = await openInbox(ada);
    const rooms = await useRooms({ engine: core.engine });
    const refusals = [
      rooms.ask(ADA, "leaveRoom", { roomId, key: "k" }),
      rooms.ask(administrator("root"), "deleteRoom", { roomId, key: "k" }),
      rooms.ask(administrator("root"), "updateRoom", { roomId, key: "k", name: "x" }),
      rooms.ask(administrator("root"), "addMembers", { roomId, key: "k", members: [{ userId: "eve" }] }),
    ];
    for (const refused of refusals) await expectRefusal(refused, ErrorCode.PERMISSION_DENIED);
  });
});
