// Of a tenant's announcements the notifier tells those who are named, though they never joined.

import { create } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { CreateRoomRequestSchema } from "../../../src/gen/trunkline/v1/room_pb.js";
import { service } from "../delivery/use-delivery.js";
import { GRACE_MS, Town } from "./use-notifier.js";

const ROOM = "~announcements";

async function useTown(): Promise<Town> {
  const town = new Town();
  await town.start();
  onTestFinished(() => town.stop());
  const value = create(CreateRoomRequestSchema, { roomId: ROOM, key: "make", members: [{ userId: "ann" }] });
  await town.test.core.rooms.call(service(), { case: "createRoom", value });
  return town;
}

it("tells whoever is named, and nobody else, members or not", async () => {
  const town = await useTown();
  await town.says("", ROOM);
  await town.says("", ROOM, { mentions: [{ userId: "bob" }] });
  await town.says("", ROOM);
  await town.elapse(2 * GRACE_MS);
  expect(town.notifier.told).toEqual([`bob ${ROOM} 3-3`]);
});

it("tells nobody who has chosen to hear nothing of them, whatever names them", async () => {
  const town = await useTown();
  await town.sets("bob", `~notify:${ROOM}`, "none");
  await town.says("", ROOM, { mentions: [{ userId: "bob" }] });
  await town.elapse(2 * GRACE_MS);
  expect(town.notifier.told).toEqual([]);
});
