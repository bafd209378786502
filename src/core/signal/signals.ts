// What is said and not kept, collected per room and said once a tick: typing, and the application's own signals.

import { create } from "@bufbuild/protobuf";
import { type Actor, Permission, type Room } from "../../gen/trunkline/v1/message_pb.js";
import { type Signal, SignalsSchema } from "../../gen/trunkline/v1/session_pb.js";
import type { Timer } from "../../ports/clock.js";
import { EncodedFrame } from "../../ports/encoded-frame.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import type { Caller } from "../room/calls.js";
import { inboxRef } from "../room/inbox.js";
import type { RoomOwner } from "../room/owner.js";
import { isAdministrator, requireRoom } from "../room/permissions.js";
import type { SeenRoom } from "../room/room.js";
import { rootOf } from "../room/sub-room.js";
import { turnRules } from "../room/turn-rules.js";
import { serverFrame } from "../session/frames.js";
import { Acquaintances } from "./acquaintances.js";
import { SignalTarget, Typer } from "./signal-target.js";

/** Between two frames of signals to one room, in milliseconds: a person sees no delay, and many typers become one frame. */
const TICK_MS = 50;
/** From the last start to the end of typing, in milliseconds. */
const TYPING_MS = 5_000;
/** A repeat so soon is not told, in milliseconds. */
const REPEAT_MS = 1_000;
/** Whoever goes on typing is judged anew after so long, in milliseconds: the room may have grown, an announcement may be lost. */
const AUTHORIZED_MS = 30_000;
/** Rooms with more members show no typing unless their settings ask for it: everybody would be told of everybody. */
const TYPING_MEMBERS = 1_000;

export class Signals {
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;
  readonly #acquaintances: Acquaintances;
  /** By the room's key: those where somebody types or something waits. */
  readonly #targets = new Map<string, SignalTarget>();
  /** Those with something to say. */
  readonly #waiting = new Set<SignalTarget>();
  /** Live ones in the order in which they expire. */
  readonly #typers = new Set<Typer>();
  /** Set while something waits or somebody types. */
  #timer: Timer | undefined;
  #dueMs = 0;
  #stopped = false;

  constructor(deps: CoreDependencies, owner: RoomOwner) {
    this.#deps = deps;
    this.#owner = owner;
    this.#acquaintances = new Acquaintances(deps);
  }

  stop(): void {
    this.#stopped = true;
    this.#unschedule();
    for (const target of this.#targets.values()) target.close();
    this.#targets.clear();
    this.#waiting.clear();
    this.#typers.clear();
  }

  // — typing —

  /** A device begins to type. Its `opening` rejects with the refusal; `ended` is called when it types no more. */
  begin(ref: RoomRef, caller: Caller, actor: Actor, ended: () => void): Typer {
    const typer = new Typer(this.#target(ref, ref.roomId), actor, isAdministrator(caller.identity), ended);
    typer.target.join(typer);
    typer.opening = this.#open(typer, caller);
    // Whoever does not wait for it has no use for the refusal.
    typer.opening.catch(ignore);
    return typer;
  }

  async #open(typer: Typer, caller: Caller): Promise<void> {
    try {
      // Heard before the room is looked at: what takes the right away meanwhile is not missed.
      await this.#listen(typer.target);
      await this.#authorize(typer, caller);
    } catch (error) {
      this.end(typer);
      throw error;
    }
    if (hasEnded(typer)) return;
    if (this.#stopped || typer.lostSeq > typer.authorizedSeq || typer.lostAccessSeq > typer.accessSeq) {
      this.end(typer);
      return;
    }
    typer.status = "live";
    typer.saidAtMs = this.#deps.clock.monotonic();
    this.#prolong(typer, typer.saidAtMs);
    this.#changed(typer);
  }

  /** A live typer goes on. Undefined: there is nothing to wait for. */
  repeat(typer: Typer, caller: Caller): Promise<void> | undefined {
    const nowMs = this.#deps.clock.monotonic();
    this.#prolong(typer, nowMs);
    if (nowMs - typer.saidAtMs < REPEAT_MS) return undefined;
    typer.saidAtMs = nowMs;
    // Of a block, which is no event of the room, nothing is heard.
    if (typer.direct || nowMs - typer.authorizedAtMs >= AUTHORIZED_MS) return this.#authorizeAgain(typer, caller);
    this.#changed(typer);
    return undefined;
  }

  async #authorizeAgain(typer: Typer, caller: Caller): Promise<void> {
    try {
      await this.#authorize(typer, caller);
    } catch (error) {
      this.end(typer);
      throw error;
    }
    if (!hasEnded(typer)) this.#changed(typer);
  }

  /** The device types no more. */
  end(typer: Typer): void {
    if (hasEnded(typer)) return;
    const seen = typer.status === "live";
    typer.end();
    this.#typers.delete(typer);
    typer.target.leave(typer);
    if (seen) this.#changed(typer);
    else this.#release(typer.target);
  }

