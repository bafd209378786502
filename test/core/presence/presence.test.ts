// Presence as clients see it: what they set, who may see it, and when it is told.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { Permission } from "../../../src/gen/trunkline/v1/message_pb.js";
import {
  type CallSchema,
  LastSeenVisibility,
  type Presence,
  PresenceStatus,
} from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { type TestClient, type TestCore, useCore } from "../use-core.js";

const { ONLINE, OFFLINE, AWAY, DO_NOT_DISTURB, INVISIBLE } = PresenceStatus;
/** Longer than changes are collected. */
const TICK_MS = 250;
const GRACE_MS = 5_000;

interface Watching {
  readonly userIds?: string[];
  readonly roomIds?: string[];
}

async function watch(client: TestClient, value: Watching): Promise<[string, PresenceStatus][]> {
  const { case: kind, value: snapshot } = await client.ask({ case: "watchPresence", value });
  if (kind !== "presenceSnapshot") throw new Error(`${kind}: ${JSON.stringify(snapshot)}`);
  return snapshot.presences.map(({ userId, status }) => [userId, status]);
}

function changes(client: TestClient): Presence[] {
  return client.all("presenceChanges").flatMap(({ value }) => value.presences);
}

function told(client: TestClient): [string, PresenceStatus][] {
  return changes(client).map(({ userId, status }) => [userId, status]);
}

async function set(client: TestClient, status: PresenceStatus, more: { text?: string; untilMs?: number } = {}) {
  const { text = "", untilMs } = more;
  const until = untilMs === undefined ? {} : { until: timestampFromMs(untilMs) };
  return await client.ask({ case: "setPresence", value: { status, text, ...until } });
}

/** Ann and Bob share a room, Eve is alone. */
async function lobby(): Promise<{ readonly test: TestCore; readonly ann: TestClient; readonly bob: TestClient }> {
  const test = await useCore();
  const ann = await test.connect("ann");
  const bob = await test.connect("bob");
  await test.room(ann, "lobby", "bob");
  return { test, ann, bob };
}

describe("a status", () => {
  it("is told to who watches the user, once, as it is then", async () => {
    const { test, ann, bob } = await lobby();
    expect(await watch(bob, { userIds: ["ann", "nobody"] })).toEqual([["ann", ONLINE]]);
    expect(await set(ann, AWAY)).toMatchObject({ case: "done" });
    await set(ann, DO_NOT_DISTURB, { text: "writing" });
    await test.elapse(TICK_MS);
    expect(changes(bob)).toMatchObject([{ userId: "ann", status: DO_NOT_DISTURB, text: "writing" }]);
  });

  it("is the strongest of the user's sessions: invisible, do not disturb, online, away", async () => {
    const { test, ann, bob } = await lobby();
    const phone = await test.connect("ann", { device: { deviceId: "phone" } });
    const seen = async (): Promise<PresenceStatus | undefined> =>
      (await watch(bob, { userIds: ["ann"] })).find(([userId]) => userId === "ann")?.[1];
    await set(ann, AWAY);
    expect(await seen()).toBe(ONLINE);
    await set(phone, AWAY);
    expect(await seen()).toBe(AWAY);
    await set(phone, DO_NOT_DISTURB);
    await set(ann, ONLINE);
    expect(await seen()).toBe(DO_NOT_DISTURB);
    await set(ann, INVISIBLE);
    expect(await seen()).toBeUndefined();
  });

  it("ends at its time", async () => {
    const { test, ann, bob } = await lobby();
    await watch(bob, { userIds: ["ann"] });
    await set(ann, AWAY, { text: "lunch", untilMs: test.clock.now() + 20_000 });
    await test.elapse(TICK_MS);
    await test.elapse(20_000);
    expect(changes(bob).map(({ status, text, until }) => [status, text, until && timestampMs(until)])).toEqual([
      [AWAY, "lunch", 20_000],
      [ONLINE, "", undefined],
    ]);
  });

  it("is one of four, and its text is short", async () => {
    const { ann } = await lobby();
    for (const status of [PresenceStatus.UNSPECIFIED, OFFLINE]) {
      expect(await set(ann, status)).toMatchObject({
        value: { code: ErrorCode.INVALID_ARGUMENT, field: "set_presence.status" },
      });
    }
    expect(await set(ann, ONLINE, { text: "x".repeat(129) })).toMatchObject({
      value: { code: ErrorCode.TOO_LARGE, field: "set_presence.text" },
    });
    expect(await set(ann, ONLINE, { text: "x".repeat(128) })).toMatchObject({ case: "done" });
  });

  it("stays with the device that takes over, so that nobody sees an invisible user who reloads", async () => {
    const { test, ann, bob } = await lobby();
    await watch(bob, { userIds: ["ann"] });
    await set(ann, INVISIBLE);
    await test.elapse(TICK_MS);
    await test.connect("ann", { attempt: 2 });
    expect(ann.endedWith).toBe(CloseCode.REPLACED);
    await test.elapse(TICK_MS);
    expect(told(bob)).toEqual([["ann", OFFLINE]]);
  });
});

