// The load of `cluster` while a node goes: rooms in which somebody speaks at one node, each message once the last is stored; and how long the
// longest of them took.

import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { PublishSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { createRoom } from "../client/rooms.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens, type Tokens } from "../client/tokens.js";
import { dialBinary } from "../client/wire.js";
import { quantile } from "../stats.js";
import type { TrunklineTarget } from "../target.js";
import { createReadBuffer } from "../wire/websocket.js";

export interface SilenceInput {
  /** Where everybody speaks. It stays. */
  readonly at: TrunklineTarget;
  /** The process that goes, and the signal that ends it. */
  readonly goes: number;
  readonly signal: "SIGTERM" | "SIGKILL";
  /** Begins the names of the rooms. */
  readonly name: string;
  readonly rooms: number;
  /** How long is spoken before, and after. */
  readonly beforeMs: number;
  readonly afterMs: number;
}

export interface SilenceOutcome {
  /** The longest message of all. */
  readonly longestMs: number;
  /** Of the rooms that noticed, of each its longest message: at the median. */
  readonly medianMs: number;
  /** Rooms in which a message took longer than any before. */
  readonly noticed: number;
}

/** Between an answer and the next message of the room, and between a refusal and the next try, in milliseconds. */
const BETWEEN_MS = 50;

export async function runSilence(input: SilenceInput): Promise<SilenceOutcome> {
  const tokens = await createTokens(input.at.keyFile);
  const rooms: SpokenRoom[] = [];
  for (let at = 0; at < input.rooms; at++) rooms.push(await openRoom(input, tokens, `${input.name}-${at}`));
  const speaking = rooms.map((room) => room.speak());
  await pause(input.beforeMs);
  const before = Math.max(...rooms.map((room) => room.longest()));
  process.kill(input.goes, input.signal);
  await pause(input.afterMs);
  for (const room of rooms) room.stop();
  await Promise.all(speaking);
  const longest = rooms.map((room) => room.longest());
  const noticed = longest.filter((ms) => ms > before);
  return { longestMs: Math.max(...longest), medianMs: quantile(noticed, 0.5), noticed: noticed.length };
}

interface SpokenRoom {
  /** Resolves once the last message after `stop` is stored. */
  speak(): Promise<void>;
  stop(): void;
  /** From the first try of a message to its answer, the longest since it was last asked, in milliseconds. */
  longest(): number;
}

async function openRoom({ at }: SilenceInput, tokens: Tokens, roomId: string): Promise<SpokenRoom> {
  const session = await openSession(dialBinary({ port: at.webPort, readBuffer: createReadBuffer() }), {
    token: await tokens(roomId),
    deviceId: "speaker",
    attempt: 1,
    rooms: [],
    failed: (reason) => {
      throw new Error(`${roomId}: ${reason}`);
    },
  });
  await createRoom(session, roomId, []);
  let stopped = false;
  let longest = 0;
  let begun = Number.POSITIVE_INFINITY;
  return {
    async speak() {
      for (let n = 0; !stopped; n++) {
        begun = performance.now();
        await publish(session, roomId, n);
        longest = Math.max(longest, performance.now() - begun);
        begun = Number.POSITIVE_INFINITY;
        await pause(BETWEEN_MS);
      }
      session.destroy();
    },
    stop() {
      stopped = true;
    },
    longest() {
      const found = Math.max(longest, performance.now() - begun);
      longest = 0;
      return found;
    },
  };
}

/** Resolves once it is stored, however often it is refused. */
async function publish(session: Session, roomId: string, n: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const value = create(PublishSchema, {
      roomId,
      clientMessageId: `m-${n}`,
      attempt,
      body: { kind: { case: "text", value: "is anybody there?" } },
    });
    try {
      await session.ask({ case: "publish", value });
      return;
    } catch {
      await pause(BETWEEN_MS);
    }
  }
}
