// The load of `channel`: ten thousand people who all join one channel at once, then read it and watch how many are there.

import { setTimeout as pause } from "node:timers/promises";
import { create, fromBinary } from "@bufbuild/protobuf";
import { RoomKind } from "../../src/gen/trunkline/v1/message_pb.js";
import {
  PresenceStatus,
  ServerFrameSchema,
  SetPresenceSchema,
  SubscribeSchema,
} from "../../src/gen/trunkline/v1/session_pb.js";
import { openPublisher } from "../client/publisher.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens, type Tokens } from "../client/tokens.js";
import { clientFrame, dialBinary } from "../client/wire.js";
import { collectedBytes } from "../process/collected.js";
import { cpuMicros } from "../process/proc.js";
import { LatencyHistogram } from "../stats.js";
import type { TrunklineTarget } from "../target.js";
import { EventWalker } from "../wire/walk.js";
import { createReadBuffer } from "../wire/websocket.js";
import { dueAt, pace, type Schedule } from "./pace.js";
import { mapPooled } from "./pool.js";
import { Tally } from "./tally.js";
import { waitUntil } from "./until.js";

export interface ChannelInput {
  readonly target: TrunklineTarget;
  readonly members: number;
  /** Messages a second, once all have joined. */
  readonly rate: number;
  /** Members a second who become invisible or visible meanwhile, so that there are counts to tell. */
  readonly presenceRate: number;
  readonly warmupMs: number;
  readonly windowMs: number;
  /** How long to wait for what is still on its way after the joining, and at the end. */
  readonly graceMs: number;
}

export interface ChannelOutcome {
  readonly joinsPerS: number;
  /** From asking to join until subscribed. */
  readonly joinP50Ms: number;
  readonly joinP99Ms: number;
  /** Of the storm: each join is also told to everybody who has subscribed by then. */
  readonly joinCpuUsPerDelivery: number;
  readonly cpuUsPerDelivery: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly deliveredRatio: number;
  /** Frames of presence counts that each member got a second. */
  readonly countsPerS: number;
  /** Resident memory per member, session and membership, after a full garbage collection. */
  readonly rssKibPerMember: number;
  readonly generatorCpu: number;
}

const ROOM = "channel";
const CONNECTING_AT_ONCE = 100;
const JOINING_AT_ONCE = 256;
/** Ports of one source address run out at about 28,000. */
const SESSIONS_PER_ADDRESS = 5_000;
/** ServerFrame.presence_changes = 14, as its tag's byte. */
const CHANGES_TAG = (14 << 3) | 2;
/** One member in so many decodes what it is told of presence. */
const CHECKED_MEMBERS = 100;
const SETTLE_MS = 3_000;
/** The room was created by the event at seq 1; who creates it is a member by that event. */
const CREATED_SEQ = 1;

export async function runChannel(input: ChannelInput): Promise<ChannelOutcome> {
  const { target, members } = input;
  const tokens = await createTokens(target.keyFile);
  const watch = new Watch(members);
  const publisher = await openPublisher(
    dialBinary({ port: target.webPort, readBuffer: createReadBuffer() }),
    await tokens("publisher"),
    ROOM,
    watch.fail,
  );
  await publisher.session.call({
    case: "createRoom",
    value: { roomId: ROOM, key: "create", attempt: 1, kind: RoomKind.CHANNEL },
  });
  const emptyBytes = await collectedBytes(target.pid, SETTLE_MS);
  const sessions = await openMembers(input, tokens, watch);

  const joins = new LatencyHistogram();
  const stormAt = snapshot(target.pid, watch);
  await mapPooled(members, JOINING_AT_ONCE, async (at) => {
    const startedAt = performance.now();
    const session = sessions[at];
    if (session === undefined) throw new Error("a member has no session");
    await session.call({ case: "joinRoom", value: { roomId: ROOM, key: `join-${at}`, attempt: 1 } });
    await session.ask({ case: "subscribe", value: create(SubscribeSchema, { roomId: ROOM, presence: true }) });
    joins.record(performance.now() - startedAt);
  });
  const joinedAt = performance.now();
  await waitUntil(() => watch.failed !== undefined || watch.behind(CREATED_SEQ + members) === 0, input.graceMs);
  const calm = snapshot(target.pid, watch);
  const behind = watch.behind(CREATED_SEQ + members);
  if (behind > 0) watch.fail(`${behind} members have not heard of everybody who joined`);

  const published = await publish(input, watch, sessions, publisher.publish);
  const fullBytes = await collectedBytes(target.pid, SETTLE_MS);
  publisher.session.destroy();
  for (const session of sessions) session.destroy();
  if (watch.failed !== undefined) throw new Error(watch.failed);
  return {
    joinsPerS: (members * 1000) / (joinedAt - stormAt.at),
    joinP50Ms: joins.quantile(0.5),
    joinP99Ms: joins.quantile(0.99),
    joinCpuUsPerDelivery: (calm.serverCpu - stormAt.serverCpu) / (calm.joins - stormAt.joins),
    ...published,
    rssKibPerMember: (fullBytes - emptyBytes) / 1024 / members,
  };
}

