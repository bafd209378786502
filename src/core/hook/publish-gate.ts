// Asks the application's publish hook before a message takes its turn, where the hook has a say.

import { create, toBinary } from "@bufbuild/protobuf";
import {
  ActorSchema,
  type Body,
  BodySchema,
  type MessageCreated,
  MessageCreatedSchema,
  RoomKind,
} from "../../gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { PublishVerdict } from "../../ports/publish-hook.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { CoreDependencies } from "../core.js";
import { Places } from "../limit/places.js";
import type { Caller } from "../room/calls.js";
import type { Command } from "../room/command.js";
import { decide } from "../room/decide.js";
import { isService } from "../room/permissions.js";
import type { RoomState } from "../room/state.js";
import { validateBody, validateMentions, validateMetadata } from "../validate.js";
import type { PublishHookRules } from "./rules.js";

/** Questions without an answer at once, and how many of them one room may have: a busy one leaves places to the others. */
const MAX_ASKED = 1_024;
const MAX_ASKED_PER_ROOM = 256;
/** And how many of them about what services put into inboxes: one call names up to 1,000 users, who then wait for their turn. */
const DELIVERIES_ASKED = 64;
/** When to come back where there is no place, in milliseconds. */
const RETRY_MS = 500;

/** The commands that say something. */
export type Saying = Extract<Command, { kind: "publish" | "edit" | "deliver" }>;

/** What a command would say, and where. */
export interface Proposal {
  readonly ref: RoomRef;
  readonly roomKind: RoomKind;
  readonly message: MessageCreated;
  readonly command: Saying;
}

interface Asked {
  readonly kind: Saying["kind"];
  readonly approved: Promise<Saying>;
}

export class PublishGate {
  readonly #deps: Pick<CoreDependencies, "clock" | "tenants" | "telemetry">;
  readonly #rules: PublishHookRules;
  /** By event id. */
  readonly #asked = new Map<string, Asked>();
  readonly #perRoom = new Map<string, number>();
  #open = 0;
  readonly #deliveries = new Places(DELIVERIES_ASKED);

  constructor(deps: Pick<CoreDependencies, "clock" | "tenants" | "telemetry">, rules: PublishHookRules) {
    this.#deps = deps;
    this.#rules = rules;
  }

  /** What the hook is to be asked about; undefined: it has no say. Throws the refusal where the room refuses the command by itself. */
  proposal(state: RoomState, caller: Caller, command: Command): Proposal | undefined {
    if (command.kind !== "publish" && command.kind !== "edit" && command.kind !== "deliver") return undefined;
    const { roomKinds, bodies, tenants, services } = this.#rules;
    if (tenants?.has(state.ref.tenantId) === false || bodies?.has(command.body.kind.case ?? "") === false)
      return undefined;
    if (isService(caller.identity) && !services) return undefined;
    const { room } = state;
    if (room !== undefined && !roomKinds.has(room.kind)) return undefined;
    const message = proposed(state, caller, command, this.#deps.clock.now());
    // What is said in an inbox may make it.
    const roomKind = room?.kind ?? RoomKind.INBOX;
    return roomKinds.has(roomKind) ? { ref: state.ref, roomKind, message, command } : undefined;
  }

  /**
   * The command as it may be done; rejects with the refusal. A repeat of one that is asked about shares its answer and all that it
   * says: nothing is published that the hook has not seen.
   */
  approve(eventId: string, caller: Caller, proposal: Proposal): Promise<Saying> {
    const { command } = proposal;
    const asked = this.#asked.get(eventId);
    if (asked?.kind === command.kind) {
      return asked.approved.then((approved) => ({ ...approved, attempt: command.attempt }));
    }
    if (asked !== undefined) {
      return Promise.reject(
        new TrunklineError(ErrorCode.CONFLICT, "this key is used for another change of the room", { field: "key" }),
      );
    }
    const ask = () => this.#ask(caller, proposal);
    const answer =
      command.kind === "deliver" ? Promise.resolve(this.#deliveries.run(ask)) : this.#inPlace(proposal.ref.key, ask);
    const approved = answer.finally(() => this.#asked.delete(eventId));
    this.#asked.set(eventId, { kind: command.kind, approved });
    return approved;
  }

  /** Asks if there is a place. */
  #inPlace(roomKey: string, ask: () => Promise<Saying>): Promise<Saying> {
    const ofRoom = this.#perRoom.get(roomKey) ?? 0;
    if (this.#open >= MAX_ASKED - DELIVERIES_ASKED || ofRoom >= MAX_ASKED_PER_ROOM) {
      // Also where failures let messages pass: else a flood would be the way past the hook.
      return Promise.reject(
        new TrunklineError(ErrorCode.UNAVAILABLE, "too many messages wait for the application's answer", {
          retryAfterMs: RETRY_MS,
        }),
      );
    }
    this.#open++;
    this.#perRoom.set(roomKey, ofRoom + 1);
    return ask().finally(() => {
      this.#open--;
      const left = (this.#perRoom.get(roomKey) ?? 1) - 1;
      if (left === 0) this.#perRoom.delete(roomKey);
      else this.#perRoom.set(roomKey, left);
    });
  }

  async #ask(caller: Caller, { ref, roomKind, message, command }: Proposal): Promise<Saying> {
    const { clock, telemetry } = this.#deps;
    const askedAtMs = clock.monotonic();
    let verdict: PublishVerdict;
    try {
      verdict = await this.#rules.hook.beforePublish({
        tenantId: ref.tenantId,
        roomId: ref.roomId,
        roomKind,
        sender: senderOf(caller),
        key: command.key,
        message,
        editedMessageId: command.kind === "edit" ? command.messageId : "",
      });
    } catch (cause) {
      return this.#unanswered(command, cause);
    }
    const tookMs = clock.monotonic() - askedAtMs;
    telemetry.emit("hook.answered", { hook: "publish", answer: verdict.decision, tookMs });
    switch (verdict.decision) {
      case "allow":
        return command;
      case "change":
        return this.#change(caller.identity, command, verdict);
      case "refuse":
        throw refused(verdict);
    }
  }

