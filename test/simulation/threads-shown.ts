// While nothing happens, whoever reads a room is shown its threads as the log has them, from whatever page of its history.

import { create } from "@bufbuild/protobuf";
import { GetHistoryRequestSchema } from "../../src/gen/trunkline/v1/room_pb.js";
import { placeOf } from "./link.js";
import { Violation } from "./violation.js";
import type { World } from "./world.js";

/** Rooms whose threads are looked at in a calm. */
const ROOMS_ASKED = 8;
const PAGE = 50;

export async function requireThreads(world: World): Promise<void> {
  const { chance, checker } = world;
  const threaded = [...checker.rooms].filter(([, { messages }]) => [...messages.threads.roots].length > 0);
  for (let asked = 0; asked < ROOMS_ASKED && threaded.length > 0; asked++) {
    const [roomKey, room] = chance.pick(threaded);
    const { tenantId, userId } = chance.pick(world.devices);
    const roomId = roomKey.slice(tenantId.length + 1);
    if (roomKey !== `${tenantId}/${roomId}` || !room.mayRead(userId, room.top)) continue;
    if (!world.application.admits(roomKey, userId)) continue;
    await requireHistory(world, tenantId, userId, roomId);
  }
}

/** The whole history, page by page from its end. */
async function requireHistory(world: World, tenantId: string, userId: string, roomId: string): Promise<void> {
  const { checker, coverage } = world;
  const { threads } = checker.room(`${tenantId}/${roomId}`).messages;
  let beforeIndex = 0;
  for (;;) {
    const value = create(GetHistoryRequestSchema, {
      roomId,
      limit: PAGE,
      from: beforeIndex > 0 ? { case: "beforeIndex", value: beforeIndex } : { case: undefined },
    });
    const page = await world.ask(tenantId, userId, { case: "getHistory", value });
    if (page?.case !== "getHistory") throw new Violation("not answered", `history of ${tenantId}/${roomId}`);
    const { asOf, messages, more, nextIndex } = page.value;
    checker.history(`${tenantId}/${roomId}`, userId, placeOf(asOf), messages);
    for (const { messageId } of messages) {
      if (threads.repliesAt(messageId, asOf?.seq ?? 0) > 0) coverage.count("replies compared");
    }
    if (!more) return;
    beforeIndex = nextIndex;
  }
}
