// A room as an actor: single-threaded, over a durable log. A turn is synchronous and reads as its steps.

import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Actor,
  ActorSchema,
  type Member,
  Permission,
  PositionSchema,
  type RoomEvent,
  RoomEventSchema,
  RoomStatus,
  type Room as WireRoom,
} from "../../gen/trunkline/v1/message_pb.js";
import { EncodedEvent } from "../../ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { requireLevel } from "../../ports/event-level.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { Buckets } from "../limit/buckets.js";
import { classOfCommand } from "../limit/operations.js";
import type { Limited } from "../limit/refusal.js";
import { scrub } from "../message/scrub.js";
import type { Caller } from "./calls.js";
import {
  type Command,
  type EventKind,
  isAboutMessage,
  isNewMessage,
  madeBy,
  type Outcome,
  usersOf,
} from "./command.js";
import { decide } from "./decide.js";
import { lookAtMs } from "./idle.js";
import { isInbox } from "./inbox.js";
import { hasPermission, isAdministrator, isGranted, isService } from "./permissions.js";
import { nextTag } from "./position.js";
import { RecentChanges } from "./recent.js";
import type { Changed, RoomState } from "./state.js";

/** An event that has taken its turn and is on its way into the log. */
export interface TentativeEvent {
  readonly encoded: EncodedEvent;
  readonly eventId: string;
  readonly createdAtMs: number;
  readonly messageIndex: number;
  readonly expiresAtMs: number | undefined;
  /** When to look whether the room is idle; undefined: the event asks for no look. */
  readonly lookAtMs: number | undefined;
  readonly changed: Changed;
  /** Stored events that it takes the content of. */
  readonly scrubs: readonly EncodedEvent[];
}

export interface TurnResult {
  readonly outcome: Outcome;
  /** Empty: nothing had to change. */
  readonly events: readonly TentativeEvent[];
}

/** What a turn needs that is not the room's. */
export interface TurnContext {
  readonly nowMs: number;
  readonly monotonicMs: number;
  /** The refusal of the room's bucket, or of slow mode. */
  readonly limited: (of: Limited, waitMs: number) => TrunklineError;
  /** The refusal of more members than the room may have; undefined: it may have so many. */
  readonly crowded: (ref: RoomRef, members: number, more: number) => TrunklineError | undefined;
  /** Rooms under one, at most. */
  readonly maxSubRooms: number;
  /** The level that every node can fold; undefined: there is one alone. */
  readonly level: (() => number) | undefined;
  /** The refusal of more rooms than the tenant may have; undefined: there is place for one. */
  readonly full: (ref: RoomRef) => TrunklineError | undefined;
  /** Events of a room are on their way into the log; those of new messages are not told. */
  readonly accepted: (ref: RoomRef, kinds: readonly EventKind[]) => void;
  readonly eventId: (ref: RoomRef, userId: string, key: string) => string;
}

/** How long a room may be idle, in milliseconds; undefined: for ever. */
type ArchiveAfterMs = (room: WireRoom | undefined) => number | undefined;

/** What an actor needs that is not the room's. */
export interface RoomContext {
  readonly monotonicMs: number;
  readonly archiveAfterMs: ArchiveAfterMs;
}

/** A room as whoever reads it sees it, at its owner or at another node. */
export interface SeenRoom {
  readonly state: RoomState;
  /** How often things may be asked of it. */
  readonly buckets: Buckets;
}

export class Room implements SeenRoom {
  readonly ref: RoomRef;
  readonly state: RoomState;
  /** The actor of the room that this one is under. */
  readonly root: Room | undefined;
  readonly recent: RecentChanges;
  /** The place up to which everything is on stable storage: what readers may see. */
  durableSeq: number;
  durableTag: number;
  /** When it was last used, monotonic: idle actors are dropped. */
  usedAtMs = 0;
  /** How often things may be asked of it. */
  readonly buckets: Buckets;

  readonly #archiveAfterMs: ArchiveAfterMs;

  constructor(state: RoomState, buckets: Buckets, context: RoomContext, root?: Room) {
    this.ref = state.ref;
    this.state = state;
    this.root = root;
    this.recent = new RecentChanges(context.monotonicMs);
    this.durableSeq = state.seq;
    this.durableTag = state.tag;
    this.usedAtMs = context.monotonicMs;
    this.buckets = buckets;
    this.#archiveAfterMs = context.archiveAfterMs;
  }

  /** Whether events wait for the log. */
  get tentative(): boolean {
    return this.state.seq !== this.durableSeq;
  }

  /** Whether events wait for the log that an answer of now is judged on, and waits with. */
  get judgedOnTentative(): boolean {
    return this.tentative || this.root?.tentative === true;
  }

  /** It is used: it stays, and its root with it. */
  use(monotonicMs: number): void {
    this.usedAtMs = monotonicMs;
    if (this.root !== undefined) this.root.usedAtMs = monotonicMs;
  }

