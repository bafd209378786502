// Asks the application's access hook who is in a room, and whether they may do what they ask for.
//
// An allow of READ makes a member and a denial of it ends that: being in a room is an event of it, so what follows from it has its
// place in the room's order, whatever was asked when. Of other rights the hook takes away what it denies, and adds nothing.

import { Permission, Role, type Room } from "../../gen/trunkline/v1/message_pb.js";
import type { AccessAnswer } from "../../ports/access-hook.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { isAnnouncements } from "../room/announcements.js";
import type { Caller } from "../room/calls.js";
import type { Command } from "../room/command.js";
import { systemOf } from "../room/inbox.js";
import { isAdministrator, isService } from "../room/permissions.js";
import type { RoomState } from "../room/state.js";
import { membersRoomOf } from "../room/sub-room.js";
import { Answers, answerKey, type KnownAnswer } from "./answers.js";
import type { AccessHookRules } from "./rules.js";

/** Questions without an answer at once. */
const MAX_ASKED = 1_024;
/** When to come back where there is no place or no answer, in milliseconds. */
const RETRY_MS = 500;
/** The contract's bound: an answer is never older, in milliseconds. */
const MAX_TTL_MS = 60_000;

/** Changes a room; rejects with the refusal. */
type Change = (ref: RoomRef, caller: Caller, command: Command) => Promise<unknown>;

export class AccessGate {
  readonly #deps: Pick<CoreDependencies, "clock" | "ids" | "telemetry">;
  readonly #rules: AccessHookRules;
  readonly #change: Change;
  readonly #answers = new Answers();
  readonly #asked = new Map<string, Promise<KnownAnswer>>();

  constructor(deps: Pick<CoreDependencies, "clock" | "ids" | "telemetry">, rules: AccessHookRules, change: Change) {
    this.#deps = deps;
    this.#rules = rules;
    this.#change = change;
  }

  /** What follows where the hook cannot be asked whether somebody may go on reading. */
  get failure(): AccessHookRules["failure"] {
    return this.#rules.failure;
  }

  /** Whether the hook has a say in what the caller does: not about tokens with a grant, nor the system. */
  asksAbout({ identity }: Caller): boolean {
    if (identity.userId === "" || isAdministrator(identity) || isService(identity)) return false;
    return this.#rules.tenants?.has(identity.tenantId) !== false;
  }

  /** Whether it has a say in what the caller does in this room: in the tenant's announcements everybody may read. */
  covers(room: Room | undefined, caller: Caller): boolean {
    if (room === undefined || isAnnouncements(room.roomId)) return false;
    return this.#rules.roomKinds.has(room.kind) && this.asksAbout(caller);
  }

  /**
   * Undefined: the room decides by itself, at once. Else resolves when the hook has allowed it and the user is a member; the room then
   * decides whether their role suffices. Rejects with the refusal.
   */
  require(room: RoomState, caller: Caller, permission: Permission): Promise<void> | undefined {
    // Who is in a room under another is said of that one.
    const state = room.root ?? room;
    if (!this.covers(state.room, caller)) return undefined;
    const { userId } = caller.identity;
    const { member, banned } = state.standing(userId);
    // The room says so itself.
    if (member === undefined) return banned ? undefined : this.#enter(state.ref, caller, permission);
    const known = this.#known(state.ref, userId, permission);
    if (known?.allowed === true) return undefined;
    if (permission === Permission.READ) return this.#requireReading(state.ref, caller, member.role);
    return this.#requireRight(state.ref, userId, permission);
  }

  /** Until when the user is known to be allowed to read, monotonic, and how long that held when it was said. */
  reading(ref: RoomRef, userId: string): Pick<KnownAnswer, "untilMs" | "ttlMs"> | undefined {
    const known = this.#known(membersRoomOf(ref), userId, Permission.READ);
    return known?.allowed === true ? known : undefined;
  }

  /**
   * Asks anew whether a member may read, though an answer is known; a denial takes them out of the room. Rejects where there is no
   * answer, or where the room could not be changed.
   */
  async renew(room: RoomRef, caller: Caller): Promise<void> {
    const ref = membersRoomOf(room);
    const { userId } = caller.identity;
    const answer = await this.#ask(ref, userId, Permission.READ, "again");
    if (answer.allowed) await this.#giveRole(ref, userId, answer.role);
    else await this.#expel(ref, userId);
  }

  /** Somebody who is no member. Nobody is let in unanswered, nor by an answer from before they were taken out. */
  async #enter(ref: RoomRef, caller: Caller, permission: Permission): Promise<void> {
    const { userId } = caller.identity;
    if (this.#known(ref, userId, Permission.READ)?.allowed === false) throw denied(Permission.READ);
    const { allowed, role } = await this.#ask(ref, userId, Permission.READ, "to enter");
    if (!allowed) throw denied(Permission.READ);
    await this.#change(ref, caller, { kind: "admit", ...this.#once(), userId, role, entering: true });
    if (permission !== Permission.READ) await this.#requireRight(ref, userId, permission);
  }

