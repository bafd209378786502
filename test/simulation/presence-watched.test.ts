// How people see each other can be found wrong.

import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { nextTag } from "../../src/core/room/position.js";
import { Role, RoomEventSchema, RoomKind, RoomStatus } from "../../src/gen/trunkline/v1/message_pb.js";
import {
  ClientFrameSchema,
  PresenceChangesSchema,
  PresenceSnapshotSchema,
  PresenceStatus,
} from "../../src/gen/trunkline/v1/session_pb.js";
import { Checker } from "./checker.js";
import { PresenceWatch } from "./presence-watch.js";
import { seenWrongly, type WatchingDevice } from "./presence-watched.js";

const { ONLINE, AWAY } = PresenceStatus;

function device(userId: string): WatchingDevice {
  return { name: userId, tenantId: "acme", userId, live: true, presence: ONLINE, watching: new PresenceWatch() };
}

/** Anna, who watches bert and is told of the statuses, one after the other. */
function annaTold(...statuses: readonly PresenceStatus[]): WatchingDevice {
  const anna = device("anna");
  anna.watching.become(["bert"], []);
  const asked = create(ClientFrameSchema);
  anna.watching.asked = asked;
  anna.watching.snapshot(create(PresenceSnapshotSchema), asked);
  for (const status of statuses) {
    anna.watching.changes(create(PresenceChangesSchema, { presences: [{ userId: "bert", status }] }));
  }
  return anna;
}

function checkerOf(kind: RoomKind, users: readonly string[]): Checker {
  const checker = new Checker();
  const members = users.map((userId) => ({ userId, role: Role.MEMBER }));
  const value = { room: { kind, status: RoomStatus.ACTIVE, version: 1 }, members };
  const position = { seq: 1, tag: nextTag(0, "made") };
  checker.logged(
    "acme/r",
    create(RoomEventSchema, { eventId: "made", position, kind: { case: "roomCreated", value } }),
  );
  return checker;
}

test("whoever shares a room is to be seen as they are", () => {
  const checker = checkerOf(RoomKind.GROUP, ["anna", "bert"]);
  const bert = device("bert");
  expect(seenWrongly(checker, [bert], annaTold(ONLINE))).toBeUndefined();
  expect(seenWrongly(checker, [bert], annaTold())).toContain("sees bert OFFLINE, not ONLINE");
  expect(seenWrongly(checker, [bert], annaTold(ONLINE, AWAY))).toContain("sees bert AWAY, not ONLINE");
  expect(seenWrongly(checker, [], annaTold(ONLINE))).toContain("sees bert ONLINE, not OFFLINE");
});

test("whoever shares none is to be seen offline", () => {
  const checker = checkerOf(RoomKind.GROUP, ["anna"]);
  expect(seenWrongly(checker, [device("bert")], annaTold())).toBeUndefined();
  expect(seenWrongly(checker, [device("bert")], annaTold(ONLINE))).toContain("may not see");
});
