// DeliveryService: what backend services send and follow.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import * as rpc from "../../gen/trunkline/v1/delivery_pb.js";
import { ActorSchema, type Body, PositionSchema } from "../../gen/trunkline/v1/message_pb.js";
import { GetReceiptsRequestSchema } from "../../gen/trunkline/v1/room_pb.js";
import { SignalSchema } from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { CoreDependencies } from "../core.js";
import type { Limits } from "../limit/limits.js";
import type { Receipts } from "../receipt/receipts.js";
import type { Caller } from "../room/calls.js";
import type { Command, Outcome } from "../room/command.js";
import { inboxRef } from "../room/inbox.js";
import type { RoomOwner } from "../room/owner.js";
import { isService } from "../room/permissions.js";
import type { ServiceCalls } from "../service-calls.js";
import type { Signals } from "../signal/signals.js";
import * as validate from "../validate.js";
import type { Tails } from "./tails.js";

/** Users of one SendToUsers. */
const MAX_USERS = 1_000;

export class Delivery implements ServiceCalls<typeof rpc.DeliveryService> {
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;
  readonly #tails: Tails;
  readonly #signals: Signals;
  readonly #receipts: Receipts;

  constructor(deps: CoreDependencies, owner: RoomOwner, tails: Tails, signals: Signals, receipts: Receipts) {
    this.#deps = deps;
    this.#owner = owner;
    this.#tails = tails;
    this.#signals = signals;
    this.#receipts = receipts;
  }

