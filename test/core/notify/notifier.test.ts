// Who is told, while they are away, that something waits for them.

import { describe, expect, it, onTestFinished } from "vitest";
import type { NotifierOptions } from "../../../src/core/outlet/options.js";
import { DeviceKind, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { GRACE_MS, Town } from "./use-notifier.js";

async function useTown(differing: Partial<NotifierOptions> = {}): Promise<Town> {
  const town = new Town(differing);
  await town.start();
  onTestFinished(() => town.stop());
  // Nobody is taken to be away before the process has run for a grace.
  await town.elapse(GRACE_MS);
  return town;
}

describe("whoever is away", () => {
  it("is told once the grace is over, with the room, what waits there, and their devices", async () => {
    const town = await useTown();
    await town.room("r", "ada", "bob");
    const phone = await town.comes("bob", "phone");
    phone.connection.gone(true);
    await town.elapse(GRACE_MS);
    const first = await town.says("ada", "r");
    await town.says("ada", "r");
    await town.elapse(GRACE_MS - 1_000);
    expect(town.notifier.told).toEqual([]);
    await town.elapse(2_000);
    expect(town.notifier.taken).toMatchObject([
      {
        tenantId: "acme",
        userId: "bob",
        roomId: "r",
        roomKind: RoomKind.GROUP,
        count: 2,
        first: { seq: first },
        last: { seq: first + 1 },
        sender: { userId: "ada" },
        mentioned: false,
        devices: [{ deviceId: "phone", name: "phone", kind: DeviceKind.UNSPECIFIED, connected: false }],
      },
    ]);
    expect(town.notifier.taken[0]?.body).toBeUndefined();
  });

  it("is told of a message of a service in their inbox, also where they have never been", async () => {
    const town = await useTown();
    await town.tells("bob");
    await town.elapse(GRACE_MS + 1_000);
    expect(town.notifier.taken).toMatchObject([
      { userId: "bob", roomKind: RoomKind.INBOX, sender: { userId: "bot" }, devices: [] },
    ]);
  });

  it("is told once for all that comes until they are back, and again for what comes after that", async () => {
    const town = await useTown();
    await town.room("r", "ada", "bob");
    const first = await town.says("ada", "r");
    await town.elapse(GRACE_MS + 1_000);
    for (let more = 0; more < 3; more++) {
      await town.says("ada", "r");
      await town.elapse(2 * GRACE_MS);
    }
    expect(town.notifier.told).toEqual([`bob r ${first}-${first}`]);
    (await town.comes("bob")).connection.gone(true);
    await town.elapse(GRACE_MS);
    const later = await town.says("ada", "r");
    await town.elapse(GRACE_MS + 1_000);
    expect(town.notifier.told).toHaveLength(2);
    expect(town.notifier.told[1]).toContain(`-${later}`);
    expect(new Set(town.notifier.taken.map(({ notificationId }) => notificationId)).size).toBe(2);
  });

  it("is told of each room by itself", async () => {
    const town = await useTown();
    for (const roomId of ["r", "s"]) {
      await town.room(roomId, "ada", "bob");
      await town.says("ada", roomId);
    }
    await town.elapse(GRACE_MS + 1_000);
    expect(town.notifier.taken.map(({ roomId }) => roomId).sort()).toEqual(["r", "s"]);
  });

  it("is not told of their own messages, nor once they have read, received, or left", async () => {
    const town = await useTown();
    await town.room("r", "ada", "bob", "carl", "dora");
    await town.says("ada", "r");
    await town.reads(await town.comes("bob", "one"), "r");
    await town.reads(await town.comes("carl", "two"), "r", "delivered");
    for (const client of [await town.comes("bob", "one"), await town.comes("carl", "two")])
      client.connection.gone(true);
    const dora = await town.comes("dora");
    await dora.ask({ case: "call", value: { rpc: { case: "leaveRoom", value: { roomId: "r", key: "leave" } } } });
    dora.connection.gone(true);
    await town.elapse(3 * GRACE_MS);
    expect(town.notifier.told).toEqual([]);
  });

  it("is not told while they are there, nor of what they came for", async () => {
    const town = await useTown();
    await town.room("r", "ada", "bob");
    await town.says("ada", "r");
    await town.elapse(GRACE_MS - 2_000);
    await town.comes("bob");
    await town.elapse(GRACE_MS);
    expect(town.notifier.told).toEqual([]);
  });

  it("is not told of a message that is deleted by then, nor of what was said before they joined", async () => {
    const town = await useTown();
    await town.room("r", "ada");
    const ada = await town.comes("ada");
    const said = await ada.ask({
      case: "publish",
      value: { roomId: "r", clientMessageId: "m", body: { kind: { case: "text", value: "early" } } },
    });
    await town.elapse(1_000);
    const members = [{ userId: "bob" }];
    await ada.ask({
      case: "call",
      value: { rpc: { case: "addMembers", value: { roomId: "r", key: "add", members } } },
    });
    const again = await ada.ask({
      case: "publish",
      value: { roomId: "r", clientMessageId: "n", body: { kind: { case: "text", value: "oops" } } },
    });
    expect(said.case).toBe("published");
    const messageId = again.case === "published" ? again.value.messageId : "";
    await ada.ask({ case: "deleteMessage", value: { roomId: "r", messageId, key: "d" } });
    await town.elapse(2 * GRACE_MS);
    expect(town.notifier.told).toEqual([]);
  });

  it("gets what the last message says where that is asked for", async () => {
    const town = await useTown({ withBody: true });
    await town.room("r", "ada", "bob");
    await town.says("ada", "r", { body: { kind: { case: "text", value: "hello" } } });
    await town.elapse(GRACE_MS + 1_000);
    expect(town.notifier.taken[0]?.body?.kind).toEqual({ case: "text", value: "hello" });
  });
});

describe("a connection that is lost", () => {
  it("does not count when the page is back within the grace", async () => {
    const town = await useTown();
    await town.room("r", "ada", "bob");
    const page = await town.comes("bob");
    await town.says("ada", "r");
    page.connection.gone(false);
    await town.elapse(GRACE_MS - 2_000);
    await town.comes("bob");
    await town.elapse(2 * GRACE_MS);
    expect(town.notifier.told).toEqual([]);
  });

  it("does not swallow what was said while nobody knew that it was dead", async () => {
    const town = await useTown();
    await town.room("r", "ada", "bob");
    const dead = await town.comes("bob");
    const seq = await town.says("ada", "r");
    await town.elapse(GRACE_MS + 5_000);
    expect(town.notifier.told).toEqual([]);
    dead.connection.gone(false);
    await town.elapse(GRACE_MS - 2_000);
    expect(town.notifier.told).toEqual([]);
    await town.elapse(GRACE_MS + 3_000);
    expect(town.notifier.told).toEqual([`bob r ${seq}-${seq}`]);
  });
});

describe("a user's settings", () => {
  it("say for each room, or for all that have none of their own, of which messages they are told", async () => {
    const town = await useTown();
    for (const roomId of ["quiet", "named", "loud"]) await town.room(roomId, "ada", "bob");
    await town.sets("bob", "~notify", "none");
    await town.sets("bob", "~notify:named", "mentions");
    await town.sets("bob", "~notify:loud", "all");
    for (const roomId of ["quiet", "named", "loud"]) await town.says("ada", roomId);
    const seq = await town.says("ada", "named", { mentions: [{ userId: "bob" }] });
    await town.elapse(GRACE_MS + 1_000);
    expect(town.notifier.taken.map(({ roomId }) => roomId).sort()).toEqual(["loud", "named"]);
    expect(town.notifier.taken.find(({ roomId }) => roomId === "named")).toMatchObject({
      count: 1,
      mentioned: true,
      first: { seq },
    });
  });

  it("refuse a level that there is not, by name", async () => {
    const town = await useTown();
    const refused = await town.sets("bob", "~notify:r", "loud").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(TrunklineError);
    expect(refused).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT, field: "settings[0].value" });
  });

  it("keep whoever is blocked silent", async () => {
    const town = await useTown();
    await town.room("r", "ada", "bob");
    const bob = await town.comes("bob");
    await bob.ask({
      case: "call",
      value: { rpc: { case: "blockUser", value: { userId: "ada", blocked: true, key: "b" } } },
    });
    bob.connection.gone(true);
    await town.elapse(GRACE_MS);
    await town.says("ada", "r");
    await town.elapse(2 * GRACE_MS);
    expect(town.notifier.told).toEqual([]);
  });
});

