// The load of `receipts`: rooms of twenty, everybody subscribed, everybody marking what they read at a fixed rate.

import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { type Position, PositionSchema } from "../../src/gen/trunkline/v1/message_pb.js";
import { type Markers, MarkSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { answeredSlot, createPublishSlot } from "../client/publish.js";
import { createRoom } from "../client/rooms.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens } from "../client/tokens.js";
import { clientFrame, type Dial, dialBinary } from "../client/wire.js";
import { cpuMicros } from "../process/proc.js";
import { LatencyHistogram } from "../stats.js";
import type { TrunklineTarget } from "../target.js";
import { createReadBuffer } from "../wire/websocket.js";
import { dueAt, pace, type Schedule } from "./pace.js";
import { mapPooled } from "./pool.js";

export interface ReceiptsInput {
  readonly target: TrunklineTarget;
  readonly rooms: number;
  readonly members: number;
  /** Marks a second, over all rooms. */
  readonly rate: number;
  readonly warmupMs: number;
  readonly windowMs: number;
  /** How long to wait for what is still on its way at the end. */
  readonly graceMs: number;
}

export interface ReceiptsOutcome {
  /** Frames of markers that clients got, per mark. */
  readonly deliveriesPerMark: number;
  readonly cpuUsPerMark: number;
  /** Marks per marker that another member was told of. */
  readonly coalescing: number;
  /** From when a mark was due until another member was told of it or of a later one. */
  readonly visibleP50Ms: number;
  readonly visibleP99Ms: number;
  /** Measured marks that every other member was told of, or of a later one, over those due. */
  readonly visibleRatio: number;
  readonly generatorCpu: number;
}

const CONNECTING_AT_ONCE = 50;

export async function runReceipts(input: ReceiptsInput): Promise<ReceiptsOutcome> {
  const { target, rooms, members, rate } = input;
  const users = rooms * members;
  const count = Math.round(((input.warmupMs + input.windowMs) * rate) / 1000);
  const windowFrom = Math.round((input.warmupMs * rate) / 1000);
  const tokens = await createTokens(target.keyFile);
  const dial = dialBinary({ port: target.webPort, readBuffer: createReadBuffer() });
  const names = Array.from({ length: users }, (_, at) => `member-${at}`);
  const positions = await fillRooms(dial, await tokens("owner"), rooms, names, Math.ceil(count / users));
  const schedule: Schedule = { startAt: 0, intervalMs: 1000 / rate, count };
  const tally = new MarkTally(input, positions, windowFrom);

  const sessions = await mapPooled(users, CONNECTING_AT_ONCE, async (at) =>
    openSession(dial, {
      token: await tokens(names[at] ?? ""),
      deviceId: `device-${at}`,
      attempt: 1,
      rooms: [{ roomId: roomName(at % rooms) }],
      markers: (markers) => tally.received(at, markers),
      failed: (reason) => tally.fail(`${names[at]}: ${reason}`),
    }),
  );

  const running = { ...schedule, startAt: performance.now() + 500 };
  tally.begin(running);
  const sending = pace(running, (n) => {
    const at = n % users;
    mark(sessions[at], at % rooms, positions[at % rooms]?.[Math.floor(n / users)]);
  });
  await pause(dueAt(running, windowFrom) - performance.now());
  const before = snapshot(target.pid, tally);
  await pause(dueAt(running, count) - performance.now());
  const after = snapshot(target.pid, tally);
  await sending;
  await pause(input.graceMs);
  for (const session of sessions) session.destroy();
  if (tally.problem !== undefined) throw new Error(tally.problem);

  const marks = count - windowFrom;
  return {
    deliveriesPerMark: (after.frames - before.frames) / marks,
    cpuUsPerMark: (after.serverCpu - before.serverCpu) / marks,
    coalescing: (marks * (members - 1)) / (after.told - before.told),
    visibleP50Ms: tally.latencies.quantile(0.5),
    visibleP99Ms: tally.latencies.quantile(0.99),
    visibleRatio: tally.latencies.total / (marks * (members - 1)),
    generatorCpu: (after.ownCpu - before.ownCpu) / 1000 / (after.at - before.at),
  };
}

function snapshot(pid: number, { frames, told }: MarkTally) {
  return { at: performance.now(), serverCpu: cpuMicros(pid), ownCpu: cpuMicros(process.pid), frames, told };
}

function mark(session: Session | undefined, room: number, read: Position | undefined): void {
  if (session === undefined || read === undefined) throw new Error("there is nothing to mark");
  const value = create(MarkSchema, { roomId: roomName(room), read });
  session.wire.write(session.wire.encode(clientFrame(0, { case: "mark", value })));
}

function roomName(room: number): string {
  return `receipts-${room}`;
}

/** Makes the rooms and what is to be read in them; gives the positions per room. */
async function fillRooms(
  dial: Dial,
  token: string,
  rooms: number,
  names: readonly string[],
  messages: number,
): Promise<readonly (readonly Position[])[]> {
  const answers: (() => void)[] = [];
  const refusal = Promise.withResolvers<never>();
  // Looked at only while something is published.
  refusal.promise.catch(() => {});
  const owner = await openSession(dial, {
    token,
    deviceId: "owner",
    attempt: 1,
    rooms: [],
    raw(buffer, start, end) {
      const slot = answeredSlot(buffer, start, end);
      if (slot >= 0) answers[slot]?.();
      return slot >= 0;
    },
    failed: (reason) => refusal.reject(new Error(`owner: ${reason}`)),
  });
  const filled = await mapPooled(rooms, owner.maxInFlight, async (room) => {
    await createRoom(
      owner,
      roomName(room),
      names.filter((_, at) => at % rooms === room),
    );
    const slot = createPublishSlot(owner.wire, room, roomName(room), "m-");
    for (let n = 0; n < messages; n++) {
      const answered = new Promise<void>((resolve) => {
        answers[room] = resolve;
      });
      owner.wire.write(slot.frame(n));
      await Promise.race([answered, refusal.promise]);
    }
    return positionsOf(owner, roomName(room), messages);
  });
  owner.destroy();
  return filled;
}

/** The room was created by the event at seq 1; its messages follow. */
async function positionsOf(owner: Session, roomId: string, messages: number): Promise<readonly Position[]> {
  const positions: Position[] = [];
  while (positions.length < messages) {
    const { rpc } = await owner.call({ case: "getEvents", value: { roomId, fromSeq: positions.length + 2 } });
    if (rpc.case !== "getEvents" || rpc.value.events.length === 0) throw new Error(`${roomId} lacks messages`);
    positions.push(...rpc.value.events.map(({ position }) => position ?? create(PositionSchema)));
  }
  return positions;
}

/** What everybody was told of everybody else. */
class MarkTally {
  /** Frames of markers. */
  frames = 0;
  /** Markers of others. */
  told = 0;
  readonly latencies = new LatencyHistogram();
  problem: string | undefined;
  readonly #input: ReceiptsInput;
  readonly #positions: readonly (readonly Position[])[];
  readonly #windowFrom: number;
  /** By receiver and member of their room: how many marks of the member the receiver was told of. */
  readonly #seen: Int32Array;
  #schedule: Schedule | undefined;

  constructor(input: ReceiptsInput, positions: readonly (readonly Position[])[], windowFrom: number) {
    this.#input = input;
    this.#positions = positions;
    this.#windowFrom = windowFrom;
    this.#seen = new Int32Array(input.rooms * input.members * input.members);
  }

  begin(schedule: Schedule): void {
    this.#schedule = schedule;
  }

  fail(reason: string): void {
    this.problem ??= reason;
  }

  received(receiver: number, { markers }: Markers): void {
    const { rooms, members } = this.#input;
    const schedule = this.#schedule;
    if (schedule === undefined) return;
    const nowMs = performance.now();
    const firstSeq = this.#positions[receiver % rooms]?.[0]?.seq ?? 0;
    this.frames++;
    for (const { userId, readSeq } of markers) {
      const sender = Number(userId.slice("member-".length));
      // Their own, told to all their devices.
      if (sender === receiver) continue;
      this.told++;
      const slot = receiver * members + Math.floor(sender / rooms);
      const seen = readSeq - firstSeq + 1;
      for (let nth = this.#seen[slot] ?? 0; nth < seen; nth++) {
        const n = nth * rooms * members + sender;
        if (n >= schedule.count) this.fail(`${receiver} was told of a mark that ${sender} never made`);
        if (n >= this.#windowFrom) this.latencies.record(nowMs - dueAt(schedule, n));
      }
      this.#seen[slot] = Math.max(this.#seen[slot] ?? 0, seen);
    }
  }
}
