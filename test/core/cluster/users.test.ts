// What is true of a user is true on every node: whom they have blocked, how many sessions they have, how often they may ask.

import { describe, expect, it } from "vitest";
import { ratesWith } from "../../../src/core/limit/rates.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { PresenceStatus } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { type TestCluster, useCluster } from "../use-cluster.js";
import { hello, identity, settle, type TestClient, type TestCore, text } from "../use-core.js";
import { call } from "../user/use-inbox.js";

/** Longer than nodes need to know of each other, and shorter than they take what they know for true. */
const KNOWN_MS = 2_250;
const TRUSTED_MS = 5_000;
/** Longer than it takes until a node asks again whom those have blocked who are watched there. */
const LOOKED_AGAIN_MS = 40_000;

function device(deviceId: string) {
  return { device: { deviceId } };
}

async function direct(client: TestClient, userId: string): Promise<string> {
  const value = { kind: RoomKind.DIRECT, key: `direct-${userId}`, members: [{ userId }] };
  const made = await call(client, { case: "createRoom", value });
  return made.case === "createRoom" ? (made.value.room?.roomId ?? "") : "";
}

function block(client: TestClient, userId: string, blocked = true): number {
  const value = { userId, blocked, key: `${userId}-${blocked}` };
  return client.send({ case: "call", value: { rpc: { case: "blockUser", value } } });
}

function say(client: TestClient, roomId: string, key: string) {
  return client.ask(text(roomId, key));
}

/** Ada and Bob are at different nodes, Ada's inbox is at Bob's, their direct room at a third, which knows that neither has blocked the other. */
async function useDirect() {
  const cluster = await useCluster();
  const ada = await cluster.node(0).connect("ada");
  const bob = await cluster.node(1).connect("bob");
  const roomId = await direct(ada, "bob");
  const { inboxRoomId } = ada.last("welcome");
  expect(cluster.shardOf(inboxRoomId)).not.toBe(cluster.shardOf(roomId));
  cluster.seize(cluster.shardOf(inboxRoomId), cluster.node(1));
  cluster.seize(cluster.shardOf(roomId), cluster.node(2));
  await cluster.elapse(1_000);
  expect((await say(bob, roomId, "first")).case).toBe("published");
  await cluster.elapse(KNOWN_MS);
  expect((await say(bob, roomId, "second")).case).toBe("published");
  cluster.asked.length = 0;
  expect((await say(bob, roomId, "third")).case).toBe("published");
  return { cluster, ada, bob, roomId };
}

/** Bob watches at another node than Ada's and Cem's. Ada's inbox is at a third, Cem's at Bob's. */
async function useWatching(what: { readonly userIds?: string[]; readonly roomIds?: string[] }) {
  const cluster = await useCluster({ limits: { pingIntervalMs: 600_000 } });
  const ada = await cluster.node(0).connect("ada");
  const bob = await cluster.node(1).connect("bob");
  const cem = await cluster.node(0).connect("cem");
  await cluster.node(0).room(ada, "shared", "bob", "cem");
  const shards = [ada, cem].map((client) => cluster.shardOf(client.last("welcome").inboxRoomId));
  expect(new Set(shards).size).toBe(2);
  for (const [client, owner] of [
    [cem, cluster.node(1)],
    [ada, cluster.node(2)],
  ] as const) {
    cluster.seize(cluster.shardOf(client.last("welcome").inboxRoomId), owner);
  }
  await cluster.elapse(KNOWN_MS);
  const watched = await bob.ask({ case: "watchPresence", value: what });
  if (watched.case !== "presenceSnapshot") throw new Error(`not watched: ${JSON.stringify(watched.value)}`);
  expect(watched.value.presences.map(({ userId }) => userId)).toEqual(expect.arrayContaining(["ada"]));
  const told = (userId: string): string[] =>
    bob
      .all("presenceChanges")
      .flatMap(({ value }) => value.presences)
      .filter((presence) => presence.userId === userId)
      .map(({ status }) => PresenceStatus[status]);
  return { cluster, ada, cem, told };
}

