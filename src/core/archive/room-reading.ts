// What the archive tells of one room.

import type { Archive } from "../../ports/archive.js";

/** The methods of the archive that read one room: whoever owns the room answers them, also of what is not archived yet. */
export type RoomReading = Pick<
  Archive,
  "room" | "member" | "members" | "subRooms" | "events" | "seqOf" | "message" | "messages" | "hidden" | "sentBy"
>;
