// Who types in a room, as those who are subscribed to it are told.

import { describe, expect, it } from "vitest";
import { Permission, RoomStatus } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { gate, settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";
import { call, heard, outcome, tick, typing } from "./use-signals.js";

interface Scene {
  readonly core: TestCore;
  readonly ada: TestClient;
  readonly bob: TestClient;
  readonly eve: TestClient;
}

/** Ada's room "r" with Bob and Eve, who is subscribed to it. */
async function useScene(...settings: Parameters<typeof useCore>): Promise<Scene> {
  const core = await useCore(...settings);
  const [ada, bob, eve] = [await core.connect("ada"), await core.connect("bob"), await core.connect("eve")];
  await core.room(ada, "r", "bob", "eve");
  await eve.ask({ case: "subscribe", value: { roomId: "r" } });
  return { core, ada, bob, eve };
}

async function start({ core }: Scene, who: TestClient): Promise<void> {
  await who.ask(typing("r", true));
  await tick(core);
}

const BOB = "bob@device-of-bob";
const ADA = "ada@device-of-ada";

describe("typing", () => {
  it("is told to who is subscribed, as it begins and as it ends, and a frame with a ref is answered", async () => {
    const scene = await useScene();
    const { core, ada, bob, eve } = scene;
    expect((await bob.ask(typing("r", true))).case).toBe("done");
    expect(heard(eve)).toEqual([]);
    await tick(core);
    expect(heard(eve)).toEqual([[`${BOB} types`]]);
    expect((await bob.ask(typing("r", false))).case).toBe("done");
    await tick(core);
    expect(heard(eve)).toEqual([[`${BOB} types`], [`${BOB} ends`]]);
    expect(heard(ada)).toEqual([]);
  });

  it("carries the display name of the token", async () => {
    const core = await useCore();
    const ada = await core.connect("ada", {}, { displayName: "Ada L." });
    await core.room(ada, "r");
    await ada.ask({ case: "subscribe", value: { roomId: "r" } });
    await ada.ask(typing("r", true));
    await tick(core);
    expect(ada.last("signals").signals[0]?.sender).toMatchObject({ userId: "ada", displayName: "Ada L." });
  });

  it("of many in one tick is one frame", async () => {
    const { core, ada, bob, eve } = await useScene();
    for (const client of [ada, bob, eve]) client.post(typing("r", true));
    await settle();
    await tick(core);
    expect(heard(eve)).toEqual([[`${ADA} types`, `${BOB} types`, "eve@device-of-eve types"]]);
  });

  it("that ends in the tick in which it began is not told of", async () => {
    const { core, bob, eve } = await useScene();
    await bob.ask(typing("r", true));
    await bob.ask(typing("r", false));
    await tick(core);
    bob.post(typing("r", true));
    bob.post(typing("r", false));
    await settle();
    await tick(core);
    expect(heard(eve)).toEqual([]);
  });

  it("that ends in the tick in which it began is not told of either where an earlier one was", async () => {
    const scene = await useScene();
    const { core, ada, bob, eve } = scene;
    // Somebody goes on, so that the room is not forgotten in between.
    await start(scene, ada);
    await start(scene, bob);
    await bob.ask(typing("r", false));
    await tick(core);
    await bob.ask(typing("r", true));
    await bob.ask(typing("r", false));
    await tick(core);
    expect(heard(eve)).toEqual([[`${ADA} types`], [`${BOB} types`], [`${BOB} ends`]]);
  });

  it("that ends and begins anew in one tick goes on", async () => {
    const scene = await useScene();
    const { core, bob, eve } = scene;
    await start(scene, bob);
    await bob.ask(typing("r", false));
    await bob.ask(typing("r", true));
    await tick(core);
    expect(heard(eve).slice(1)).toEqual([[`${BOB} types`]]);
  });

  it("expires 5 s after the last start", async () => {
    const scene = await useScene();
    const { core, bob, eve } = scene;
    await start(scene, bob);
    await core.elapse(3_000);
    await start(scene, bob);
    expect(heard(eve)).toEqual([[`${BOB} types`], [`${BOB} types`]]);
    core.clock.advance(4_949);
    await settle();
    expect(heard(eve)).toHaveLength(2);
    core.clock.advance(1);
    await settle();
    expect(heard(eve).slice(2)).toEqual([[`${BOB} ends`]]);
  });

  it("is told again when it is repeated, but not within 1 s", async () => {
    const scene = await useScene();
    const { core, bob, eve } = scene;
    await start(scene, bob);
    for (let n = 0; n < 9; n++) {
      core.clock.advance(100);
      expect((await bob.ask(typing("r", true))).case).toBe("done");
    }
    await tick(core);
    expect(heard(eve)).toHaveLength(1);
    await bob.ask(typing("r", true));
    await tick(core);
    expect(heard(eve)).toEqual([[`${BOB} types`], [`${BOB} types`]]);
  });

  it("is learnt by who subscribes meanwhile with the next repeat", async () => {
    const scene = await useScene();
    const { core, ada, bob } = scene;
    await start(scene, bob);
    await ada.ask({ case: "subscribe", value: { roomId: "r" } });
    await core.elapse(3_000);
    await start(scene, bob);
    expect(heard(ada)).toEqual([[`${BOB} types`]]);
  });

  it("reads the room's state as it begins and not as it goes on", async () => {
    const scene = await useScene();
    const { core, ada, bob, eve } = scene;
    await start(scene, bob);
    core.clock.advance(3_000);
    core.engine.faultNextAppend({ kind: "refuse" });
    await ada.ask(text("r", "lost"));
    // Until the log is opened anew, nobody can tell what the room is.
    expect(outcome(await ada.ask(typing("r", true)))).toBe(ErrorCode.UNAVAILABLE);
    expect(outcome(await bob.ask(typing("r", true)))).toBe("done");
    await tick(core);
    expect(heard(eve)).toEqual([[`${BOB} types`], [`${BOB} types`]]);
  });

  it("of two devices of a user are two", async () => {
    const scene = await useScene();
    const { core, bob, eve } = scene;
    const phone = await core.connect("bob", { device: { deviceId: "phone" } });
    await start(scene, bob);
    await start(scene, phone);
    await bob.ask(typing("r", false));
    await tick(core);
    expect(heard(eve)).toEqual([[`${BOB} types`], ["bob@phone types"], [`${BOB} ends`]]);
  });

  it("tells no more than a hundred in a frame; the others follow with the next", async () => {
    const { core, ada, eve } = await useScene();
    const users = Array.from({ length: 130 }, (_, n) => `u${n}`);
    for (const from of [0, 100]) {
      const members = users.slice(from, from + 100).map((userId) => ({ userId }));
      await call(ada, { case: "addMembers", value: { roomId: "r", key: `add-${from}`, members } });
    }
    for (const user of users) (await core.connect(user)).post(typing("r", true));
    await settle();
    await tick(core);
    await tick(core);
    expect(heard(eve).map((frame) => frame.length)).toEqual([100, 30]);
  });
});

describe("typing ends", () => {
  it("with a message of the user in the room, from whichever device", async () => {
    const scene = await useScene();
    const { core, bob, eve } = scene;
    const phone = await core.connect("bob", { device: { deviceId: "phone" } });
    await start(scene, bob);
    await phone.ask(text("r", "said"));
    await tick(core);
    expect(heard(eve)).toEqual([[`${BOB} types`], [`${BOB} ends`]]);
    await start(scene, bob);
    expect(heard(eve)[2]).toEqual([`${BOB} types`]);
  });

  it("not with a message of another, nor with one that was refused, nor with one in another room", async () => {
    const scene = await useScene();
    const { core, ada, bob, eve } = scene;
    await core.room(ada, "other", "bob");
    await start(scene, bob);
    await ada.ask(text("r", "another's"));
    await bob.ask(text("r", "", ""));
    await bob.ask(text("other", "elsewhere"));
    await tick(core);
    expect(heard(eve)).toEqual([[`${BOB} types`]]);
  });

  it("not with the message that was sent before it began, though it is stored after", async () => {
    const { core, bob, eve } = await useScene();
    bob.post(text("r", "before"));
    bob.post(typing("r", true));
    await settle();
    await tick(core);
    expect(heard(eve)).toEqual([[`${BOB} types`]]);
  });

  it.for<[string, (scene: Scene) => Promise<unknown>]>([
    ["the session", async ({ bob }) => bob.connection.gone(false)],
    ["leaving the room", ({ bob }) => call(bob, { case: "leaveRoom", value: { roomId: "r", key: "k" } })],
    ["removal", ({ ada }) => call(ada, { case: "removeMember", value: { roomId: "r", key: "k", userId: "bob" } })],
    [
      "the right to send signals",
      ({ ada }) =>
        call(ada, {
          case: "setMember",
          value: { roomId: "r", key: "k", userId: "bob", overrides: { denied: [Permission.SIGNAL] } },
        }),
    ],
    [
      "being muted",
      ({ ada }) => call(ada, { case: "setMember", value: { roomId: "r", key: "k", userId: "bob", muteForMs: 60_000 } }),
    ],
    [
      "the room being archived",
      ({ ada }) => call(ada, { case: "updateRoom", value: { roomId: "r", key: "k", status: RoomStatus.ARCHIVED } }),
    ],
    [
      "the room's typing",
      ({ ada }) => call(ada, { case: "updateRoom", value: { roomId: "r", key: "k", settings: { typing: false } } }),
    ],
  ])("with %s", async ([, end]) => {
    const scene = await useScene();
    await start(scene, scene.bob);
    await end(scene);
    await tick(scene.core);
    expect(heard(scene.eve)).toEqual([[`${BOB} types`], [`${BOB} ends`]]);
  });

  it("where what takes the right away comes while it is being judged", async () => {
    const { core, ada, bob, eve } = await useScene();
    const held = gate<void>();
    core.engine.faultNextAppend({ kind: "hold", until: held.promise });
    ada.post(text("r", "under way"));
    await settle();
    // Bob is judged as a member, and told so together with the removal that comes after.
    ada.post(text("r", "waiting"));
    bob.post(typing("r", true));
    await settle();
    const removal = { case: "removeMember", value: { roomId: "r", key: "k", userId: "bob" } } as const;
    ada.post({ case: "call", value: { rpc: removal } });
    await settle();
    held.resolve();
    await settle();
    await tick(core);
    expect(heard(eve)).toEqual([]);
  });

  it("with no timer left and nothing heard of the room", async () => {
    const scene = await useScene();
    const { core, bob } = scene;
    const before = core.clock.pending;
    await start(scene, bob);
    expect(core.clock.pending).toBe(before + 1);
    await bob.ask(typing("r", false));
    await tick(core);
    expect(core.clock.pending).toBe(before);
  });
});

describe("typing is refused", () => {
  const refused = async (who: TestClient, roomId = "r") => outcome(await who.ask(typing(roomId, true)));

  it("to who is not a member, in a room that is not there, and without a room's id", async () => {
    const { core, ada } = await useScene();
    const mallory = await core.connect("mallory");
    expect(await refused(mallory)).toBe(ErrorCode.NOT_A_MEMBER);
    expect(await refused(ada, "nowhere")).toBe(ErrorCode.NOT_FOUND);
    expect(await refused(ada, "")).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("to who is muted until they are not, and to readers", async () => {
    const { core, ada, bob } = await useScene();
    await call(ada, { case: "setMember", value: { roomId: "r", key: "k", userId: "bob", muteForMs: 5_000 } });
    expect(await refused(bob)).toBe(ErrorCode.PERMISSION_DENIED);
    expect(bob.last("error").retryAfterMs).toBe(5_000);
    await core.elapse(5_000);
    expect(await refused(bob)).toBe("done");
    const reader = await core.connect("reader");
    const members = [{ userId: "reader", role: 4 }];
    await call(ada, { case: "addMembers", value: { roomId: "r", key: "add", members } });
    expect(await refused(reader)).toBe(ErrorCode.PERMISSION_DENIED);
  });

  it("in archived rooms", async () => {
    const { ada, bob } = await useScene();
    await call(ada, { case: "updateRoom", value: { roomId: "r", key: "k", status: RoomStatus.ARCHIVED } });
    expect(await refused(bob)).toBe(ErrorCode.PERMISSION_DENIED);
  });

  it("in rooms of more than 1,000 members, unless their settings ask for it", async () => {
    const { ada, bob } = await useScene();
    for (let page = 0; page < 10; page++) {
      const members = Array.from({ length: 100 }, (_, n) => ({ userId: `u${page}-${n}` })).slice(page === 0 ? 3 : 0);
      await call(ada, { case: "addMembers", value: { roomId: "r", key: `add-${page}`, members } });
    }
    expect(await refused(bob)).toBe("done");
    const one = [{ userId: "one-more" }];
    await call(ada, { case: "addMembers", value: { roomId: "r", key: "one-more", members: one } });
    expect(await refused(ada)).toBe(ErrorCode.PERMISSION_DENIED);
    await call(ada, { case: "updateRoom", value: { roomId: "r", key: "on", settings: { typing: true } } });
    expect(await refused(ada)).toBe("done");
  });

  it("in a room that has grown beyond 1,000 members, within 30 s also to who goes on typing", async () => {
    const scene = await useScene();
    const { core, ada, bob, eve } = scene;
    await start(scene, bob);
    for (let page = 0; page < 10; page++) {
      const members = Array.from({ length: 100 }, (_, n) => ({ userId: `u${page}-${n}` }));
      await call(ada, { case: "addMembers", value: { roomId: "r", key: `add-${page}`, members } });
    }
    for (let n = 0; n < 9; n++) {
      await core.elapse(3_000);
      expect(await refused(bob)).toBe("done");
    }
    await core.elapse(3_000);
    expect(await refused(bob)).toBe(ErrorCode.PERMISSION_DENIED);
    await tick(core);
    expect(heard(eve).at(-1)).toEqual([`${BOB} ends`]);
  });

  it("in more than 16 rooms at once", async () => {
    const { core, ada } = await useScene();
    const outcomes: unknown[] = [];
    for (let n = 0; n < 17; n++) {
      await core.room(ada, `room-${n}`);
      outcomes.push(await refused(ada, `room-${n}`));
    }
    expect(outcomes.slice(15)).toEqual(["done", ErrorCode.LIMIT_EXCEEDED]);
    await ada.ask(typing("room-0", false));
    expect(await refused(ada, "room-16")).toBe("done");
  });

  it("without a word where no ref was given", async () => {
    const { core, eve } = await useScene();
    const mallory = await core.connect("mallory");
    mallory.post(typing("r", true));
    await settle();
    await tick(core);
    expect(mallory.all("error")).toEqual([]);
    expect(heard(eve)).toEqual([]);
  });
});

describe("typing of who was removed unheard", () => {
  const removed = async (scene: Scene): Promise<void> => {
    scene.core.engine.lostAnnouncements = 1;
    await call(scene.ada, { case: "removeMember", value: { roomId: "r", key: "remove", userId: "bob" } });
    expect(scene.core.engine.lostAnnouncements).toBe(0);
  };
  const goesOn = async ({ core, bob }: Scene): Promise<string | number | undefined> => {
    await core.elapse(1_000);
    const answer = outcome(await bob.ask(typing("r", true)));
    await tick(core);
    return answer;
  };

  it("is refused and over when it goes on after it was told how far the room had come", async () => {
    const scene = await useScene();
    await start(scene, scene.bob);
    await removed(scene);
    scene.core.engine.fanout.top(roomRef("acme", "r"), 2);
    expect(await goesOn(scene)).toBe(ErrorCode.NOT_A_MEMBER);
    expect(heard(scene.eve)).toEqual([[`${BOB} types`], [`${BOB} ends`]]);
  });

  it("is refused and over when it goes on after a later event was heard", async () => {
    const scene = await useScene();
    await scene.ada.ask(text("r", "m1"));
    await start(scene, scene.bob);
    await scene.ada.ask(text("r", "m2"));
    await removed(scene);
    await scene.ada.ask(text("r", "m3"));
    expect(await goesOn(scene)).toBe(ErrorCode.NOT_A_MEMBER);
  });

  it("is not judged again for what was heard", async () => {
    const scene = await useScene();
    await start(scene, scene.bob);
    await scene.ada.ask(text("r", "m1"));
    await removed(scene);
    scene.core.engine.fanout.top(roomRef("acme", "r"), 2);
    expect(await goesOn(scene)).toBe("done");
  });
});