  async sendToRoom(caller: Caller, request: rpc.SendToRoomRequest): Promise<rpc.SendToRoomResponse> {
    requireService(caller);
    const { key, asUserId, attempt, metadata, mentions, replyTo, threadRoot, expiresAfterMs } = request;
    const ref = refOf(caller, request.roomId);
    validate.validateId("key", key);
    validate.validateOptionalId("as_user_id", asUserId);
    const body = this.#body(request.body, caller.identity);
    validate.validateMetadata("metadata", metadata, this.#limits(caller));
    validate.validateMentions("mentions", mentions);
    validate.validateOptionalId("reply_to", replyTo);
    validate.validateOptionalId("thread_root", threadRoot);
    if (expiresAfterMs !== undefined) validate.validateLifetime("expires_after_ms", expiresAfterMs);
    const outcome = await this.#submit(ref, asUserId === "" ? caller : { ...caller, onBehalfOf: asUserId }, {
      kind: "publish",
      key,
      attempt,
      body,
      replyTo,
      threadRoot,
      mentions,
      metadata,
      expiresAfterMs,
    });
    const { eventId: messageId, duplicate } = outcome;
    return create(rpc.SendToRoomResponseSchema, { messageId, position: positionOf(outcome), duplicate });
  }

  async sendToUsers(caller: Caller, request: rpc.SendToUsersRequest): Promise<rpc.SendToUsersResponse> {
    requireService(caller);
    const { userIds, key, attempt, metadata } = request;
    if (userIds.length === 0) throw TrunklineError.invalid("user_ids", "is empty");
    if (userIds.length > MAX_USERS) throw TrunklineError.tooLarge("user_ids", MAX_USERS, "users");
    validate.validateId("key", key);
    const body = this.#body(request.body, caller.identity);
    validate.validateMetadata("metadata", metadata, this.#limits(caller));
    const results = await Promise.all(
      userIds.map((userId) => this.#sendToUser(caller, { kind: "deliver", key, attempt, userId, body, metadata })),
    );
    return create(rpc.SendToUsersResponseSchema, { results });
  }

  /** What is refused for one user is no other's business. */
  async #sendToUser(
    caller: Caller,
    command: Extract<Command, { kind: "deliver" }>,
  ): Promise<MessageInitShape<typeof rpc.SendToUserResultSchema>> {
    const { userId } = command;
    try {
      validate.validateId("user_id", userId);
      const inbox = this.#inbox(caller, userId);
      const outcome = await this.#submit(inbox, caller, command);
      const { duplicate, eventId: messageId } = outcome;
      return { userId, position: positionOf(outcome), duplicate, roomId: inbox.roomId, messageId };
    } catch (cause) {
      const { code, cause: reason } = TrunklineError.from(cause);
      if (code === ErrorCode.INTERNAL)
        this.#deps.telemetry.emit("fault", { where: "sending to a user", cause: reason });
      return { userId, errorReason: ErrorCode[code] };
    }
  }

  async signal(caller: Caller, { target, signal }: rpc.SignalRequest): Promise<rpc.SignalResponse> {
    requireService(caller);
    if (signal === undefined) throw TrunklineError.invalid("signal", "is required");
    const { type, data } = signal;
    validate.validateCustomSignal("signal", { type, data });
    const { userId, displayName } = caller.identity;
    const said = create(SignalSchema, {
      sender: create(ActorSchema, { userId, displayName }),
      // The data is a view of what the transport has read, and waits longer than that is kept.
      kind: { case: "custom", value: { type, data: data.slice() } },
    });
    switch (target.case) {
      case "roomId":
        await this.#signals.toRoom(refOf(caller, target.value), caller, said);
        break;
      case "userId":
        validate.validateId("user_id", target.value);
        await this.#signals.toUser(target.value, caller, said);
        break;
      case undefined:
        throw TrunklineError.invalid("target", "is required");
    }
    return create(rpc.SignalResponseSchema);
  }

  async editMessage(caller: Caller, request: rpc.EditMessageRequest): Promise<rpc.EditMessageResponse> {
    requireService(caller);
    const { messageId, key, attempt, baseVersion, mentions, metadata } = request;
    const ref = refOf(caller, request.roomId);
    validate.validateId("message_id", messageId);
    validate.validateId("key", key);
    const body = this.#body(request.body, caller.identity);
    validate.validateMentions("mentions", mentions);
    validate.validateMetadata("metadata", metadata, this.#limits(caller));
    const command: Command = { kind: "edit", key, attempt, messageId, body, mentions, metadata, baseVersion };
    const outcome = await this.#submit(ref, caller, command);
    const { version, duplicate } = outcome;
    return create(rpc.EditMessageResponseSchema, { position: positionOf(outcome), version, duplicate });
  }

  async deleteMessage(caller: Caller, request: rpc.DeleteMessageRequest): Promise<rpc.DeleteMessageResponse> {
    requireService(caller);
    const { messageId, key, attempt } = request;
    const ref = refOf(caller, request.roomId);
    validate.validateId("message_id", messageId);
    validate.validateId("key", key);
    const command: Command = { kind: "deleteMessage", key, attempt, messageId, expired: false };
    const outcome = await this.#submit(ref, caller, command);
    return create(rpc.DeleteMessageResponseSchema, { position: positionOf(outcome), duplicate: outcome.duplicate });
  }

  async getDeliveryStatus(
    caller: Caller,
    request: rpc.GetDeliveryStatusRequest,
  ): Promise<rpc.GetDeliveryStatusResponse> {
    requireService(caller);
    const { roomId, messageId, pageSize, pageToken } = request;
    const asked = create(GetReceiptsRequestSchema, { roomId, messageId, pageSize, pageToken });
    const { receipts, nextPageToken } = await this.#receipts.getReceipts(caller, asked);
    const stored = await this.#deps.archive.message(refOf(caller, roomId), messageId);
    const storedAt = stored?.document?.message?.createdAt ?? stored?.created?.event.createdAt;
    const members = receipts.map(({ userId, deliveredAt, readAt }) => {
      return create(rpc.MemberDeliveryStatusSchema, { userId, storedAt, deliveredAt, readAt });
    });
    return create(rpc.GetDeliveryStatusResponseSchema, { members, nextPageToken });
  }

  async *tail(
    caller: Caller,
    request: rpc.TailRequest,
    signal: AbortSignal,
  ): AsyncGenerator<rpc.TailResponse, void, undefined> {
    requireService(caller);
    yield* this.#tails.read(caller, request, signal);
  }

  #body(body: Body | undefined, identity: Identity): Body {
    validate.validateBody("body", body, identity, this.#deps.tenants.of(identity.tenantId));
    if (body === undefined) throw TrunklineError.invalid("body", "is required");
    return body;
  }

  #limits({ identity }: Caller): Limits {
    return this.#deps.tenants.of(identity.tenantId);
  }

  #inbox({ identity }: Caller, userId: string): RoomRef {
    return inboxRef(this.#deps.ids, identity.tenantId, userId);
  }

  #submit(ref: RoomRef, caller: Caller, command: Command): Promise<Outcome> {
    return this.#owner.submit(ref, caller, command).outcome;
  }
}

function requireService({ identity }: Caller): void {
  if (!isService(identity)) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "DeliveryService is for tokens with the grant `service`");
  }
}

function refOf({ identity }: Caller, roomId: string): RoomRef {
  validate.validateId("room_id", roomId);
  return roomRef(identity.tenantId, roomId);
}

function positionOf({ seq, tag }: Outcome) {
  return create(PositionSchema, { seq, tag });
}
