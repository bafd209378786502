// The load of `publish`: a closed loop of N publishes without an answer, each answered one followed by the next.

import { setTimeout as pause } from "node:timers/promises";
import { answeredSlot, createPublishSlot, type PublishSlot } from "../client/publish.js";
import { createRoom } from "../client/rooms.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens } from "../client/tokens.js";
import { type Dial, dialBinary, dialGrpc } from "../client/wire.js";
import { cpuMicros } from "../process/proc.js";
import { LatencyHistogram } from "../stats.js";
import type { TrunklineTarget } from "../target.js";
import { connectHttp2 } from "../wire/grpc.js";
import { createReadBuffer } from "../wire/websocket.js";

export interface PublishInput {
  /** Sessions go to them in turn; one, or the nodes of a cluster. */
  readonly targets: readonly TrunklineTarget[];
  /** Processes beside them whose CPU is counted: the services of a cluster. */
  readonly beside: readonly number[];
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
  /** Of all targets together. */
  readonly cpuUsPerAck: number;
  /** Of each process beside them. */
  readonly besideCpuUsPerAck: readonly number[];
  readonly generatorCpu: number;
}

/** The server's limit of requests in flight. */
const MOST_PER_SESSION = 64;

export async function runPublish(input: PublishInput): Promise<PublishOutcome> {
  const load = await openLoad(input);
  load.start();
  await pause(input.warmupMs);
  load.latencies.clear();
  const before = snapshot(input);
  await pause(input.windowMs);
  const after = snapshot(input);
  const acks = load.latencies.total;
  load.stop();
  const problem = load.problem();
  if (problem !== undefined) throw new Error(problem);
  return {
    acksPerS: (acks * 1000) / (after.at - before.at),
    latencyP50Ms: load.latencies.quantile(0.5),
    latencyP99Ms: load.latencies.quantile(0.99),
    cpuUsPerAck: (after.serverCpu - before.serverCpu) / acks,
    besideCpuUsPerAck: after.besideCpu.map((cpu, at) => (cpu - (before.besideCpu[at] ?? 0)) / acks),
    generatorCpu: (after.ownCpu - before.ownCpu) / 1000 / (after.at - before.at),
  };
}

function snapshot({ targets, beside }: PublishInput) {
  return {
    at: performance.now(),
    serverCpu: targets.reduce((sum, { pid }) => sum + cpuMicros(pid), 0),
    besideCpu: beside.map(cpuMicros),
    ownCpu: cpuMicros(process.pid),
  };
}

interface Load {
  /** Of each answer since it was last cleared. */
  readonly latencies: LatencyHistogram;
  start(): void;
  stop(): void;
  problem(): string | undefined;
}

async function openLoad(input: PublishInput): Promise<Load> {
  const { targets, concurrency } = input;
  const [first] = targets;
  if (first === undefined) throw new Error("there is no target");
  const latencies = new LatencyHistogram();
  const tokens = await createTokens(first.keyFile);
  const readBuffer = createReadBuffer();
  const users = Array.from({ length: Math.ceil(concurrency / MOST_PER_SESSION) }, (_, at) => `publisher-${at}`);
  const rooms = Array.from({ length: input.rooms }, (_, at) => `publish-${at}`);
  const dialTo = (target = first): Dial =>
    input.transport === "grpc"
      ? dialGrpc(() => connectHttp2(target.grpcPort))
      : dialBinary({ port: target.webPort, readBuffer });
  let problem: string | undefined;
  let stopped = false;
  const fail = (reason: string) => {
    if (!stopped) problem ??= reason;
  };

  const owner = await openSession(dialTo(first), {
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
    publishers.push(await openPublisher(dialTo(targets[at % targets.length]), await tokens(user), user, slots));
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

  async function openPublisher(dial: Dial, token: string, user: string, count: number): Promise<Publisher> {
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
