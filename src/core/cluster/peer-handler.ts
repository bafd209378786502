// What other nodes ask this one. Nothing of a question is trusted to be well formed: a node of another version may ask.

import { create } from "@bufbuild/protobuf";
import {
  type Look,
  type Looked,
  type Read,
  type ReadAnswer,
  type Room,
  type Submit,
  SubmittedSchema,
} from "../../gen/trunkline/cluster/v1/peer_pb.js";
import { TrunklineError } from "../../ports/error.js";
import type { PeerHandler } from "../../ports/peers.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { FarReceipts } from "../receipt/far-receipts.js";
import type { Caller } from "../room/calls.js";
import type { Command, Outcome } from "../room/command.js";
import { notKnownHere } from "../room/unavailable.js";
import { MAX_ID_LENGTH, validateId } from "../validate.js";
import { decodeCaller, decodeCommand, encodeOutcome } from "./command-codec.js";
import type { UserNotices } from "./user-notices.js";

/** Users, documents, events or messages in one question or answer, at most. */
const MAX_ENTRIES = 10_000;

/** What this node answers for the rooms that it owns; each rejects with the refusal, and where it does not own the room. */
export interface PeerAnswers {
  look(ref: RoomRef, users: readonly string[]): Promise<Looked>;
  read(ref: RoomRef, read: Read): Promise<ReadAnswer>;
  /** Commands of one device in one room take their turns in the order of the calls. */
  submit(ref: RoomRef, caller: Caller, command: Command): Promise<Outcome>;
}

export function peerHandler(
  answers: PeerAnswers,
  notices: Pick<UserNotices, "answer">,
  receipts: Pick<FarReceipts, "answer">,
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
      case "userChanged":
        return notices.answer(question.value);
      case undefined:
        // Of a newer node.
        throw notKnownHere("request");
    }
  };
}

/** The room that a question is about. */
export function roomOf(field: string, room: Room | undefined): RoomRef {
  if (room === undefined) throw TrunklineError.invalid(field, "is missing");
  validateId(`${field}.tenant_id`, room.tenantId);
  validateId(`${field}.room_id`, room.roomId);
  return roomRef(room.tenantId, room.roomId);
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

function requireShort(field: string, text: string, length: number): void {
  if (text.length > length) throw TrunklineError.invalid(field, `at most ${length} bytes`);
}

export function requireFew(field: string, count: number): void {
  if (count > MAX_ENTRIES) throw TrunklineError.invalid(field, `at most ${MAX_ENTRIES}`);
}