  /** One command. Throws the refusal. */
  turn(caller: Caller, command: Command, context: TurnContext): TurnResult {
    this.use(context.monotonicMs);
    const eventId = context.eventId(this.ref, caller.identity.userId, command.key);

    const known = this.recent.find(eventId);
    if (known !== undefined) return { outcome: this.#repeat(known, caller, command), events: [] };

    const kinds = decide(this.state, caller, command, context.nowMs);
    if (context.level !== undefined) requireLevel(kinds, context.level());
    const speaking = isNewMessage(command);
    if (speaking) this.#slowDown(caller, context);
    else {
      this.#limitMembers(kinds, context);
      this.#limitSubRooms(kinds, context);
      this.#limitRooms(kinds, context);
    }
    if (kinds.length > 0) this.#limit(caller, command, context);

    // The id of the key itself is the last event's: the place that the answer names is the place that a repeat finds.
    const events = kinds.map((kind, index) =>
      this.#accept(kind, index === kinds.length - 1 ? eventId : `${eventId}.${index}`, caller, context),
    );
    if (!speaking) context.accepted(this.ref, kinds);
    const outcome = this.#outcome(caller, command, eventId, events, context.nowMs);
    if (events.length > 0) this.recent.remember(outcome, this.durableSeq, context.monotonicMs);
    return { outcome, events };
  }

  /** The answer to a key that was used before. Throws when it was used for something else. */
  #repeat(known: Outcome, caller: Caller, command: Command): Outcome {
    if (known.made !== madeBy(command)) throw keyReused();
    return { ...known, duplicate: true, ...this.#shown(caller, command) };
  }

  /** What a repeat may still see: the caller may have lost the room since. */
  #shown(caller: Caller, command: Command): Pick<Outcome, "room" | "members"> {
    if (isAboutMessage(command) || !this.#mayRead(caller)) return { room: undefined, members: [] };
    return { room: this.state.view(), members: this.#membersOf(caller, command) };
  }

  /** The answer to a key whose event the archive has: `event` is what came of it. */
  repeatArchived(event: RoomEvent, caller: Caller, command: Command): Outcome {
    if (event.kind.case !== madeBy(command)) throw keyReused();
    return {
      seq: event.position?.seq ?? 0,
      tag: event.position?.tag ?? 0,
      eventId: event.eventId,
      createdAtMs: acceptedAtMs(event),
      messageIndex: event.kind.case === "messageCreated" ? event.kind.value.messageIndex : 0,
      version: versionMade(event.kind) ?? this.#versionOf(command),
      made: event.kind.case,
      duplicate: true,
      ...this.#shown(caller, command),
    };
  }

  /** Events up to here are on stable storage. */
  settle(seq: number, tag: number): void {
    this.durableSeq = seq;
    this.durableTag = tag;
  }

  /** Events up to here can be read in the archive. */
  archived(seq: number): void {
    this.state.messages.settle(seq, seq === this.state.seq);
  }

  #accept(kind: EventKind, eventId: string, caller: Caller, context: TurnContext): TentativeEvent {
    const seq = this.state.seq + 1;
    const tag = nextTag(this.state.tag, eventId);
    const event = create(RoomEventSchema, {
      eventId,
      position: create(PositionSchema, { seq, tag }),
      createdAt: timestampFromMs(context.nowMs),
      actor: this.#actorOf(caller),
      kind,
      rootSeq: this.state.root?.seq ?? 0,
    });
    return this.replay(new EncodedEvent(seq, tag, toBinary(RoomEventSchema, event), event), context.nowMs);
  }

  /** Folds in an event: a new one, or one that the log has and the archive has not, or not all of. */
  replay(encoded: EncodedEvent, createdAtMs = acceptedAtMs(encoded.event)): TentativeEvent {
    const { kind, eventId } = encoded.event;
    // Before the fold: afterwards nothing says where its words were.
    const scrubs =
      kind.case === "messageDeleted" ? this.state.messages.bodiesOf(kind.value.messageId).map(scrub) : NONE;
    const changed = this.state.apply(encoded.event);
    return {
      encoded,
      eventId,
      createdAtMs,
      ...createdBy(kind),
      lookAtMs: this.#lookAtMs(kind, createdAtMs),
      changed,
      scrubs,
    };
  }

  /** A message asks for none: the look that there is finds it. */
  #lookAtMs({ case: kind, value }: EventKind, createdAtMs: number): number | undefined {
    if (kind !== "roomCreated" && kind !== "roomUpdated") return undefined;
    const afterMs = this.#archiveAfterMs(value.room);
    return afterMs === undefined ? undefined : lookAtMs(createdAtMs, afterMs, createdAtMs);
  }

