// The load of `typing`: everybody in many small rooms begins and ends to type, and everybody sees it.

import { setTimeout as pause } from "node:timers/promises";
import { create, fromBinary } from "@bufbuild/protobuf";
import { ServerFrameSchema, TypingSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import type { Session } from "../client/session.js";
import { clientFrame, type Wire } from "../client/wire.js";
import { cpuMicros } from "../process/proc.js";
import { Awaited } from "./awaited.js";
import { type CrowdInput, memberAt, openCrowd } from "./crowd.js";
import { dueAt, pace, type Schedule } from "./pace.js";

export interface TypingInput extends CrowdInput {
  /** Typing frames a second, over all members. */
  readonly rate: number;
  /** Whether a member's frames begin and end by turns, or only begin, again and again. */
  readonly frames: "turns" | "repeats";
  readonly warmupMs: number;
  readonly windowMs: number;
}

export interface TypingOutcome {
  readonly framesPerS: number;
  /** Frames of signals that all members get a second. */
  readonly deliveriesPerS: number;
  readonly cpuUsPerFrame: number;
  readonly signalsPerDelivery: number;
  /** From when a change was due until a member of the room has it; undefined: nothing changed. */
  readonly visible: { readonly p50Ms: number; readonly p99Ms: number; readonly ratio: number } | undefined;
  readonly generatorCpu: number;
}

/** ServerFrame.signals = 13, as its tag's byte. */
const SIGNALS_TAG = (13 << 3) | 2;
/** How long to wait for what is still on its way at the end. */
const GRACE_MS = 500;

/** One member's connection, with its two frames encoded once. */
interface Member {
  readonly session: Session;
  readonly begins: Buffer;
  readonly ends: Buffer;
}

export async function runTyping(input: TypingInput): Promise<TypingOutcome> {
  const watch = new Watch(input.rooms * input.membersPerRoom);
  const members = await openMembers(input, watch);
  const intervalMs = 1000 / input.rate;
  const count = Math.round((input.warmupMs + input.windowMs) / intervalMs);
  const schedule: Schedule = { startAt: performance.now() + 100, intervalMs, count };
  const sending = pace(schedule, (n) => {
    const at = n % members.length;
    const begins = input.frames === "repeats" || Math.floor(n / members.length) % 2 === 0;
    if (input.frames === "turns") watch.awaited.changed(at, Number(begins), dueAt(schedule, n));
    const member = members[at];
    if (member !== undefined) member.session.wire.write(begins ? member.begins : member.ends);
  });
  await pause(schedule.startAt + input.warmupMs - performance.now());
  watch.awaited.begin();
  const before = snapshot(input.target.pid, watch);
  await pause(schedule.startAt + input.warmupMs + input.windowMs - performance.now());
  const after = snapshot(input.target.pid, watch);
  await sending;
  await pause(GRACE_MS);
  for (const { session } of members) session.destroy();
  if (watch.failed !== undefined) throw new Error(watch.failed);
  const seconds = (after.at - before.at) / 1000;
  const { latencies, changes } = watch.awaited;
  return {
    framesPerS: input.rate,
    deliveriesPerS: (after.deliveries - before.deliveries) / seconds,
    cpuUsPerFrame: (after.serverCpu - before.serverCpu) / (input.rate * seconds),
    signalsPerDelivery: (after.signals - before.signals) / (after.decoded - before.decoded),
    visible:
      latencies.total === 0
        ? undefined
        : { p50Ms: latencies.quantile(0.5), p99Ms: latencies.quantile(0.99), ratio: latencies.total / changes },
    generatorCpu: (after.ownCpu - before.ownCpu) / 1e6 / seconds,
  };
}

function snapshot(pid: number, { deliveries, decoded, signals }: Watch) {
  return {
    at: performance.now(),
    serverCpu: cpuMicros(pid),
    ownCpu: cpuMicros(process.pid),
    deliveries,
    decoded,
    signals,
  };
}

/** What receivers get: all count, one per room decodes. */
class Watch {
  deliveries = 0;
  decoded = 0;
  signals = 0;
  failed: string | undefined;
  readonly awaited: Awaited;

  constructor(members: number) {
    this.awaited = new Awaited(members);
  }

  decode(bytes: Uint8Array): void {
    const { frame } = fromBinary(ServerFrameSchema, bytes);
    if (frame.case !== "signals") return;
    this.decoded++;
    this.signals += frame.value.signals.length;
    const now = performance.now();
    for (const { sender, kind } of frame.value.signals) {
      if (kind.case !== "typing") continue;
      this.awaited.saw(memberAt(sender?.userId), Number(kind.value), now);
    }
  }
}

async function openMembers(input: TypingInput, watch: Watch): Promise<readonly Member[]> {
  const crowd = await openCrowd(input, SIGNALS_TAG, watch);
  return crowd.map(({ session, roomId }) => {
    const { wire } = session;
    return { session, begins: typingFrame(wire, roomId, true), ends: typingFrame(wire, roomId, false) };
  });
}

function typingFrame(wire: Wire, roomId: string, typing: boolean): Buffer {
  return wire.encode(clientFrame(0, { case: "typing", value: create(TypingSchema, { roomId, typing }) }));
}