  /** A member. That a denial is known means that somebody has put them in since. */
  async #requireReading(ref: RoomRef, caller: Caller, roleNow: Role): Promise<void> {
    const { userId } = caller.identity;
    const answer = await this.#askMember(ref, userId, Permission.READ);
    if (answer === undefined) return;
    if (!answer.allowed) {
      await this.#expel(ref, userId);
      throw denied(Permission.READ);
    }
    if (answer.role !== roleNow) await this.#giveRole(ref, userId, answer.role);
  }

  async #requireRight(ref: RoomRef, userId: string, permission: Permission): Promise<void> {
    const answer = this.#known(ref, userId, permission) ?? (await this.#askMember(ref, userId, permission));
    if (answer?.allowed === false) throw denied(permission);
  }

  async #giveRole(ref: RoomRef, userId: string, role: Role): Promise<void> {
    if (role === Role.UNSPECIFIED) return;
    await this.#change(ref, systemOf(ref), { kind: "admit", ...this.#once(), userId, role, entering: false });
  }

  async #expel(ref: RoomRef, userId: string): Promise<void> {
    await this.#change(ref, systemOf(ref), { kind: "expel", ...this.#once(), userId });
  }

  /** A key of its own: what the hook says is not said again. */
  #once(): Pick<Command, "key" | "attempt"> {
    return { key: `~access.${this.#deps.ids.random()}`, attempt: 1 };
  }

  #known(ref: RoomRef, userId: string, permission: Permission): KnownAnswer | undefined {
    return this.#answers.get(answerKey(ref.key, userId, permission), this.#deps.clock.monotonic());
  }

  /** Undefined: there is no answer, and the room decides by itself. */
  async #askMember(ref: RoomRef, userId: string, permission: Permission): Promise<KnownAnswer | undefined> {
    try {
      return await this.#ask(ref, userId, permission, "again");
    } catch (error) {
      if (this.#rules.failure === "open" && !(error instanceof FullHouse)) return undefined;
      throw error;
    }
  }

  /** One question for everybody who has it. Who enters joins no question from before. Rejects with UNAVAILABLE. */
  #ask(ref: RoomRef, userId: string, permission: Permission, why: "to enter" | "again"): Promise<KnownAnswer> {
    const key = answerKey(ref.key, userId, permission);
    const asking = `${why} ${key}`;
    const asked = this.#asked.get(asking);
    if (asked !== undefined) return asked;
    if (this.#asked.size >= MAX_ASKED) return Promise.reject(new FullHouse());
    const answer = this.#question(ref, userId, permission, why, key).finally(() => this.#asked.delete(asking));
    this.#asked.set(asking, answer);
    return answer;
  }

  async #question(
    { tenantId, roomId }: RoomRef,
    userId: string,
    permission: Permission,
    why: "to enter" | "again",
    key: string,
  ): Promise<KnownAnswer> {
    const { clock, telemetry } = this.#deps;
    const askedAtMs = clock.monotonic();
    let answer: AccessAnswer;
    try {
      answer = await this.#rules.hook.authorize({ tenantId, userId, roomId, permission });
    } catch (cause) {
      const letThrough = this.#rules.failure === "open" && why === "again";
      telemetry.emit("hook.failed", { hook: "access", fault: "no-answer", letThrough, cause });
      const { retryAfterMs = RETRY_MS } = cause instanceof TrunklineError ? cause : {};
      throw unanswered("the application has not said whether you may do this", retryAfterMs, cause);
    }
    const { allowed, role } = answer;
    const tookMs = clock.monotonic() - askedAtMs;
    telemetry.emit("hook.answered", { hook: "access", answer: allowed ? "allow" : "deny", tookMs });
    const ttlMs = Math.min(answer.ttlMs, MAX_TTL_MS);
    const known = { allowed, role, ttlMs, untilMs: askedAtMs + ttlMs };
    this.#answers.set(key, known);
    return known;
  }
}

function unanswered(message: string, retryAfterMs: number, cause?: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs, cause });
}

/** Refused in either mode: a flood must not be the way past the hook. */
class FullHouse extends TrunklineError {
  constructor() {
    super(ErrorCode.UNAVAILABLE, "too many questions wait for the application's answer", { retryAfterMs: RETRY_MS });
  }
}

function denied(permission: Permission): TrunklineError {
  const message =
    permission === Permission.READ
      ? "the application does not let you into the room"
      : "the application denies you this";
  const details = { refused_by: "access_hook", permission: Permission[permission] ?? String(permission) };
  return new TrunklineError(ErrorCode.PERMISSION_DENIED, message, { details });
}
