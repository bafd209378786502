// Commands of one shard that this node does not own, or did not own a moment ago, on their way to its owner: in the order in which they came.
//
// What is asked of one owner is under way together, in order, once it has taken the first. Where the owner turns out to be another, nothing more is asked until all of that
// is answered; then what was not done goes on in its order. A command that a later one of the same device and room has overtaken is refused: its
// caller decides.

import { create } from "@bufbuild/protobuf";
import { SubmitSchema } from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { Clock, Timer } from "../../ports/clock.js";
import { type PeerQuestion, type PeerReply, type Peers, Unanswered } from "../../ports/peers.js";
import type { ClusterNode } from "../../ports/placement.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { Caller } from "../room/calls.js";
import type { Command, Outcome } from "../room/command.js";
import type { Submission } from "../room/turns.js";
import { decodeOutcome, encodeCaller, encodeCommand } from "./command-codec.js";
import { AGAIN_MS, type Finding, HOLD_MS, isAskedAgain, noOwner } from "./finding.js";

export interface QueueContext {
  readonly shard: number;
  readonly clock: Clock;
  readonly peers: Peers;
  readonly finding: Finding;
  /** Submits a command to this node's own shard; resolves `turned` once what comes after it in its lane may begin. */
  readonly here: (ref: RoomRef, caller: Caller, command: Command) => Submission;
}

interface Waiting {
  readonly number: number;
  readonly ref: RoomRef;
  readonly caller: Caller;
  readonly command: Command;
  /** Monotonic. */
  readonly dueMs: number;
  /** Whether it may have been done. */
  uncertain: boolean;
  /** Gives its place among what is held back; undefined: it has none. */
  release: (() => void) | undefined;
  resolve(outcome: Outcome): void;
  reject(error: unknown): void;
}

/** What must stay in order. */
interface Lane {
  /** How many are asked or returned. */
  open: number;
  /** The last that was done. */
  done: number;
}

