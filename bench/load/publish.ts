// The load of `publish`: a closed loop of N publishes without an answer, each answered one followed by the next.

import { setTimeout as pause } from "node:timers/promises";
import { answeredSlot, createPublishSlot, type PublishSlot } from "../client/publish.js";
import { createRoom } from "../client/rooms.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens } from "../client/tokens.js";
import { dialBinary, dialGrpc } from "../client/wire.js";
import { cpuMicros } from "../process/proc.js";
import { LatencyHistogram } from "../stats.js";
import type { TrunklineTarget } from "../target.js";
import { connectHttp2 } from "../wire/grpc.js";
import { createReadBuffer } from "../wire/websocket.js";

export interface PublishInput {
  readonly target: TrunklineTarget;
  readonly transport: "websocket" | "grpc";
  /** Publishes without an answer, over all sessions. */
  readonly concurrency: number;
  /** Rooms they are spread over. */
  readonly rooms: number;
  readonly warmupMs: number;
  readonly windowMs: number;
}

export interface PublishOutcome {
  readonly acksPerS: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly cpuUsPerAck: number;
  readonly generatorCpu: number;
}

/** The server's limit of requests in flight. */
const MOST_PER_SESSION = 64;

export async function runPublish(input: PublishInput): Promise<PublishOutcome> {
  const load = await openLoad(input);
  load.start();
  await pause(input.warmupMs);
  load.latencies.clear();
  const before = snapshot(input.target.pid);
  await pause(input.windowMs);
  const after = snapshot(input.target.pid);
  const acks = load.latencies.total;
  load.stop();
  const problem = load.problem();
  if (problem !== undefined) throw new Error(problem);
  return {
    acksPerS: (acks * 1000) / (after.at - before.at),
    latencyP50Ms: load.latencies.quantile(0.5),
    latencyP99Ms: load.latencies.quantile(0.99),
    cpuUsPerAck: (after.serverCpu - before.serverCpu) / acks,
    generatorCpu: (after.ownCpu - before.ownCpu) / 1000 / (after.at - before.at),
  };
}

function snapshot(pid: number) {
  return { at: performance.now(), serverCpu: cpuMicros(pid), ownCpu: cpuMicros(process.pid) };
}

interface Load {
  /** Of each answer since it was last cleared. */
  readonly latencies: LatencyHistogram;
  start(): void;
  stop(): void;
  problem(): string | undefined;
}

async function openLoad(input: PublishInput): Promise<Load> {
  const { target, concurrency } = input;
  const latencies = new LatencyHistogram();
  const tokens = await createTokens(target.keyFile);
  const readBuffer = createReadBuffer();
  const users = Array.from({ length: Math.ceil(concurrency / MOST_PER_SESSION) }, (_, at) => `publisher-${at}`);
  const rooms = Array.from({ length: input.rooms }, (_, at) => `publish-${at}`);
  const dial =
    input.transport === "grpc"
      ? dialGrpc(() => connectHttp2(target.grpcPort))
      : dialBinary({ port: target.webPort, readBuffer });
  let problem: string | undefined;
  let stopped = false;
  const fail = (reason: string) => {
    if (!stopped) problem ??= reason;
  };

  const owner = await openSession(dial, {
    token: await tokens("owner"),
    deviceId: "owner",
    attempt: 1,
    rooms: [],
    failed: fail,
  });
  for (const room of rooms) await createRoom(owner, room, users);
  const publishers: Publisher[] = [];
  for (const [at, user] of users.entries()) {
    const slots = Math.min(MOST_PER_SESSION, concurrency - at * MOST_PER_SESSION);
    publishers.push(await openPublisher(await tokens(user), user, slots));
  }
  return {
    latencies,
    start() {
      for (const publisher of publishers) publisher.start();
    },
    stop() {
      stopped = true;
      owner.destroy();
      for (const publisher of publishers) publisher.session.destroy();
    },
    problem: () => problem,
  };

  async function openPublisher(token: string, user: string, count: number): Promise<Publisher> {
    const sentAt = new Float64Array(count);
    let slots: readonly PublishSlot[] = [];
    let n = 0;
    const session = await openSession(dial, {
      token,
      deviceId: user,
      attempt: 1,
      rooms: [],
      raw(buffer, start, end) {
        const slot = answeredSlot(buffer, start, end);
        if (slot < 0) return false;
        latencies.record(performance.now() - (sentAt[slot] ?? 0));
        publish(slot);
        return true;
      },
      failed: fail,
    });
    slots = Array.from({ length: count }, (_, slot) =>
      createPublishSlot(session.wire, slot, rooms[slot % rooms.length] ?? "", `${user}-`),
    );

    function publish(slot: number): void {
      const frame = slots[slot]?.frame(n++);
      if (frame === undefined || stopped) return;
      session.wire.cork();
      sentAt[slot] = performance.now();
      session.wire.write(frame);
    }

    return {
      session,
      start() {
        for (let slot = 0; slot < count; slot++) publish(slot);
      },
    };
  }
}

interface Publisher {
  readonly session: Session;
  readonly start: () => void;
}