  #unanswered(command: Saying, cause: unknown): Saying {
    const letThrough = this.#rules.failure === "open";
    this.#deps.telemetry.emit("hook.failed", { hook: "publish", fault: "no-answer", letThrough, cause });
    if (letThrough) return command;
    const { retryAfterMs = RETRY_MS } = cause instanceof TrunklineError ? cause : {};
    throw new TrunklineError(ErrorCode.UNAVAILABLE, "the application has not said whether this may be published", {
      retryAfterMs,
      cause,
    });
  }

  #change(
    identity: Identity,
    command: Saying,
    { body = command.body, mentions, metadata }: Extract<PublishVerdict, { decision: "change" }>,
  ): Saying {
    const { tenants, telemetry } = this.#deps;
    const limits = tenants.of(identity.tenantId);
    try {
      validateBody("body", body, identity, limits);
      validateSize(body, limits.maxFrameBytes);
      if (mentions !== undefined) validateMentions("mentions", mentions);
      validateMetadata("metadata", metadata, limits);
    } catch (cause) {
      telemetry.emit("hook.failed", { hook: "publish", fault: "bad-answer", letThrough: false, cause });
      // Whatever the failure mode: the hook wanted it otherwise than it was sent.
      throw new TrunklineError(ErrorCode.INTERNAL, "the application's answer cannot be published", { cause });
    }
    const said = metadata === undefined ? command.metadata : metadata;
    const changed = { ...command, body, metadata: said };
    return changed.kind === "deliver" || mentions === undefined ? changed : { ...changed, mentions };
  }
}

/** What would be stored. Throws where the room refuses the command. */
function proposed(state: RoomState, caller: Caller, command: Saying, nowMs: number): MessageCreated {
  const [last] = decide(state, caller, command, nowMs).slice(-1);
  if (last?.case === "messageEdited") {
    const { body, mentions, metadata } = last.value;
    return create(MessageCreatedSchema, { body, mentions, metadata, clientMessageId: command.key });
  }
  if (last?.case !== "messageCreated") throw new Error(`${command.kind} made ${last?.case}`);
  const { body, replyTo, threadRoot, mentions, metadata, forwardedFrom, clientMessageId } = last.value;
  return create(MessageCreatedSchema, {
    body,
    replyTo,
    threadRoot,
    mentions,
    metadata,
    forwardedFrom,
    clientMessageId,
  });
}

function senderOf({ identity: { userId, displayName }, deviceId, onBehalfOf }: Caller) {
  if (onBehalfOf === undefined) return create(ActorSchema, { userId, deviceId, displayName });
  return create(ActorSchema, { userId: onBehalfOf, serviceId: userId });
}

/** A client's body is bounded by its frame. */
function validateSize(body: Body, maxBytes: number): void {
  if (toBinary(BodySchema, body).length > maxBytes) throw TrunklineError.tooLarge("body", maxBytes);
}

function refused({ reason, code }: Extract<PublishVerdict, { decision: "refuse" }>): TrunklineError {
  const message = "the application refuses the message";
  return new TrunklineError(ErrorCode.PERMISSION_DENIED, reason === "" ? message : `${message}: ${reason}`, {
    details: { refused_by: "publish_hook", reason, ...(code !== "" && { reason_code: code }) },
  });
}
