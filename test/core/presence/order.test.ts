// What is told of presence while how everybody is is still being read.

import { expect, it, vi } from "vitest";
import { PresenceStatus } from "../../../src/gen/trunkline/v1/session_pb.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { gate, settle, type TestClient, useCore } from "../use-core.js";

const { ONLINE, OFFLINE } = PresenceStatus;
/** Longer than changes are collected. */
const TICK_MS = 250;

/** Ann, who is online, Cid, who is not, and Bob share a room. The next answer that says when somebody was last seen waits. */
async function useWaiting() {
  const engine = new MemoryEngine();
  const test = await useCore({ engine });
  const [ann, bob] = [await test.connect("ann"), await test.connect("bob")];
  await test.room(ann, "lobby", "bob", "cid");
  const held = gate<void>();
  const { archive } = engine;
  const lastSeen = archive.lastSeen.bind(archive);
  vi.spyOn(archive, "lastSeen").mockImplementationOnce(async (...asked) => {
    const answer = await lastSeen(...asked);
    await held.promise;
    return answer;
  });
  return { test, bob, held };
}

/** How a client that believes what it was told last sees a user. */
function seen(client: TestClient, userId: string): PresenceStatus {
  let status = OFFLINE;
  for (const { frame } of client.sink.frames) {
    if (frame.case === "presenceSnapshot") status = OFFLINE;
    if (frame.case !== "presenceSnapshot" && frame.case !== "presenceChanges") continue;
    for (const presence of frame.value.presences) if (presence.userId === userId) status = presence.status;
  }
  return status;
}

it("tells who comes while it is read how everybody is after how they were", async () => {
  const { test, bob, held } = await useWaiting();
  bob.send({ case: "watchPresence", value: { userIds: ["ann", "cid"] } });
  await settle();
  await test.connect("cid");
  await test.elapse(TICK_MS);
  held.resolve();
  await settle();
  expect([seen(bob, "ann"), seen(bob, "cid")]).toEqual([ONLINE, ONLINE]);
});
