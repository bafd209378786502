// Receipts of rooms that another node owns: told and asked there, where they are merged and told of once.

import { create } from "@bufbuild/protobuf";
import {
  MarkedBySchema,
  MarkersAnswerSchema,
  MarkersSchema,
  MarkSchema,
  NotedSchema,
} from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { MarkerDocument } from "../../gen/trunkline/store/v1/documents_pb.js";
import type { Position } from "../../gen/trunkline/v1/message_pb.js";
import type { Page } from "../../ports/archive.js";
import { TrunklineError } from "../../ports/error.js";
import type { PeerQuestion, PeerReply } from "../../ports/peers.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { decodeCaller, encodeCaller } from "../cluster/command-codec.js";
import { requireFew, roomOf } from "../cluster/well-formed.js";
import type { Caller } from "../room/calls.js";
import type { RoomOwner } from "../room/owner.js";
import { validateId, validateOptionalId } from "../validate.js";

/** What a user says of how far they are. */
export interface Marks {
  readonly delivered?: Position | undefined;
  readonly read?: Position | undefined;
}

/** How a room's owner does it. Each rejects as `notTheOwner` where this node does not own the room. */
export interface OwnedReceipts {
  mark(ref: RoomRef, caller: Caller, marks: Marks): Promise<void>;
  /** Of those users who have marked the room. */
  markers(ref: RoomRef, userIds: readonly string[]): Promise<readonly MarkerDocument[]>;
  markedBy(ref: RoomRef, page: Page): Promise<readonly string[]>;
}

export class FarReceipts implements OwnedReceipts {
  readonly #owner: Pick<RoomOwner, "ask">;
  readonly #here: OwnedReceipts;

  /** `here`: where this node owns the room after all, and for others that ask. */
  constructor(owner: Pick<RoomOwner, "ask">, here: OwnedReceipts) {
    this.#owner = owner;
    this.#here = here;
  }

  async mark(ref: RoomRef, caller: Caller, { delivered, read }: Marks): Promise<void> {
    const value = create(MarkSchema, {
      room: roomIn(ref),
      caller: encodeCaller(caller),
      ...(delivered && { delivered }),
      ...(read && { read }),
    });
    await this.#ask(ref, { case: "mark", value });
  }

  async markers(ref: RoomRef, userIds: readonly string[]): Promise<readonly MarkerDocument[]> {
    const value = create(MarkersSchema, { room: roomIn(ref), userIds: [...userIds] });
    const answer = await this.#ask(ref, { case: "markers", value });
    return answer.case === "markers" ? answer.value.markers : [];
  }

  async markedBy(ref: RoomRef, { after, limit }: Page): Promise<readonly string[]> {
    const value = create(MarkedBySchema, { room: roomIn(ref), after, limit });
    const answer = await this.#ask(ref, { case: "markedBy", value });
    return answer.case === "markers" ? answer.value.userIds : [];
  }

  /** Answers another node. */
  async answer(question: Extract<PeerQuestion, { case: "mark" | "markers" | "markedBy" }>): Promise<PeerReply> {
    const ref = roomOf(`${question.case}.room`, question.value.room);
    switch (question.case) {
      case "mark": {
        const { delivered, read } = question.value;
        const caller = decodeCaller(question.value.caller);
        if (caller.identity.tenantId !== ref.tenantId) {
          throw TrunklineError.invalid("mark.caller.tenant_id", "is not that of the room");
        }
        validateId("mark.caller.user_id", caller.identity.userId);
        await this.#here.mark(ref, caller, { delivered, read });
        return { case: "noted", value: create(NotedSchema) };
      }
      case "markers": {
        const { userIds } = question.value;
        requireFew("markers.user_ids", userIds.length);
        for (const [index, userId] of userIds.entries()) validateId(`markers.user_ids[${index}]`, userId);
        const markers = [...(await this.#here.markers(ref, userIds))];
        return { case: "markers", value: create(MarkersAnswerSchema, { markers }) };
      }
      case "markedBy": {
        const { after, limit } = question.value;
        validateOptionalId("marked_by.after", after);
        requireFew("marked_by.limit", limit);
        const userIds = [...(await this.#here.markedBy(ref, { after, limit }))];
        return { case: "markers", value: create(MarkersAnswerSchema, { userIds }) };
      }
    }
  }

  #ask(ref: RoomRef, question: Parameters<FarReceipts["answer"]>[0]): Promise<PeerReply> {
    return this.#owner.ask(ref, question, () => this.answer(question));
  }
}

function roomIn({ tenantId, roomId }: RoomRef) {
  return { tenantId, roomId };
}