  async #authorize(typer: Typer, caller: Caller): Promise<void> {
    typer.authorizedAtMs = this.#deps.clock.monotonic();
    const { seq, accessSeq, direct } = await this.#judge(typer.target.ref, caller, requireTyping);
    typer.authorizedSeq = seq;
    typer.accessSeq = accessSeq;
    typer.direct = direct;
  }

  /** The room's last event and whether the room is direct, if the caller may send signals to it; `further` may refuse it too. */
  async #judge(
    ref: RoomRef,
    caller: Caller,
    further: (room: Room, actor: SeenRoom) => void = ignore,
  ): Promise<{ readonly seq: number; readonly accessSeq: number; readonly direct: boolean }> {
    const { tenantId, userId } = caller.identity;
    const { seq, accessSeq, directUsers } = await this.#owner.read(ref, caller, Permission.SIGNAL, (actor) => {
      const { state } = actor;
      further(requireRoom(state.room), actor);
      return { seq: state.seq, accessSeq: state.accessSeq, directUsers: state.directUsers };
    });
    const [one, other] = directUsers;
    if (one === undefined || other === undefined) return { seq, accessSeq, direct: false };
    if (directUsers.includes(userId)) await this.#requireUnblocked(tenantId, one, other);
    return { seq, accessSeq, direct: true };
  }

  async #requireUnblocked(tenantId: string, one: string, other: string): Promise<void> {
    if (!(await this.#owner.blocks.between(tenantId, one, other))) return;
    throw new TrunklineError(ErrorCode.BLOCKED, "one of you has blocked the other");
  }

  async #listen(target: SignalTarget): Promise<void> {
    target.listening ??= this.#hear(target);
    try {
      await target.listening;
    } catch (error) {
      target.listening = undefined;
      throw error;
    }
  }

  async #hear(target: SignalTarget): Promise<void> {
    const { fanout, clock } = this.#deps;
    const end = (typer: Typer): void => this.end(typer);
    const rootRef = rootOf(target.ref);
    if (rootRef !== undefined) {
      target.heardBy(
        await fanout.subscribe(
          rootRef,
          (events) => target.hearRoot(events, clock.now(), end),
          undefined,
          (top) => target.missedRoot(top),
        ),
      );
    }
    target.heardBy(
      await fanout.subscribe(
        target.ref,
        (events) => target.hear(events, clock.now(), end),
        undefined,
        (top) => target.missed(top),
      ),
    );
  }

  #prolong(typer: Typer, nowMs: number): void {
    typer.expiresAtMs = nowMs + TYPING_MS;
    // All live equally long: the one said last is the last to expire.
    this.#typers.delete(typer);
    this.#typers.add(typer);
  }

  #changed(typer: Typer): void {
    typer.target.changed(typer);
    this.#wait(typer.target);
  }

  // — the application's signals —

  /** To everybody who is subscribed to the room; rejects with the refusal. */
  async toRoom(ref: RoomRef, caller: Caller, signal: Signal): Promise<void> {
    await this.#judge(ref, caller, (_, { buckets }) => {
      const nowMs = this.#deps.clock.monotonic();
      const waitMs = buckets.of("signal", nowMs)?.take(nowMs) ?? 0;
      if (waitMs > 0) throw turnRules(this.#deps).limited("signal", waitMs);
    });
    this.#add(ref, ref.roomId, signal);
  }

  /** To all sessions of a user; rejects with the refusal. */
  async toUser(userId: string, { identity }: Caller, signal: Signal): Promise<void> {
    const { tenantId } = identity;
    const known =
      userId === identity.userId ||
      identity.grants.has("service") ||
      (await this.#acquaintances.share(tenantId, identity.userId, userId));
    if (!known) throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "you share no room with the user");
    await this.#requireUnblocked(tenantId, identity.userId, userId);
    this.#add(inboxRef(this.#deps.ids, tenantId, userId), "", signal);
  }

  #add(ref: RoomRef, roomId: string, signal: Signal): void {
    if (this.#stopped) return;
    const target = this.#target(ref, roomId);
    target.add(signal);
    this.#wait(target);
  }

  // — the tick —

  #target(ref: RoomRef, roomId: string): SignalTarget {
    let target = this.#targets.get(ref.key);
    if (target === undefined) {
      target = new SignalTarget(ref, roomId);
      this.#targets.set(ref.key, target);
    }
    return target;
  }

  #release(target: SignalTarget): void {
    if (!target.idle || this.#targets.get(target.ref.key) !== target) return;
    this.#targets.delete(target.ref.key);
    target.close();
  }

  #wait(target: SignalTarget): void {
    if (this.#stopped) return;
    this.#waiting.add(target);
    this.#schedule(this.#deps.clock.monotonic() + TICK_MS);
  }

  /** One timer for all: the next tick, or, where nothing waits, the first who expires. */
  #schedule(dueMs: number): void {
    if (this.#timer !== undefined && this.#dueMs <= dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = dueMs;
    this.#timer = this.#deps.clock.after(dueMs - this.#deps.clock.monotonic(), () => this.#tick());
  }

  #unschedule(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #tick(): void {
    this.#timer = undefined;
    const nowMs = this.#deps.clock.monotonic();
    for (const typer of this.#typers) {
      if (typer.expiresAtMs > nowMs) break;
      this.end(typer);
    }
    for (const target of this.#waiting) this.#say(target);
    // Those that have just expired asked for a tick, and had it.
    this.#unschedule();
    const [next] = this.#typers;
    if (this.#waiting.size > 0) this.#schedule(nowMs + TICK_MS);
    else if (next !== undefined) this.#schedule(Math.max(next.expiresAtMs, nowMs + TICK_MS));
  }

  #say(target: SignalTarget): void {
    const signals = target.take();
    if (!target.waits) this.#waiting.delete(target);
    if (signals.length > 0) {
      const value = create(SignalsSchema, { roomId: target.roomId, signals });
      this.#deps.fanout.signal(target.ref, EncodedFrame.of(serverFrame({ case: "signals", value })));
    }
    this.#release(target);
  }
}

function ignore(): void {}

/** Asked anew after each wait. */
function hasEnded({ status }: Typer): boolean {
  return status === "ended";
}

function requireTyping({ settings }: Room, { state }: SeenRoom): void {
  if (settings?.typing ?? !state.isWiderThan(TYPING_MEMBERS)) return;
  throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "typing is not shown in this room");
}
