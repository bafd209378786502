// What a room's new owner knows of what was said before.

import { describe, expect, it, vi } from "vitest";
import { ratesWith } from "../../../src/core/limit/rates.js";
import { useCluster } from "../use-cluster.js";
import { settle, type TestClient, text } from "../use-core.js";

const MINUTE_MS = 60_000;
const NO_LIMIT = { perSecond: 0, burst: 0 };

/** A room that was spoken in at its old owner, and has another now. */
async function useMovedRoom(count: number, ageMs = 0) {
  const open = { tenant: NO_LIMIT, user: NO_LIMIT, session: NO_LIMIT, room: NO_LIMIT };
  const cluster = await useCluster({ limits: { rates: ratesWith({ publish: open }) } });
  const roomId = cluster.roomIdOf(0);
  const before = await cluster.node(1).connect("ann");
  await cluster.node(1).room(before, roomId, "bob");
  for (let index = 0; index < count; index += 50) {
    for (let at = index; at < Math.min(index + 50, count); at++) before.send(text(roomId, `k${at}`));
    await cluster.elapse(1_000);
  }
  cluster.clock.advance(ageMs);
  await settle();
  const look = vi.spyOn(cluster.engine.archive, "seqOf");
  const read = vi.spyOn(cluster.engine.archive, "events");
  await cluster.move(cluster.shardOf(roomId), cluster.node(1));
  const ann = await cluster.node(1).connect("ann");
  return {
    cluster,
    roomId,
    ann,
    /** How often the archive was asked for an id of the room. */
    lookedUp: () => look.mock.calls.filter(([room]) => room.roomId === roomId).length,
    /** Up to where events of the room were read. */
    readTo: () => read.mock.calls.flatMap(([room, { to }]) => (room.roomId === roomId ? [to] : [])),
  };
}

async function publish(client: TestClient, roomId: string, key: string, attempt = 1) {
  const ref = client.send({ case: "publish", value: { ...text(roomId, key).value, attempt } });
  await settle();
  const reply = client.reply(ref);
  if (reply.case !== "published") throw new Error(`${key} was answered with ${JSON.stringify(reply.value)}`);
  return reply.value;
}

describe("the new owner of a room", () => {
  it("reads its last events once, and looks nothing up for what is said then", async () => {
    const { roomId, ann, lookedUp, readTo } = await useMovedRoom(20);
    for (let index = 0; index < 10; index++) expect((await publish(ann, roomId, `n${index}`)).duplicate).toBe(false);
    expect(lookedUp()).toBe(0);
    expect(readTo()).toEqual([21]);
  });

  it("recognises what was said before, though it comes as a first try", async () => {
    const { roomId, ann } = await useMovedRoom(20);
    const first = await publish(ann, roomId, "k0");
    expect(first).toMatchObject({ duplicate: true, position: { seq: 2 } });
    expect(await publish(ann, roomId, "k19")).toMatchObject({ duplicate: true, position: { seq: 21 } });
    expect((await publish(ann, roomId, "k20")).duplicate).toBe(false);
  });

  it("looks up whoever says that they try again, however long ago the first time was", async () => {
    const { roomId, ann, lookedUp } = await useMovedRoom(3, 30 * MINUTE_MS);
    expect(await publish(ann, roomId, "k0", 2)).toMatchObject({ duplicate: true, position: { seq: 2 } });
    expect(lookedUp()).toBe(1);
  });

  it("reads no more of a room than may be repeated", async () => {
    const { roomId, ann, lookedUp, readTo } = await useMovedRoom(1_200, 30 * MINUTE_MS);
    await publish(ann, roomId, "new");
    await publish(ann, roomId, "newer");
    expect(lookedUp()).toBe(0);
    expect(readTo()).toEqual([1_201]);
  });

  it("goes on where the archive is away, once it has read them", async () => {
    const { cluster, roomId, ann } = await useMovedRoom(3);
    await publish(ann, roomId, "new");
    cluster.engine.archiveDown = true;
    expect((await publish(ann, roomId, "newer")).duplicate).toBe(false);
    cluster.engine.archiveDown = false;
    await cluster.elapse(5_000);
  });
});