it("tells in a large room only whom a message names", async () => {
  const town = await useTown({ wideRoom: 3 });
  await town.room("r", "ada", "bob", "carl", "dora");
  await town.says("ada", "r");
  const seq = await town.says("ada", "r", {
    mentions: [{ userId: "carl" }, { userId: "ada" }, { userId: "stranger" }],
  });
  await town.says("ada", "r");
  await town.elapse(2 * GRACE_MS);
  expect(town.notifier.told).toEqual([`carl r ${seq}-${seq}`]);
  expect(town.notifier.taken).toMatchObject([{ count: 1, mentioned: true }]);
});

describe("a notification", () => {
  it("waits for a notifier that is away, is judged anew when it is back, and holds what came meanwhile", async () => {
    const town = await useTown();
    for (const roomId of ["r", "s"]) await town.room(roomId, "ada", "bob", "carl");
    town.notifier.down = true;
    const first = await town.says("ada", "r");
    await town.says("ada", "s");
    await town.elapse(GRACE_MS + 1_000);
    const last = await town.says("ada", "r");
    const carl = await town.comes("carl");
    for (const roomId of ["r", "s"]) await town.reads(carl, roomId);
    carl.connection.gone(true);
    await town.elapse(60_000);
    expect(town.notifier.told).toEqual([]);
    town.notifier.down = false;
    await town.elapse(300_000);
    expect(town.notifier.told.sort()).toEqual([`bob r ${first}-${last}`, `bob s ${first}-${first}`]);
  });

  it("is not lost with the process, whether the message was looked at or not", async () => {
    const town = await useTown();
    await town.room("r", "ada", "bob");
    const seq = await town.says("ada", "r");
    await town.elapse(1_000);
    await town.crash();
    await town.elapse(3 * GRACE_MS);
    expect(town.notifier.told).toEqual([`bob r ${seq}-${seq}`]);

    town.notifier.down = true;
    await town.room("s", "ada", "bob");
    const waiting = await town.says("ada", "s");
    await town.elapse(2 * GRACE_MS);
    await town.restart();
    town.notifier.down = false;
    await town.elapse(3 * GRACE_MS);
    expect(town.notifier.told.slice(1)).toEqual([`bob s ${waiting}-${waiting}`]);
  });

  it("is not repeated by a restart", async () => {
    const town = await useTown();
    await town.room("r", "ada", "bob");
    await town.says("ada", "r");
    await town.elapse(GRACE_MS + 1_000);
    for (let times = 0; times < 2; times++) {
      await town.restart();
      await town.elapse(3 * GRACE_MS);
    }
    await town.crash();
    await town.elapse(3 * GRACE_MS);
    expect(town.notifier.told).toHaveLength(1);
  });

  it("has the same id when it comes again because its answer was lost", async () => {
    const town = await useTown();
    await town.room("r", "ada", "bob");
    town.notifier.losesAnswer = true;
    await town.says("ada", "r");
    await town.elapse(2 * GRACE_MS);
    expect(town.notifier.taken.length).toBeGreaterThan(1);
    expect(new Set(town.notifier.taken.map(({ notificationId }) => notificationId)).size).toBe(1);
    town.notifier.losesAnswer = false;
    await town.elapse(60_000);
    const taken = town.notifier.taken.length;
    await town.elapse(60_000);
    expect(town.notifier.taken).toHaveLength(taken);
  });

  it("is given up after the time for it, and is no news when the notifier comes back after days", async () => {
    const town = await useTown({ giveUpAfterMs: 60_000 });
    const buried = town.test.record("outlet.buried");
    await town.room("r", "ada", "bob");
    town.notifier.down = true;
    await town.says("ada", "r");
    await town.elapse(300_000);
    expect(buried).toMatchObject([{ outlet: "notifier", roomId: "r" }]);
    town.notifier.down = false;
    await town.elapse(60_000);
    expect(town.notifier.told).toEqual([]);
  });
});
