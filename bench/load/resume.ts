// The load of `resume`: everybody's connection is cut at once, the room goes on without them, then all come back at once.

import { create } from "@bufbuild/protobuf";
import { type Position, PositionSchema } from "../../src/gen/trunkline/v1/message_pb.js";
import { answeredSlot, createPublishSlot } from "../client/publish.js";
import { createRoom } from "../client/rooms.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens } from "../client/tokens.js";
import { type Dial, dialBinary } from "../client/wire.js";
import { cpuMicros } from "../process/proc.js";
import { quantile } from "../stats.js";
import type { TrunklineTarget } from "../target.js";
import { EventWalker } from "../wire/walk.js";
import { createReadBuffer } from "../wire/websocket.js";
import { mapPooled } from "./pool.js";

export interface ResumeInput {
  readonly target: TrunklineTarget;
  readonly sessions: number;
  /** Events published while they are away. */
  readonly behind: number;
  /** How long to wait for the last one. */
  readonly deadlineMs: number;
}

export interface ResumeOutcome {
  /** From the moment all start to connect until a session has everything it missed. */
  readonly caughtUpP50Ms: number;
  readonly caughtUpP95Ms: number;
  readonly caughtUpMaxMs: number;
  readonly lost: number;
  readonly doubled: number;
  readonly cpuMsPerSession: number;
}

const ROOM = "resume";
const CONNECTING_AT_ONCE = 100;

interface Away {
  readonly token: string;
  readonly user: string;
  readonly session: Session;
  readonly position: Position;
}

export async function runResume(input: ResumeInput): Promise<ResumeOutcome> {
  const { target, sessions, behind } = input;
  const tokens = await createTokens(target.keyFile);
  const dial = dialBinary({ port: target.webPort, readBuffer: createReadBuffer() });
  const users = Array.from({ length: sessions }, (_, at) => `member-${at}`);
  const publisher = await openPublisher(dial, await tokens("publisher"));
  await createRoom(publisher.session, ROOM, users);
  await publisher.publish(0, behind);

  const away = await mapPooled(sessions, CONNECTING_AT_ONCE, async (at): Promise<Away> => {
    const user = users[at] ?? "";
    const token = await tokens(user);
    const session = await openSession(dial, {
      token,
      deviceId: `device-${at}`,
      attempt: 1,
      rooms: [{ roomId: ROOM }],
      failed: ignore,
    });
    const top = session.subscribed[0]?.top;
    if (top === undefined) throw new Error("a room was subscribed without its top");
    return { token, user, session, position: create(PositionSchema, { seq: top.seq, tag: top.tag }) };
  });
  for (const { session } of away) session.destroy();
  await publisher.publish(behind, behind);

  const cpuBefore = cpuMicros(target.pid);
  const back = await comeBack(dial, away, behind, input.deadlineMs);
  const cpuAfter = cpuMicros(target.pid);
  publisher.session.destroy();
  return {
    caughtUpP50Ms: quantile(back.durations, 0.5),
    caughtUpP95Ms: quantile(back.durations, 0.95),
    caughtUpMaxMs: quantile(back.durations, 1),
    lost: back.lost,
    doubled: back.doubled,
    cpuMsPerSession: (cpuAfter - cpuBefore) / 1000 / sessions,
  };
}

interface Back {
  readonly durations: readonly number[];
  readonly lost: number;
  readonly doubled: number;
}

async function comeBack(dial: Dial, away: readonly Away[], behind: number, deadlineMs: number): Promise<Back> {
  const walker = new EventWalker();
  const done = Promise.withResolvers<void>();
  const durations: number[] = [];
  const opened: Session[] = [];
  let doubled = 0;
  let lost = 0;
  let closing = false;
  const deadline = setTimeout(
    () => done.reject(new Error(`${durations.length} of ${away.length} are back after ${deadlineMs} ms`)),
    deadlineMs,
  );
  const startedAt = performance.now();
  const opening = away.map(async ({ token, position }, at) => {
    let next = position.seq + 1;
    const target = position.seq + behind;
    opened.push(
      await openSession(dial, {
        token,
        deviceId: `device-${at}`,
        attempt: 2,
        rooms: [{ roomId: ROOM, after: position }],
        events(buffer, start, end) {
          if (!walker.walk(buffer, start, end) || walker.count === 0) return;
          doubled += Math.max(0, Math.min(next - walker.first, walker.count));
          if (!walker.dense || walker.first > next) lost += Math.max(1, walker.first - next);
          const last = walker.first + walker.count - 1;
          if (last >= target && next <= target) {
            durations.push(performance.now() - startedAt);
            if (durations.length === away.length) done.resolve();
          }
          next = Math.max(next, last + 1);
        },
        failed: (reason) => {
          if (!closing) done.reject(new Error(`session ${at}: ${reason}`));
        },
      }),
    );
  });
  try {
    await Promise.all([done.promise, ...opening]);
  } finally {
    clearTimeout(deadline);
    closing = true;
    for (const session of opened) session.destroy();
  }
  return { durations, lost, doubled };
}

interface Publisher {
  readonly session: Session;
  /** Publishes messages `from` to before `from + count`; resolves when all are stored. */
  readonly publish: (from: number, count: number) => Promise<void>;
}

async function openPublisher(dial: Dial, token: string): Promise<Publisher> {
  let answered: (() => void) | undefined;
  let failed: ((reason: string) => void) | undefined;
  const session = await openSession(dial, {
    token,
    deviceId: "publisher",
    attempt: 1,
    rooms: [],
    raw(buffer, start, end) {
      if (answeredSlot(buffer, start, end) < 0) return false;
      answered?.();
      return true;
    },
    failed: (reason) => failed?.(reason),
  });
  const slot = createPublishSlot(session.wire, 0, ROOM, "m-");
  return {
    session,
    async publish(from, count) {
      for (let n = from; n < from + count; n++) {
        await new Promise<void>((resolve, reject) => {
          answered = resolve;
          failed = (reason) => reject(new Error(`publisher: ${reason}`));
          session.wire.write(slot.frame(n));
        });
      }
    },
  };
}

function ignore(): void {}
