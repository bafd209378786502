// The load of `typing`: everybody in many small rooms begins and ends to type, and everybody sees it.

import { create, fromBinary } from "@bufbuild/protobuf";
import { ServerFrameSchema, TypingSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import type { Session } from "../client/session.js";
import { clientFrame, type Wire } from "../client/wire.js";
import { memberAt, openCrowd } from "./crowd.js";
import { CrowdSight, type CrowdWindowInput, measureCrowd } from "./crowd-window.js";

/** `rate`: typing frames. */
export interface TypingInput extends CrowdWindowInput {
  /** Whether a member's frames begin and end by turns, or only begin, again and again. */
  readonly frames: "turns" | "repeats";
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
  const sight = new Sight(input.rooms * input.membersPerRoom);
  const members = await openMembers(input, sight);
  const { first, last, seconds, serverCpuUs, generatorCpu } = await measureCrowd(input, {
    sight,
    members,
    send: (n, dueMs) => {
      const at = n % members.length;
      const begins = input.frames === "repeats" || Math.floor(n / members.length) % 2 === 0;
      if (input.frames === "turns") sight.awaited.changed(at, Number(begins), dueMs);
      const member = members[at];
      if (member !== undefined) member.session.wire.write(begins ? member.begins : member.ends);
    },
    count: () => {
      const { deliveries, decoded, signals } = sight;
      return { deliveries, decoded, signals };
    },
    graceMs: GRACE_MS,
  });
  const { latencies, changes } = sight.awaited;
  return {
    framesPerS: input.rate,
    deliveriesPerS: (last.deliveries - first.deliveries) / seconds,
    cpuUsPerFrame: serverCpuUs / (input.rate * seconds),
    signalsPerDelivery: (last.signals - first.signals) / (last.decoded - first.decoded),
    visible:
      latencies.total === 0
        ? undefined
        : { p50Ms: latencies.quantile(0.5), p99Ms: latencies.quantile(0.99), ratio: latencies.total / changes },
    generatorCpu,
  };
}

class Sight extends CrowdSight {
  decoded = 0;
  signals = 0;

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

async function openMembers(input: TypingInput, sight: Sight): Promise<readonly Member[]> {
  const crowd = await openCrowd(input, SIGNALS_TAG, sight);
  return crowd.map(({ session, roomId }) => {
    const { wire } = session;
    return { session, begins: typingFrame(wire, roomId, true), ends: typingFrame(wire, roomId, false) };
  });
}

function typingFrame(wire: Wire, roomId: string, typing: boolean): Buffer {
  return wire.encode(clientFrame(0, { case: "typing", value: create(TypingSchema, { roomId, typing }) }));
}
