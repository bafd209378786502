// What a node answers others for the rooms that it owns.

import type { Looked, Read, ReadAnswer } from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { Caller } from "../room/calls.js";
import type { Command, Outcome } from "../room/command.js";

/** Each rejects with the refusal, and where it does not own the room. */
export interface PeerAnswers {
  look(ref: RoomRef, users: readonly string[]): Promise<Looked>;
  read(ref: RoomRef, read: Read): Promise<ReadAnswer>;
  /** Commands of one device in one room take their turns in the order of the calls. */
  submit(ref: RoomRef, caller: Caller, command: Command): Promise<Outcome>;
}
