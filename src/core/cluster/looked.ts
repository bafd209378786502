// A room's state on the way from its owner to a node that reads it.

import { create } from "@bufbuild/protobuf";
import { type Looked, LookedSchema } from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { MemberDocument } from "../../gen/trunkline/store/v1/documents_pb.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { RoomState } from "../room/state.js";
import { rootOf } from "../room/sub-room.js";

/** The room as it stands, with the standings of `users`, which are loaded. A copy: the state goes on. */
export function encodeLooked(state: RoomState, users: readonly string[]): Looked {
  const { root } = state;
  return create(LookedSchema, {
    ...(state.own !== undefined && { room: state.document() }),
    members: state.own === undefined ? [] : users.map((userId) => state.memberDocument(userId)).filter(isKept),
    membersSeq: state.root === undefined ? state.membersSeq : 0,
    ...(root !== undefined && { root: encodeLooked(root, users) }),
  });
}

export function decodeLooked(ref: RoomRef, { room, members, membersSeq, root }: Looked, users: readonly string[]) {
  const rootRef = rootOf(ref);
  const rootState: RoomState | undefined = rootRef && root && decodeLooked(rootRef, root, users);
  const state = new RoomState(ref, room, rootState, membersSeq);
  const documents = new Map(members.map((document) => [document.member?.userId ?? "", document]));
  for (const userId of users) state.load(userId, documents.get(userId));
  return state;
}

/** Whoever has never been there is known by being absent. */
function isKept({ left, banned, slowPublishedAt }: MemberDocument): boolean {
  return !left || banned || slowPublishedAt !== undefined;
}
