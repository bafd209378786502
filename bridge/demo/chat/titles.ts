// What rooms are called: a direct room is called after the other.

import type { RoomEntry } from "../../client/rooms/entry.js";
import { isDirect } from "./changes.js";
import { type Chat, useChat } from "./context.js";

export function useRoomTitle(roomId: string): string {
  const chat = useChat();
  const entry = chat.client.rooms.get(roomId);
  return entry === undefined ? roomId : titleOf(entry, chat);
}

export function titleOf({ roomId, room, lastMessage }: RoomEntry, { seat, members }: Chat): string {
  if (!isDirect(room)) return room.name || roomId;
  const other = members.of(roomId).find(({ userId }) => userId !== seat.userId);
  if (other === undefined) return "Direct message";
  const { sender } = lastMessage ?? {};
  const said = sender?.userId === other.userId ? sender?.displayName : "";
  return other.displayName || said || other.userId || "";
}

/** The other of a direct room. */
export function otherOf({ roomId, room }: RoomEntry, { seat, members }: Chat): string | undefined {
  if (!isDirect(room)) return undefined;
  return members.of(roomId).find(({ userId }) => userId !== seat.userId)?.userId;
}