/** Questions of the third node, which owns the room. */
function askedBy(cluster: TestCluster, nodeId: string): number {
  return cluster.asked.filter(({ from }) => from === nodeId).length;
}

describe("whoever is blocked", () => {
  it("publishes nothing more in a direct room once the block is answered, whichever nodes have the two, the room and the inboxes", async () => {
    const { cluster, ada, bob, roomId } = await useDirect();
    expect(askedBy(cluster, "n3")).toBe(0);
    const ref = block(ada, "bob");
    await settle();
    expect(ada.reply(ref).case).toBe("callResult");
    expect(await say(bob, roomId, "m1")).toMatchObject({ case: "error", value: { code: ErrorCode.BLOCKED } });
    expect(await say(ada, roomId, "m2")).toMatchObject({ case: "error", value: { code: ErrorCode.BLOCKED } });
    block(ada, "bob", false);
    await settle();
    expect((await say(bob, roomId, "m3")).case).toBe("published");
  });

  it("is blocked as soon as that is answered where the room's node cannot be told: the answer waits", async () => {
    const { cluster, ada, bob, roomId } = await useDirect();
    cluster.link(cluster.node(0), cluster.node(2), "cut");
    const ref = block(ada, "bob");
    await cluster.elapse(TRUSTED_MS - 250);
    expect(ada.reply(ref).case).toBeUndefined();
    await cluster.elapse(500);
    expect(ada.reply(ref).case).toBe("callResult");
    expect(await say(bob, roomId, "m1")).toMatchObject({ case: "error", value: { code: ErrorCode.BLOCKED } });
  });

  it("sees the other offline, on whatever node they watch", async () => {
    const cluster = await useCluster();
    const ada = await cluster.node(0).connect("ada");
    const bob = await cluster.node(1).connect("bob");
    await cluster.node(0).room(ada, "shared", "bob");
    await cluster.elapse(KNOWN_MS);
    const watched = await bob.ask({ case: "watchPresence", value: { userIds: ["ada"] } });
    expect(watched).toMatchObject({ value: { presences: [{ status: PresenceStatus.ONLINE }] } });
    const told = () =>
      bob.all("presenceChanges").flatMap(({ value }) => value.presences.map(({ status }) => PresenceStatus[status]));
    block(ada, "bob");
    await cluster.elapse(500);
    expect(told()).toEqual(["OFFLINE"]);
    block(ada, "bob", false);
    await cluster.elapse(500);
    expect(told()).toEqual(["OFFLINE", "ONLINE"]);
  });

  it.each([{ userIds: ["ada"] }, { roomIds: ["shared"] }])(
    "sees the other offline in a watch of %o though nobody could tell the node, and while nothing else happens",
    async (what) => {
      const { cluster, ada, told } = await useWatching(what);
      cluster.link(cluster.node(0), cluster.node(1), "cut");
      for (const [blocked, seen] of [
        [true, ["OFFLINE"]],
        [false, ["OFFLINE", "ONLINE"]],
      ] as const) {
        const ref = block(ada, "bob", blocked);
        await cluster.elapse(TRUSTED_MS + 250);
        expect(ada.reply(ref).case).toBe("callResult");
        await cluster.elapse(LOOKED_AGAIN_MS);
        expect(told("ada")).toEqual(seen);
      }
    },
  );

  it("sees everybody else as they are while it cannot be asked whom one of them has blocked", async () => {
    const { cluster, cem, told } = await useWatching({ userIds: ["ada", "cem"] });
    cluster.link(cluster.node(1), cluster.node(2), "cut");
    await cluster.elapse(2 * LOOKED_AGAIN_MS);
    await cem.ask({ case: "setPresence", value: { status: PresenceStatus.AWAY } });
    await cluster.elapse(500);
    expect(told("cem")).toEqual(["AWAY"]);
    expect(told("ada")).toEqual([]);
  });
});