describe("who leaves", () => {
  it("is offline at once when the client closed in order", async () => {
    const { test, ann, bob } = await lobby();
    await watch(bob, { userIds: ["ann"] });
    ann.connection.gone(true);
    await test.elapse(TICK_MS);
    expect(told(bob)).toEqual([["ann", OFFLINE]]);
  });

  it("is offline after a grace when the connection was cut, and was last seen when it was", async () => {
    const { test, ann, bob } = await lobby();
    await watch(bob, { userIds: ["ann"] });
    await test.elapse(1_000);
    const cutAtMs = test.clock.now();
    ann.connection.gone(false);
    await test.elapse(GRACE_MS - TICK_MS);
    expect(told(bob)).toEqual([]);
    await test.elapse(2 * TICK_MS);
    expect(told(bob)).toEqual([["ann", OFFLINE]]);
    const [{ lastSeen } = { lastSeen: undefined }] = changes(bob);
    expect(lastSeen && timestampMs(lastSeen)).toBe(cutAtMs);
  });

  it("does not flicker when they are back within the grace, or replace themselves", async () => {
    const { test, ann, bob } = await lobby();
    await watch(bob, { userIds: ["ann"] });
    ann.connection.gone(false);
    await test.elapse(GRACE_MS - 1_000);
    await test.connect("ann", { attempt: 2 });
    await test.elapse(GRACE_MS);
    await test.connect("ann", { attempt: 3 });
    await test.elapse(GRACE_MS);
    expect(told(bob)).toEqual([]);
  });

  it("is told to have been last seen only if they want it", async () => {
    const { test, ann, bob } = await lobby();
    await test.elapse(1_000);
    const hide = { status: ONLINE, lastSeenVisibility: LastSeenVisibility.NOBODY };
    expect(await ann.ask({ case: "setPresence", value: hide })).toMatchObject({ case: "done" });
    await watch(bob, { userIds: ["ann"] });
    ann.connection.gone(true);
    await test.elapse(TICK_MS);
    expect(changes(bob).map(({ status, lastSeen }) => [status, lastSeen])).toEqual([[OFFLINE, undefined]]);
  });
});

describe("a watch", () => {
  it("shows nobody with whom no room is shared, except to services", async () => {
    const { test, ann } = await lobby();
    const eve = await test.connect("eve");
    expect(await watch(eve, { userIds: ["ann", "eve"] })).toEqual([["eve", ONLINE]]);
    const bot = await test.connect("bot", {}, { grants: new Set(["service"]) });
    expect(await watch(bot, { userIds: ["ann"] })).toEqual([["ann", ONLINE]]);
    await set(ann, AWAY);
    await test.elapse(TICK_MS);
    expect(told(eve)).toEqual([]);
    expect(told(bot)).toEqual([["ann", AWAY]]);
  });

  it("replaces what was watched before, and nothing is watched by an empty set", async () => {
    const { test, ann, bob } = await lobby();
    await watch(bob, { userIds: ["ann"] });
    await watch(bob, { userIds: ["bob"] });
    await set(ann, AWAY);
    await test.elapse(TICK_MS);
    await watch(bob, { roomIds: ["lobby"] });
    await watch(bob, {});
    await set(ann, ONLINE);
    await test.elapse(TICK_MS);
    expect(told(bob)).toEqual([]);
  });

  it("ends for a user once no room is shared any more", async () => {
    const { test, ann, bob } = await lobby();
    await watch(bob, { userIds: ["ann"] });
    await bob.ask({ case: "call", value: { rpc: { case: "leaveRoom", value: { roomId: "lobby", key: "l" } } } });
    await test.elapse(12_000);
    expect(told(bob)).toEqual([["ann", OFFLINE]]);
    await set(ann, AWAY);
    await test.elapse(TICK_MS);
    expect(told(bob)).toHaveLength(1);
  });

  it("takes so many users and no more", async () => {
    const { ann } = await lobby();
    const userIds = Array.from({ length: 501 }, (_, index) => `user-${index}`);
    expect(await ann.ask({ case: "watchPresence", value: { userIds } })).toMatchObject({
      value: { code: ErrorCode.TOO_LARGE, field: "watch_presence.user_ids" },
    });
  });
});

