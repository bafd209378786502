// A room, or a user's inbox, to which something ephemeral is to be said: what waits, who types, and what was said of them.

import { create } from "@bufbuild/protobuf";
import { type Actor, type Member, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import { type Signal, SignalSchema } from "../../gen/trunkline/v1/session_pb.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { FanoutSubscription } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { maySignal } from "../room/permissions.js";

/** Signals in one frame, and bytes of their data, about: what is over follows with the next tick. */
const FRAME_SIGNALS = 100;
const FRAME_BYTES = 64 * 1024;
/** Bytes of application-defined signals that wait; beyond it the oldest are dropped. */
const WAITING_BYTES = 256 * 1024;
/** What a signal takes beside its data, in bytes, about. */
const SIGNAL_BYTES = 128;

export class SignalTarget {
  readonly ref: RoomRef;
  /** As frames name it; empty: a user. */
  readonly roomId: string;
  /** Settles when the room's events are heard; undefined: nobody types. */
  listening: Promise<void> | undefined;
  readonly #subscriptions: FanoutSubscription[] = [];
  /** The last events that were heard, of the room and of the one that it is under. */
  #heardSeq = 0;
  #heardRootSeq = 0;
  #closed = false;
  /** Opening or live, by user. */
  readonly #typers = new Map<string, Set<Typer>>();
  /** Of whom it was said last that they type. */
  readonly #told = new Set<string>();
  /** Of whom there may be something to say. */
  readonly #changed = new Map<string, Typer>();
  /** By sender and type, the oldest first. */
  readonly #custom = new Map<string, Signal>();
  #customBytes = 0;

  constructor(ref: RoomRef, roomId: string) {
    this.ref = ref;
    this.roomId = roomId;
  }

  /** Whether there is something to say. */
  get waits(): boolean {
    return this.#changed.size + this.#custom.size > 0;
  }

  /** Whether it can be forgotten. */
  get idle(): boolean {
    return this.#typers.size === 0 && !this.waits;
  }

  /** Keeps a subscription by which `hear` or `hearRoot` is called. */
  heardBy(subscription: FanoutSubscription): void {
    if (this.#closed) subscription.close();
    else this.#subscriptions.push(subscription);
  }

  close(): void {
    this.#closed = true;
    for (const subscription of this.#subscriptions) subscription.close();
  }

  join(typer: Typer): void {
    const { userId } = typer.actor;
    const devices = this.#typers.get(userId);
    if (devices === undefined) this.#typers.set(userId, new Set([typer]));
    else devices.add(typer);
  }

  leave(typer: Typer): void {
    const { userId } = typer.actor;
    const devices = this.#typers.get(userId);
    if (devices?.delete(typer) === true && devices.size === 0) this.#typers.delete(userId);
  }

  /** Of this device there may be something to say. What it is, is asked when it is said: so it is never old. */
  changed(typer: Typer): void {
    this.#changed.set(typer.key, typer);
  }

  /** An application-defined signal: takes the place of the sender's last one of this type. */
  add(signal: Signal): void {
    if (signal.kind.case !== "custom") return;
    const key = `${signal.sender?.userId} ${signal.sender?.deviceId} ${signal.kind.value.type}`;
    this.#drop(key);
    this.#custom.set(key, signal);
    this.#customBytes += bytesOf(signal);
    for (const oldest of this.#custom.keys()) {
      if (this.#customBytes <= WAITING_BYTES) return;
      this.#drop(oldest);
    }
  }

  /** What is to be said now, a frame's worth of it. */
  take(): Signal[] {
    const signals: Signal[] = [];
    for (const [key, typer] of this.#changed) {
      if (signals.length === FRAME_SIGNALS) return signals;
      this.#changed.delete(key);
      const typing = this.#types(typer);
      const told = typing ? this.#told.has(key) : this.#told.delete(key);
      if (typing) this.#told.add(key);
      // Whoever began and ended between two ticks was never seen.
      if (typing || told)
        signals.push(create(SignalSchema, { sender: typer.actor, kind: { case: "typing", value: typing } }));
    }
    let bytes = 0;
    for (const [key, signal] of this.#custom) {
      if (signals.length === FRAME_SIGNALS || bytes >= FRAME_BYTES) return signals;
      bytes += bytesOf(signal);
      this.#drop(key);
      signals.push(signal);
    }
    return signals;
  }

  /** Announcements of the room up to this event may have been lost; undefined: nobody knows how many. Who was judged by less is judged again. */
  missed(top = Number.POSITIVE_INFINITY): void {
    if (top > this.#heardSeq) for (const typer of this.#everybody()) if (typer.authorizedSeq < top) typer.doubt();
  }

  /** The same of the room that this one is under. */
  missedRoot(top = Number.POSITIVE_INFINITY): void {
    if (top > this.#heardRootSeq) for (const typer of this.#everybody()) if (typer.accessSeq < top) typer.doubt();
  }

  /** Durable events of the room: calls `end` for whoever is thereby no longer typing. */
  hear(events: readonly EncodedEvent[], nowMs: number, end: (typer: Typer) => void): void {
    for (const { seq, event } of events) {
      if (this.#heardSeq > 0 && seq > this.#heardSeq + 1) this.missed(seq - 1);
      this.#heardSeq = Math.max(this.#heardSeq, seq);
      for (const typer of this.#endedBy(event.kind, event.actor?.userId, nowMs)) {
        if (typer.status === "opening") typer.lostSeq = seq;
        else if (seq > typer.authorizedSeq) end(typer);
      }
    }
  }

  /** Durable events of the room that this one is under. */
  hearRoot(events: readonly EncodedEvent[], nowMs: number, end: (typer: Typer) => void): void {
    for (const { seq, event } of events) {
      if (this.#heardRootSeq > 0 && seq > this.#heardRootSeq + 1) this.missedRoot(seq - 1);
      this.#heardRootSeq = Math.max(this.#heardRootSeq, seq);
      for (const typer of endsUnder(event.kind) ? this.#endedBy(event.kind, undefined, nowMs) : NOBODY) {
        if (typer.status === "opening") typer.lostAccessSeq = seq;
        else if (seq > typer.accessSeq) end(typer);
      }
    }
  }

  #endedBy(kind: EncodedEvent["event"]["kind"], actor: string | undefined, nowMs: number): readonly Typer[] {
    switch (kind.case) {
      case "messageCreated":
        return this.#of(actor);
      case "memberLeft":
        return this.#of(kind.value.userId);
      case "memberChanged":
        return this.#demoted(kind.value.member, nowMs);
      case "roomUpdated": {
        const { room } = kind.value;
        return room?.status === RoomStatus.ARCHIVED || room?.settings?.typing === false ? this.#everybody() : NOBODY;
      }
      case "roomDeleted":
        return this.#everybody();
      default:
        return NOBODY;
    }
  }

  #demoted(member: Member | undefined, nowMs: number): readonly Typer[] {
    if (member === undefined || maySignal(member, nowMs)) return NOBODY;
    return this.#of(member.userId).filter(({ administrator }) => !administrator);
  }

  #of(userId = ""): readonly Typer[] {
    const devices = this.#typers.get(userId);
    return devices === undefined ? NOBODY : [...devices];
  }

  #everybody(): readonly Typer[] {
    return [...this.#typers.values()].flatMap((devices) => [...devices]);
  }

  /** Whether the device types now, be it by another session of it. */
  #types({ actor }: Typer): boolean {
    for (const { status, actor: other } of this.#typers.get(actor.userId) ?? NOBODY) {
      if (status === "live" && other.deviceId === actor.deviceId) return true;
    }
    return false;
  }

  #drop(key: string): void {
    const signal = this.#custom.get(key);
    if (signal === undefined) return;
    this.#custom.delete(key);
    this.#customBytes -= bytesOf(signal);
  }
}

/** One device that types in one room: opening → live → ended. */
export class Typer {
  readonly target: SignalTarget;
  readonly actor: Actor;
  /** A tenant's administrator: what happens to their membership takes nothing from them. */
  readonly administrator: boolean;
  status: "opening" | "live" | "ended" = "opening";
  /** Settles when the typer is live or refused. */
  opening: Promise<void> | undefined;
  /** The room's last event that the right to type was judged on, and when that was, monotonic. */
  authorizedSeq = 0;
  authorizedAtMs = 0;
  /** The same two of the room whose members it has, where that is another. */
  accessSeq = 0;
  lostAccessSeq = 0;
  /** Whether the room is a direct one. */
  direct = false;
  /** The room's last event that ends it, unless it was authorized after. */
  lostSeq = 0;
  /** When it was last said that they type, monotonic. */
  saidAtMs = 0;
  expiresAtMs = 0;
  readonly #ended: () => void;

  constructor(target: SignalTarget, actor: Actor, administrator: boolean, ended: () => void) {
    this.target = target;
    this.actor = actor;
    this.administrator = administrator;
    this.#ended = ended;
  }

  /** Whose device this is, as one word: ids hold no spaces. */
  get key(): string {
    return `${this.actor.userId} ${this.actor.deviceId}`;
  }

  /** What it was judged on may be over: it is judged again when it is said next. */
  doubt(): void {
    this.authorizedAtMs = Number.NEGATIVE_INFINITY;
  }

  end(): void {
    this.status = "ended";
    this.#ended();
  }
}

const NOBODY: readonly Typer[] = [];

/** Whether what an event ends in its room, it ends in the rooms under that one too. */
function endsUnder(kind: EncodedEvent["event"]["kind"]): boolean {
  if (kind.case === "roomUpdated") return kind.value.room?.status === RoomStatus.ARCHIVED;
  return kind.case !== "messageCreated";
}

function bytesOf({ kind }: Signal): number {
  return SIGNAL_BYTES + (kind.case === "custom" ? kind.value.data.length : 0);
}
