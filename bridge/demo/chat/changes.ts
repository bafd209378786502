// Changes of rooms, as people ask for them: by names, and whether the room is there already or not.

import type { Client } from "../../client/client.js";
import { RefusedError } from "../../client/error.js";
import type { ErrorCode, Room } from "../../client/gen/types.js";
import { idOf } from "../account/seat.js";

/** Joins the room of this name, or makes it where there is none. Somebody else may make it in between: then it can be joined. */
export async function enterRoom(client: Client, name: string): Promise<string> {
  const roomId = idOf(name);
  try {
    await client.change({ joinRoom: { roomId } });
  } catch (error) {
    if (!isRefusal(error, "ERROR_CODE_NOT_FOUND")) throw error;
    try {
      await client.change({ createRoom: { roomId, name, kind: "ROOM_KIND_GROUP", joinRule: "JOIN_RULE_OPEN" } });
    } catch (raced) {
      if (!isRefusal(raced, "ERROR_CODE_ALREADY_EXISTS")) throw raced;
      await client.change({ joinRoom: { roomId } });
    }
  }
  return roomId;
}

/** The room of this user and another. */
export async function enterDirect(client: Client, name: string): Promise<string> {
  const createRoom = { kind: "ROOM_KIND_DIRECT", members: [{ userId: idOf(name) }] } as const;
  const { createRoom: created } = await client.change({ createRoom });
  return created?.room?.roomId ?? "";
}

/** @param names "Ada, Grace" */
export async function addPeople(client: Client, roomId: string, names: string): Promise<void> {
  const members = names
    .split(",")
    .filter((name) => name.trim() !== "")
    .map((name) => ({ userId: idOf(name) }));
  if (members.length > 0) await client.change({ addMembers: { roomId, members } });
}

export function isDirect(room: Room | undefined): boolean {
  return room?.kind === "ROOM_KIND_DIRECT";
}

function isRefusal(error: unknown, code: ErrorCode): boolean {
  return error instanceof RefusedError && error.code === code;
}