describe("a user who hides their reading", () => {
  it("is hidden on every node once that is answered", async () => {
    const cluster = await useCluster();
    const ada = await cluster.node(0).connect("ada");
    const bob = await cluster.node(1).connect("bob");
    const roomId = await cluster.node(0).room(ada, "shared", "bob");
    await cluster.elapse(KNOWN_MS);
    const position = (await ada.ask(text(roomId, "m"))).value;
    if (position === undefined || !("position" in position)) throw new Error("not published");
    await ada.ask({ case: "mark", value: { roomId, read: position.position } });
    await cluster.elapse(1_250);
    const read = async () => {
      const listed = await call(bob, { case: "listMarkers", value: { roomId } });
      return listed.case === "listMarkers" ? listed.value.markers.map(({ readSeq }) => readSeq) : [];
    };
    expect(await read()).toEqual([2]);
    await call(ada, { case: "setReceiptPrivacy", value: { privacy: { hidden: true } } });
    expect(await read()).toEqual([0]);
  });
});

describe("a user's sessions", () => {
  it("are as many as may be on all nodes together, and the oldest goes", async () => {
    const cluster = await useCluster({ limits: { maxSessionsPerUser: 2 } });
    const clients: TestClient[] = [];
    for (const index of [0, 1, 2]) {
      clients.push(await cluster.node(index).connect("ada", device(`d${index}`)));
      await cluster.elapse(250);
    }
    expect(clients.map(({ endedWith }) => endedWith)).toEqual([CloseCode.TOO_MANY_SESSIONS, undefined, undefined]);
  });

  it("give way to a later one of their device, and one of a lower attempt learns the current one", async () => {
    const cluster = await useCluster();
    const old = await cluster.node(0).connect("ada", { attempt: 6 });
    const young = await cluster.node(1).connect("ada", { attempt: 7 });
    expect(old.endedWith).toBe(CloseCode.REPLACED);
    const late = await knock(cluster.node(2), 3);
    expect(late.endedWith).toBe(CloseCode.REPLACED);
    expect(late.last("goodbye").error?.details).toEqual({ current_attempt: "7" });
    expect(young.endedWith).toBeUndefined();
  });

  it("end with a revocation that came while they were looked up on other nodes", async () => {
    const cluster = await useCluster();
    const node = cluster.node(0);
    node.verifier.answer("token", identity("ada"));
    const client = node.dial();
    client.send(hello("token", "d"));
    // Verified by now, and not answered yet.
    await Promise.resolve();
    await Promise.resolve();
    expect(node.verifier.asked).toEqual(["token"]);
    node.verifier.answer("token", new Error("revoked"));
    node.verifier.revoke({ tenantId: "acme", subject: { userId: "ada" }, atMs: cluster.clock.now() });
    await settle();
    expect(client.endedWith).not.toBeUndefined();
    expect(client.all("welcome")).toEqual([]);
  });
});

async function knock(core: TestCore, attempt: number): Promise<TestClient> {
  core.verifier.answer("ada", identity("ada"));
  const client = core.dial();
  client.send(hello("ada", "device-of-ada", { attempt }));
  await settle();
  return client;
}

describe("a user's rate", () => {
  it("is one for all nodes, in the long run", async () => {
    const rate = { perSecond: 8, burst: 8 };
    const unlimited = { perSecond: 0, burst: 0 };
    const rates = ratesWith({ publish: { session: unlimited, user: rate, room: unlimited, tenant: unlimited } });
    const cluster = await useCluster({ limits: { rates } });
    const clients = [
      await cluster.node(0).connect("ada", device("a")),
      await cluster.node(1).connect("ada", device("b")),
    ];
    const [first] = clients;
    if (first === undefined) throw new Error("nobody is there");
    const roomId = await cluster.node(0).room(first, "room");
    let key = 0;
    const attempt = async (seconds: number): Promise<number> => {
      const refs: [TestClient, number][] = [];
      for (let tick = 0; tick < seconds * 4; tick++) {
        for (const client of clients) {
          for (let count = 0; count < 3; count++) refs.push([client, client.send(text(roomId, `m${++key}`))]);
        }
        await cluster.elapse(250);
      }
      return refs.filter(([client, ref]) => client.reply(ref).case === "published").length;
    };
    await attempt(5);
    const granted = await attempt(10);
    expect(granted).toBeGreaterThanOrEqual(10 * rate.perSecond - 4);
    expect(granted).toBeLessThanOrEqual(10 * rate.perSecond + 4);
  });
});
