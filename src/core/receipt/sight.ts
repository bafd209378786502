// What a reader may see of others' markers.

import { create } from "@bufbuild/protobuf";
import { MarkerSchema } from "../../gen/trunkline/v1/message_pb.js";
import { MarkersSchema, type ServerFrame, ServerFrameSchema } from "../../gen/trunkline/v1/session_pb.js";

export type Sight =
  | "all"
  /** The reader's own reading is hidden, and so is others' from them. */
  | "delivered"
  /** The reader may not see who is in the room. */
  | "nothing";

/** What a reader sees, by whether they may know who is in the room and whether their own reading is hidden. */
export function sightOf(seesMembers: boolean, hidden: boolean): Sight {
  if (!seesMembers) return "nothing";
  return hidden ? "delivered" : "all";
}

/** A frame of markers without what was read. */
export function withoutReading(frame: ServerFrame): ServerFrame {
  if (frame.frame.case !== "markers") return frame;
  const { roomId, markers } = frame.frame.value;
  const value = create(MarkersSchema, {
    roomId,
    markers: markers.map(({ userId, deliveredSeq }) => create(MarkerSchema, { userId, deliveredSeq })),
  });
  return create(ServerFrameSchema, { frame: { case: "markers", value } });
}
