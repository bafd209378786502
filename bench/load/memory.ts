// The load of `memory`: ten thousand connections that do nothing, each in one room of ten, and what they cost the server.

import { setTimeout as pause } from "node:timers/promises";
import { connectPeer } from "../client/peer.js";
import { createRoom } from "../client/rooms.js";
import { openSession } from "../client/session.js";
import { createTokens } from "../client/tokens.js";
import { dialBinary } from "../client/wire.js";
import { collectedBytes } from "../process/collected.js";
import { residentBytes } from "../process/proc.js";
import type { PeerTarget, Target, TrunklineTarget } from "../target.js";
import { createReadBuffer } from "../wire/websocket.js";
import { mapPooled } from "./pool.js";

export interface MemoryInput {
  readonly target: Target;
  readonly sessions: number;
  readonly settleMs: number;
}

export interface MemoryOutcome {
  /** Resident memory per session after a full garbage collection. */
  readonly rssKibPerSession: number;
  /** The same before that collection: what they cost while they come. */
  readonly rssUncollectedKibPerSession: number;
}

const ROOM_SIZE = 10;
const CONNECTING_AT_ONCE = 50;
/** Sessions that come and go before the first measurement, so that the server's code and pools are not charged to the others. */
const WARMUP_SESSIONS = 500;
/** Ports of one source address run out at about 28,000; those of earlier runs are still in TIME_WAIT. */
const SESSIONS_PER_ADDRESS = 5_000;

interface Idle {
  destroy(): void;
}

export async function runMemory(input: MemoryInput): Promise<MemoryOutcome> {
  const { target } = input;
  let problem: string | undefined;
  let closing = false;
  const fail = (reason: string) => {
    if (!closing) problem ??= reason;
  };
  const open =
    target.kind === "trunkline" ? await openTrunkline(target, input.sessions, fail) : openPeers(target, fail);

  const warmup = await mapPooled(Math.min(WARMUP_SESSIONS, input.sessions), CONNECTING_AT_ONCE, open);
  for (const session of warmup) session.destroy();
  await settle();
  const before = await collectedBytes(target.pid, input.settleMs);

  const sessions = await mapPooled(input.sessions, CONNECTING_AT_ONCE, open);
  await settle();
  const uncollected = residentBytes(target.pid);
  const after = await collectedBytes(target.pid, input.settleMs);

  if (problem !== undefined) throw new Error(problem);
  closing = true;
  for (const session of sessions) session.destroy();
  return {
    rssKibPerSession: (after - before) / 1024 / input.sessions,
    rssUncollectedKibPerSession: (uncollected - before) / 1024 / input.sessions,
  };

  async function settle(): Promise<void> {
    await pause(input.settleMs);
  }
}

type Open = (index: number) => Promise<Idle>;

async function openTrunkline(target: TrunklineTarget, sessions: number, fail: (reason: string) => void): Promise<Open> {
  const tokens = await createTokens(target.keyFile);
  const readBuffer = createReadBuffer();
  const owner = await openSession(dialBinary({ port: target.webPort, readBuffer }), {
    token: await tokens("user-0"),
    deviceId: "owner",
    attempt: 1,
    rooms: [],
    failed: fail,
  });
  const rooms = Math.ceil(sessions / ROOM_SIZE);
  await mapPooled(rooms, 32, (room) =>
    createRoom(
      owner,
      `room-${room}`,
      Array.from({ length: ROOM_SIZE }, (_, at) => `user-${room * ROOM_SIZE + at}`).filter((user) => user !== "user-0"),
    ),
  );
  owner.destroy();
  let attempt = 0;
  return async (index) =>
    openSession(dialBinary({ port: target.webPort, readBuffer, localAddress: addressOf(index) }), {
      token: await tokens(`user-${index}`),
      deviceId: `device-${index}`,
      attempt: ++attempt,
      rooms: [{ roomId: `room-${Math.floor(index / ROOM_SIZE)}` }],
      failed: (reason) => fail(`session ${index}: ${reason}`),
    });
}

function openPeers(target: PeerTarget, fail: (reason: string) => void): Open {
  const readBuffer = createReadBuffer();
  return (index) =>
    connectPeer(target, {
      room: `room-${Math.floor(index / ROOM_SIZE)}`,
      readBuffer,
      localAddress: addressOf(index),
      message: () => undefined,
      closed: (reason) => fail(`connection ${index}: ${reason}`),
    });
}

function addressOf(index: number): string {
  return `127.0.0.${2 + Math.floor(index / SESSIONS_PER_ADDRESS)}`;
}