async function publish(input: ChannelInput, watch: Watch, sessions: readonly Session[], send: (n: number) => void) {
  const { target, members, rate, presenceRate, warmupMs, windowMs, graceMs } = input;
  const schedule: Schedule = {
    startAt: performance.now() + 100,
    intervalMs: 1000 / rate,
    count: Math.round(((warmupMs + windowMs) * rate) / 1000),
  };
  const windowFrom = Math.round((warmupMs * rate) / 1000);
  watch.tally.begin({ from: 0, schedule, windowFrom, windowTo: schedule.count });
  const changes = Math.round(((warmupMs + windowMs) * presenceRate) / 1000);
  const sending = Promise.all([
    pace(schedule, send),
    pace({ ...schedule, intervalMs: 1000 / presenceRate, count: changes }, (n) => {
      const status = Math.floor(n / members) % 2 === 0 ? PresenceStatus.INVISIBLE : PresenceStatus.ONLINE;
      const wire = sessions[n % members]?.wire;
      wire?.write(wire.encode(clientFrame(0, { case: "setPresence", value: create(SetPresenceSchema, { status }) })));
    }),
  ]);
  await pause(dueAt(schedule, windowFrom) - performance.now());
  const before = snapshot(target.pid, watch);
  await pause(dueAt(schedule, schedule.count) - performance.now());
  const after = snapshot(target.pid, watch);
  await sending;
  await waitUntil(() => watch.failed !== undefined || watch.tally.deliveries >= schedule.count * members, graceMs);
  const seconds = (after.at - before.at) / 1000;
  return {
    cpuUsPerDelivery: (after.serverCpu - before.serverCpu) / (after.messages - before.messages),
    latencyP50Ms: watch.tally.latencies.quantile(0.5),
    latencyP99Ms: watch.tally.latencies.quantile(0.99),
    deliveredRatio: watch.tally.measured / ((schedule.count - windowFrom) * members),
    countsPerS: (after.counts - before.counts) / seconds / members,
    generatorCpu: (after.ownCpu - before.ownCpu) / 1e6 / seconds,
  };
}

function snapshot(pid: number, { joins, counts, tally }: Watch) {
  return {
    at: performance.now(),
    serverCpu: cpuMicros(pid),
    ownCpu: cpuMicros(process.pid),
    joins,
    counts,
    messages: tally.deliveries,
  };
}

/** What members get: first that others join, then messages, all dense by seq. */
class Watch {
  /** Events of the storm that arrived. */
  joins = 0;
  /** Frames of presence counts. */
  counts = 0;
  failed: string | undefined;
  readonly tally: Tally;
  readonly #walker = new EventWalker();
  /** By member, the last seq that arrived; 0: none yet. */
  readonly #tops: Int32Array;

  constructor(members: number) {
    this.tally = new Tally(members);
    this.#tops = new Int32Array(members);
  }

  readonly fail = (reason: string): void => {
    this.failed ??= reason;
  };

  /** How many members have got something, and have not got the event at `seq`. Who subscribed last gets nothing of the storm. */
  behind(seq: number): number {
    return this.#tops.reduce((count, top) => count + Number(top > 0 && top < seq), 0);
  }

  /** Of members, only how many are there. */
  counted(buffer: Buffer, start: number, end: number): void {
    const { frame } = fromBinary(ServerFrameSchema, buffer.subarray(start, end));
    if (frame.case === "presenceChanges" && frame.value.presences.length > 0) this.fail("a channel told names");
  }

  received(member: number, buffer: Buffer, start: number, end: number): void {
    const walker = this.#walker;
    if (!walker.walk(buffer, start, end) || walker.count === 0) return;
    const top = this.#tops[member] ?? 0;
    if (!walker.dense || (top !== 0 && walker.first !== top + 1)) {
      this.fail(`member ${member} got seq ${walker.first} after ${top}`);
    }
    this.#tops[member] = walker.first + walker.count - 1;
    const firstMessage = CREATED_SEQ + this.#tops.length + 1;
    const messages = Math.max(0, walker.first + walker.count - Math.max(walker.first, firstMessage));
    this.joins += walker.count - messages;
    if (messages === 0) return;
    this.tally.received(member, Math.max(walker.first, firstMessage) - firstMessage, messages, performance.now());
  }
}

function openMembers(input: ChannelInput, tokens: Tokens, watch: Watch): Promise<readonly Session[]> {
  const readBuffer = createReadBuffer();
  return mapPooled(input.members, CONNECTING_AT_ONCE, async (at) => {
    const localAddress = `127.0.0.${2 + Math.floor(at / SESSIONS_PER_ADDRESS)}`;
    return openSession(dialBinary({ port: input.target.webPort, readBuffer, localAddress }), {
      token: await tokens(`member-${at}`),
      deviceId: `device-${at}`,
      attempt: 1,
      rooms: [],
      events: (buffer, start, end) => watch.received(at, buffer, start, end),
      raw(buffer, start, end) {
        if (buffer[start] !== CHANGES_TAG) return false;
        watch.counts++;
        if (at % CHECKED_MEMBERS === 0) watch.counted(buffer, start, end);
        return true;
      },
      failed: (reason) => watch.fail(`member ${at}: ${reason}`),
    });
  });
}