  #outcome(
    caller: Caller,
    command: Command,
    eventId: string,
    events: readonly TentativeEvent[],
    nowMs: number,
  ): Outcome {
    const message = isAboutMessage(command);
    return {
      seq: this.state.seq,
      tag: this.state.tag,
      eventId,
      createdAtMs: nowMs,
      messageIndex: events.at(-1)?.messageIndex ?? 0,
      version: this.#versionOf(command),
      made: madeBy(command),
      duplicate: false,
      room: message ? undefined : this.state.view(),
      members: message ? [] : this.#membersOf(caller, command),
    };
  }

  #membersOf(caller: Caller, command: Command): readonly Member[] {
    if (isAboutMessage(command)) return [];
    const members: Member[] = [];
    for (const userId of new Set(usersOf(caller, command))) {
      const member = this.state.member(userId);
      if (member !== undefined) members.push(member);
    }
    return members;
  }

  #versionOf(command: Command): number {
    if (isNewMessage(command)) return 1;
    return "messageId" in command ? (this.state.messages.get(command.messageId)?.version ?? 0) : 0;
  }

  #slowDown(caller: Caller, context: TurnContext): void {
    const { userId } = caller.identity;
    const slowModeMs = this.state.room?.settings?.slowModeMs ?? 0;
    const { slowPublishedAt } = this.state.standing(userId);
    if (slowModeMs === 0 || slowPublishedAt === undefined || this.#isExempt(caller)) return;
    // A wall clock that was set back makes nobody wait longer than the room says.
    const waitMs = Math.min(timestampMs(slowPublishedAt) + slowModeMs - context.nowMs, slowModeMs);
    if (waitMs > 0) throw context.limited("slow_mode", waitMs);
  }

  /** The last of the judgements: who may not do it takes nothing from those who may. */
  #limit({ identity }: Caller, { kind }: Command, { monotonicMs, limited }: TurnContext): void {
    const of = classOfCommand(kind);
    // What the system does by itself waits for nobody.
    if (of === undefined || identity.userId === "") return;
    const waitMs = this.buckets.of(of, monotonicMs)?.take(monotonicMs) ?? 0;
    if (waitMs > 0) throw limited(of, waitMs);
  }

  /** Undefined: the system. */
  #actorOf({ identity, deviceId, onBehalfOf }: Caller): Actor | undefined {
    const { userId, displayName } = identity;
    if (userId === "") return undefined;
    if (onBehalfOf === undefined) return create(ActorSchema, { userId, deviceId, displayName });
    const name = this.state.member(onBehalfOf)?.displayName ?? "";
    return create(ActorSchema, { userId: onBehalfOf, displayName: name, serviceId: userId });
  }

  #limitMembers(kinds: readonly EventKind[], { crowded }: TurnContext): void {
    let count = 0;
    for (const kind of kinds) {
      if (kind.case === "memberJoined") count++;
      else if (kind.case === "roomCreated") count += kind.value.members.length;
      // Of the announcements, a reader of whom nothing was kept.
      else if (kind.case === "memberChanged") count += Number(!this.#isRecorded(kind.value.member));
    }
    const refusal = count === 0 ? undefined : crowded(this.ref, this.state.memberCount, count);
    if (refusal !== undefined) throw refusal;
  }

  #isRecorded(member: Member | undefined): boolean {
    return member !== undefined && this.state.recorded(member.userId) !== undefined;
  }

  #limitSubRooms(kinds: readonly EventKind[], { maxSubRooms }: TurnContext): void {
    const { root } = this.state;
    if (root === undefined || kinds[0]?.case !== "roomCreated" || root.subRooms.size < maxSubRooms) return;
    throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many rooms under this one", {
      details: { limit: String(maxSubRooms) },
    });
  }

  #limitRooms(kinds: readonly EventKind[], { full }: TurnContext): void {
    if (kinds[0]?.case !== "roomCreated" || isInbox(this.ref)) return;
    const refusal = full(this.ref);
    if (refusal !== undefined) throw refusal;
  }

  #mayRead(caller: Caller): boolean {
    if (this.state.room?.status === RoomStatus.DELETED) return false;
    const member = this.state.member(caller.identity.userId);
    return (
      isGranted(caller.identity, Permission.READ) || (member !== undefined && hasPermission(member, Permission.READ))
    );
  }

  /** Whether slow mode is not for the caller. */
  #isExempt(caller: Caller): boolean {
    if (isAdministrator(caller.identity) || isService(caller.identity)) return true;
    const member = this.state.member(caller.identity.userId);
    return member !== undefined && hasPermission(member, Permission.UPDATE_ROOM);
  }
}

const NONE: readonly EncodedEvent[] = [];

function createdBy(kind: EventKind): Pick<TentativeEvent, "messageIndex" | "expiresAtMs"> {
  if (kind.case !== "messageCreated") return NO_MESSAGE;
  const { messageIndex, expiresAt } = kind.value;
  return { messageIndex, expiresAtMs: expiresAt && timestampMs(expiresAt) };
}

const NO_MESSAGE = { messageIndex: 0, expiresAtMs: undefined };

/** When an event was accepted, in milliseconds since 1970. */
function acceptedAtMs({ createdAt }: RoomEvent): number {
  return createdAt === undefined ? 0 : Number(createdAt.seconds) * 1_000 + createdAt.nanos / 1e6;
}

/** The version of a message that an event made. */
function versionMade(kind: EventKind): number | undefined {
  return kind.case === "messageEdited" || kind.case === "messageDeleted" ? kind.value.version : undefined;
}

function keyReused(): TrunklineError {
  return new TrunklineError(ErrorCode.CONFLICT, "this key was used for another change of the room", { field: "key" });
}