export class CommandQueue {
  readonly #context: QueueContext;
  /** Not asked yet, in order. */
  #waiting: Waiting[] = [];
  /** Asked of another node and not answered. */
  readonly #asked = new Set<Waiting>();
  /** Given to this node's own shard, which has not begun with all that comes after them. */
  #turning = 0;
  /** To be asked again, once nothing is under way any more. */
  #returned: Waiting[] = [];
  /** Lanes of what is asked or returned. */
  readonly #lanes = new Map<string, Lane>();
  /** Whom everything under way was asked of. */
  #target: string | undefined;
  /** Whether the target has taken nothing since owners may have changed. One that is about to take the shard over would refuse the first, and take the next. */
  #probing = false;
  /** Not before then is an owner asked again, monotonic. */
  #againMs = 0;
  #numbers = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(context: QueueContext) {
    this.#context = context;
  }

  /** Whether a command need not wait here for others. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#asked.size === 0 && this.#turning === 0;
  }

  submit(ref: RoomRef, caller: Caller, command: Command): Submission {
    const { promise: outcome, resolve, reject } = Promise.withResolvers<Outcome>();
    const dueMs = this.#context.clock.monotonic() + HOLD_MS;
    const number = ++this.#numbers;
    const entry: Waiting = {
      number,
      ref,
      caller,
      command,
      dueMs,
      uncertain: false,
      release: undefined,
      resolve,
      reject,
    };
    this.#waiting.push(entry);
    this.#pump();
    // Most go on at once, and are not measured.
    if (this.#waiting.at(-1) === entry && !this.#hold(entry)) this.#waiting.pop();
    // The queue keeps the order.
    return { turned: undefined, outcome };
  }

  /** The shard may have another owner. */
  changed(): void {
    this.#againMs = 0;
    this.#probing = true;
    this.#pump();
  }

  /** Refuses what waits. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const entry of waiting) this.#dropped(entry);
  }

  /** Whether the command may be held; else it is refused. */
  #hold(entry: Waiting): boolean {
    try {
      entry.release = this.#context.finding.hold(questionOf(entry));
      return true;
    } catch (error) {
      entry.reject(error);
      return false;
    }
  }

  /** Asks what may be asked now. */
  #pump(): void {
    this.#expire();
    while (this.#waiting.length > 0 && !this.#stopped) {
      const { clock, finding, shard } = this.#context;
      // What comes back goes first.
      if (this.#returned.length > 0 || clock.monotonic() < this.#againMs) break;
      const owner = finding.ownerOf(shard);
      if (owner === undefined) break;
      const target = owner === "here" ? owner : owner.nodeId;
      if (target !== this.#target && (this.#asked.size > 0 || this.#turning > 0)) break;
      if (target !== this.#target) this.#probing = owner !== "here";
      this.#target = target;
      if (this.#probing && this.#asked.size > 0) break;
      const next = this.#waiting.shift();
      if (next === undefined) break;
      next.release?.();
      if (owner === "here") this.#doHere(next);
      else this.#askOf(owner, next);
    }
    this.#arm();
  }

  #doHere({ ref, caller, command, uncertain, resolve, reject }: Waiting): void {
    const { turned, outcome } = this.#context.here(ref, caller, uncertain ? again(command) : command);
    outcome.then(resolve, reject);
    if (turned === undefined) return;
    this.#turning++;
    turned.then(() => {
      this.#turning--;
      this.#pump();
    }, ignore);
  }

  #askOf(owner: ClusterNode, asked: Waiting): void {
    const { ref, caller, command } = asked;
    this.#asked.add(asked);
    const key = laneOf(ref, caller, command);
    const lane = key === undefined ? undefined : this.#lanes.get(key);
    if (lane !== undefined) lane.open++;
    else if (key !== undefined) this.#lanes.set(key, { open: 1, done: 0 });
    this.#context.peers.ask(owner, questionOf(asked)).then(
      (reply) => this.#answered(asked, reply),
      (error: unknown) => this.#refused(asked, error),
    );
  }

  #answered(asked: Waiting, reply: PeerReply): void {
    const outcome = reply.case === "submitted" ? reply.value.outcome : undefined;
    if (outcome === undefined) {
      this.#refused(asked, new Unanswered("the room's owner does not answer what was asked", AGAIN_MS));
      return;
    }
    this.#probing = false;
    const lane = this.#leaveLane(asked);
    if (lane !== undefined) lane.done = Math.max(lane.done, asked.number);
    asked.resolve(decodeOutcome(outcome));
    this.#settled(asked);
  }

  #refused(asked: Waiting, error: unknown): void {
    if (isAskedAgain(error) && !this.#stopped) {
      if (error instanceof Unanswered) asked.uncertain = true;
      this.#returned.push(asked);
    } else {
      this.#probing = false;
      this.#leaveLane(asked);
      asked.reject(error);
    }
    this.#settled(asked);
  }

  #leaveLane({ ref, caller, command }: Waiting): Lane | undefined {
    const key = laneOf(ref, caller, command);
    const lane = key === undefined ? undefined : this.#lanes.get(key);
    if (key === undefined || lane === undefined) return undefined;
    lane.open--;
    if (lane.open === 0) this.#lanes.delete(key);
    return lane;
  }

  #settled(asked: Waiting): void {
    this.#asked.delete(asked);
    if (this.#asked.size === 0) this.#takeBack();
    this.#pump();
  }

  /** Nothing is under way any more: what was not done is asked again, before what came after it. */
  #takeBack(): void {
    const returned = this.#returned;
    this.#returned = [];
    const back: Waiting[] = [];
    for (const entry of returned.sort((one, other) => one.number - other.number)) {
      const overtaken = (this.#leaveLane(entry)?.done ?? 0) > entry.number;
      if (overtaken || this.#stopped) entry.reject(noOwner());
      else if (this.#hold(entry)) back.push(entry);
    }
    if (back.length === 0) return;
    this.#waiting = [...back, ...this.#waiting];
    this.#probing = true;
    this.#againMs = this.#context.clock.monotonic() + AGAIN_MS;
  }

  /** Those that came first are due first. */
  #expire(): void {
    const nowMs = this.#context.clock.monotonic();
    const count = this.#waiting.findIndex(({ dueMs }) => dueMs > nowMs);
    const due = this.#waiting.splice(0, count < 0 ? this.#waiting.length : count);
    for (const entry of due) this.#dropped(entry);
  }

  #dropped({ release, reject }: Waiting): void {
    release?.();
    reject(noOwner());
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const [first] = this.#waiting;
    if (first === undefined || this.#stopped) return;
    const { clock } = this.#context;
    const nowMs = clock.monotonic();
    const nextMs = this.#againMs > nowMs ? Math.min(this.#againMs, first.dueMs) : first.dueMs;
    this.#timer = clock.after(nextMs - nowMs, () => this.#pump());
  }
}

function questionOf({ ref: { tenantId, roomId }, caller, command, uncertain }: Waiting): PeerQuestion {
  const value = create(SubmitSchema, {
    room: { tenantId, roomId },
    caller: encodeCaller(caller),
    command: encodeCommand(uncertain ? again(command) : command),
  });
  return { case: "submit", value };
}

/** What must stay in order: what one device asks of one room. Undefined: nothing, as where somebody is let in for what they have asked, which waits for it. */
export function laneOf(ref: RoomRef, { identity, deviceId }: Caller, { kind }: Command): string | undefined {
  return deviceId === "" || kind === "admit" ? undefined : `${ref.key} ${identity.userId} ${deviceId}`;
}

/** Asked before, perhaps. */
function again(command: Command): Command {
  return { ...command, attempt: Math.max(command.attempt, 2) };
}

function ignore(): void {}
