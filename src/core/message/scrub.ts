// An event without what it said: same id, same place, same tag.

import { clone, toBinary } from "@bufbuild/protobuf";
import { type RoomEvent, RoomEventSchema } from "../../gen/trunkline/v1/message_pb.js";
import { EncodedEvent } from "../../ports/encoded-event.js";

export function scrub(event: RoomEvent): EncodedEvent {
  const scrubbed = clone(RoomEventSchema, event);
  const { kind, position } = scrubbed;
  if (kind.case === "messageCreated" || kind.case === "messageEdited") {
    kind.value.body = undefined;
    kind.value.mentions = [];
    kind.value.metadata = undefined;
    if (kind.case === "messageCreated") kind.value.forwardedFrom = undefined;
  }
  return new EncodedEvent(position?.seq ?? 0, position?.tag ?? 0, toBinary(RoomEventSchema, scrubbed), scrubbed);
}