describe("a room's presence", () => {
  it("is that of its members, who comes and goes included", async () => {
    const { test, ann, bob } = await lobby();
    expect((await watch(bob, { roomIds: ["lobby"] })).sort()).toEqual([
      ["ann", ONLINE],
      ["bob", ONLINE],
    ]);
    const cem = await test.connect("cem");
    await ann.ask({
      case: "call",
      value: { rpc: { case: "addMembers", value: { roomId: "lobby", key: "a", members: [{ userId: "cem" }] } } },
    });
    await test.elapse(TICK_MS);
    await set(cem, DO_NOT_DISTURB);
    await test.elapse(TICK_MS);
    expect(told(bob)).toEqual([
      ["cem", ONLINE],
      ["cem", DO_NOT_DISTURB],
    ]);
  });

  it("is seen by its members with the right alone, for as long as they have it", async () => {
    const { test, ann, bob } = await lobby();
    const eve = await test.connect("eve");
    expect(await eve.ask({ case: "watchPresence", value: { roomIds: ["lobby"] } })).toMatchObject({
      value: { code: ErrorCode.NOT_A_MEMBER },
    });
    await watch(bob, { roomIds: ["lobby"] });
    await ann.ask({
      case: "call",
      value: {
        rpc: {
          case: "setMember",
          value: { roomId: "lobby", userId: "bob", key: "s", overrides: { denied: [Permission.SEE_PRESENCE] } },
        },
      },
    });
    await set(ann, AWAY);
    await test.elapse(TICK_MS);
    expect(told(bob)).toEqual([]);
    expect(await bob.ask({ case: "watchPresence", value: { roomIds: ["lobby"] } })).toMatchObject({
      value: { code: ErrorCode.PERMISSION_DENIED },
    });
  });

  it("is a count in a room of more than a hundred, every three seconds at most", async () => {
    const test = await useCore();
    const ann = await test.connect("ann");
    const members = Array.from({ length: 99 }, (_, index) => `member-${index}`);
    await test.room(ann, "hall", "bob", ...members.slice(0, 98));
    const bob = await test.connect("bob");
    expect(await watch(bob, { roomIds: ["hall"] })).toHaveLength(2);
    await ann.ask({
      case: "call",
      value: { rpc: { case: "addMembers", value: { roomId: "hall", key: "a", members: [{ userId: "member-98" }] } } },
    });
    const answer = await bob.ask({ case: "watchPresence", value: { roomIds: ["hall"] } });
    expect(answer).toMatchObject({ value: { presences: [], counts: [{ roomId: "hall", online: 2 }] } });
    await test.connect("member-1");
    await test.connect("member-2");
    await set(ann, INVISIBLE);
    await test.elapse(3_000);
    const counts = bob.all("presenceChanges").flatMap(({ value }) => value.counts);
    expect(counts).toMatchObject([{ roomId: "hall", online: 3 }]);
    expect(told(bob)).toEqual([]);
  });

  it("is a count for who may read a large room and not see who is there, as long as it is large", async () => {
    const test = await useCore();
    const ann = await test.connect("ann");
    const members = Array.from({ length: 99 }, (_, index) => `member-${index}`);
    await test.room(ann, "hall", "bob", ...members);
    const bob = await test.connect("bob");
    const administer = async (rpc: MessageInitShape<typeof CallSchema>["rpc"]) => {
      expect(await ann.ask({ case: "call", value: { rpc } })).toMatchObject({ case: "callResult" });
    };
    const overrides = { denied: [Permission.SEE_PRESENCE] };
    const blind = { roomId: "hall", userId: "bob", key: "s", overrides };
    await bob.ask({ case: "subscribe", value: { roomId: "hall", presence: true } });
    await administer({ case: "setMember", value: blind });
    await test.connect("member-1");
    await test.elapse(3_000);
    const counts = () => bob.all("presenceChanges").flatMap(({ value }) => value.counts.map(({ online }) => online));
    expect(counts()).toEqual([2, 3]);
    const snapshot = await bob.ask({ case: "watchPresence", value: { roomIds: ["hall"] } });
    expect(snapshot).toMatchObject({ value: { presences: [], counts: [{ roomId: "hall", online: 3 }] } });
    await administer({ case: "removeMember", value: { roomId: "hall", userId: "member-98", key: "r" } });
    await test.connect("member-2");
    await test.elapse(3_000);
    expect(counts()).toEqual([2, 3]);
    expect(told(bob)).toEqual([]);
    expect(await bob.ask({ case: "watchPresence", value: { roomIds: ["hall"] } })).toMatchObject({
      value: { code: ErrorCode.PERMISSION_DENIED },
    });
  });

  it("is watched along with a subscription that asks for it, and ends with it", async () => {
    const { test, ann, bob } = await lobby();
    await bob.ask({ case: "subscribe", value: { roomId: "lobby", presence: true } });
    expect(told(bob).sort()).toEqual([
      ["ann", ONLINE],
      ["bob", ONLINE],
    ]);
    await set(ann, AWAY);
    await test.elapse(TICK_MS);
    expect(told(bob)).toHaveLength(3);
    await bob.ask({ case: "unsubscribe", value: { roomId: "lobby" } });
    await set(ann, ONLINE);
    await test.elapse(TICK_MS);
    expect(told(bob)).toHaveLength(3);
  });
});

it("leaves no timer and no subscription behind when the core is stopped", async () => {
  const { test, ann, bob } = await lobby();
  await watch(bob, { userIds: ["ann"], roomIds: ["lobby"] });
  await set(ann, AWAY, { untilMs: test.clock.now() + 60_000 });
  await test.core.stop();
  expect(test.clock.pending).toBe(0);
});
