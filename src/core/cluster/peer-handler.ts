// What other nodes ask this one. Nothing of a question is trusted to be well formed: a node of another version may ask.

import { create } from "@bufbuild/protobuf";
import {
  type Look,
  type Looked,
  type Read,
  type ReadAnswer,
  type Submit,
  SubmittedSchema,
} from "../../gen/trunkline/cluster/v1/peer_pb.js";
import { TrunklineError } from "../../ports/error.js";
import type { PeerHandler } from "../../ports/peers.js";
import type { FarReceipts } from "../receipt/far-receipts.js";
import { notKnownHere } from "../room/unavailable.js";
import { MAX_ID_LENGTH, validateId } from "../validate.js";
import { decodeCaller, decodeCommand, encodeOutcome } from "./command-codec.js";
import type { FramePassing } from "./frame-passing.js";
import type { PeerAnswers } from "./peer-answers.js";
import type { UserNotices } from "./user-notices.js";
import { requireFew, requireShort, roomOf } from "./well-formed.js";

export function peerHandler(
  answers: PeerAnswers,
  notices: Pick<UserNotices, "answer">,
  receipts: Pick<FarReceipts, "answer">,
  passing: Pick<FramePassing, "answer">,
): PeerHandler {
  return async (question) => {
    switch (question.case) {
      case "look":
        return { case: "looked", value: await look(answers, question.value) };
      case "read":
        return { case: "read", value: await read(answers, question.value) };
      case "submit":
        return { case: "submitted", value: await submit(answers, question.value) };
      case "mark":
      case "markers":
      case "markedBy":
        return await receipts.answer(question);
      case "passFrames":
        return await passing.answer(question.value);
      case "userChanged":
        return notices.answer(question.value);
      case undefined:
        // Of a newer node.
        throw notKnownHere("request");
    }
  };
}

function look(answers: PeerAnswers, { room, userIds }: Look): Promise<Looked> {
  const ref = roomOf("look.room", room);
  requireFew("look.user_ids", userIds.length);
  for (const [index, userId] of userIds.entries()) validateId(`look.user_ids[${index}]`, userId);
  return answers.look(ref, userIds);
}

function read(answers: PeerAnswers, asked: Read): Promise<ReadAnswer> {
  const ref = roomOf("read.room", asked.room);
  const { what } = asked;
  for (const [name, value] of Object.entries(what.value ?? {})) {
    if (name === "limit" && typeof value === "number") requireFew(`read.${what.case}.limit`, value);
    if (typeof value === "string") requireShort(`read.${what.case}.${name}`, value, MAX_ID_LENGTH);
  }
  return answers.read(ref, asked);
}

async function submit(answers: PeerAnswers, { room, caller: who, command: what }: Submit) {
  const ref = roomOf("submit.room", room);
  const caller = decodeCaller(who);
  const { tenantId, userId } = caller.identity;
  if (tenantId !== ref.tenantId) throw TrunklineError.invalid("submit.caller.tenant_id", "is not that of the room");
  // The system is nobody.
  if (userId !== "") validateId("submit.caller.user_id", userId);
  if (caller.onBehalfOf !== undefined) validateId("submit.caller.on_behalf_of", caller.onBehalfOf);
  const command = decodeCommand(what);
  // Those that the system makes hold another.
  requireShort("submit.command.key", command.key, 2 * MAX_ID_LENGTH);
  if (command.key === "") throw TrunklineError.invalid("submit.command.key", "is required");
  if (command.kind === "tell" && command.event.case === undefined) {
    throw notKnownHere("submit.command.tell.event");
  }
  const outcome = await answers.submit(ref, caller, command);
  return create(SubmittedSchema, { outcome: encodeOutcome(outcome) });
}
