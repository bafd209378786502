// Makes the rooms of a benchmark: a session of their owner that creates them and adds members.

import { RoomKind } from "../../src/gen/trunkline/v1/message_pb.js";
import type { Session } from "./session.js";

/** As many as one call takes. */
const MEMBERS_PER_CALL = 100;

/** Creates a room of the session's user with these members beside it. */
export async function createRoom(
  session: Session,
  roomId: string,
  members: readonly string[],
  kind = RoomKind.UNSPECIFIED,
): Promise<void> {
  const first = newMembers(members.slice(0, MEMBERS_PER_CALL));
  await session.call({
    case: "createRoom",
    value: { roomId, key: `create-${roomId}`, attempt: 1, kind, members: first },
  });
  for (let from = MEMBERS_PER_CALL; from < members.length; from += MEMBERS_PER_CALL) {
    await session.call({
      case: "addMembers",
      value: {
        roomId,
        key: `add-${roomId}-${from}`,
        attempt: 1,
        members: newMembers(members.slice(from, from + MEMBERS_PER_CALL)),
      },
    });
  }
}

function newMembers(users: readonly string[]): { userId: string }[] {
  return users.map((userId) => ({ userId }));
}
