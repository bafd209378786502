// Sessions that send chat messages, spread over nodes and rooms: each message is sent again under its key until it is acknowledged.

import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { ErrorCode } from "../../src/gen/trunkline/v1/error_pb.js";
import { PublishSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { answeredSlot, FIRST_REF } from "../client/publish.js";
import { createRoom } from "../client/rooms.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens } from "../client/tokens.js";
import { clientFrame, dialBinary } from "../client/wire.js";
import { LatencyHistogram } from "../stats.js";
import type { TrunklineTarget } from "../target.js";
import { chatText } from "../wire/chat-text.js";
import { createReadBuffer } from "../wire/websocket.js";
import { mapPooled } from "./pool.js";

export interface IngestInput {
  /** Sessions go to them in turn; their CPU is counted. */
  readonly targets: readonly TrunklineTarget[];
  /** Processes beside them whose CPU is counted: the services. */
  readonly beside: readonly number[];
  /** Begins the names of the rooms: of several loads on one cluster each has its own. */
  readonly prefix: string;
  readonly rooms: number;
  /** Messages a second; undefined: the next one whenever one is answered. */
  readonly rate: number | undefined;
  /** Publishes without an answer, over all sessions, at most. */
  readonly concurrency: number;
  /** When to begin, a time of the epoch; undefined: once the rooms are there. */
  readonly beginAt?: number;
  readonly warmupMs: number;
  readonly windowMs: number;
  /** How long to wait for the last answers. */
  readonly graceMs: number;
}

export const SLICE_MS = 100;
/** The server's limit of requests in flight. */
const MOST_PER_SESSION = 64;
const LEAST_SESSIONS = 4;
/** Where a refusal names no wait. */
const RETRY_MS = 500;
/** Of what is done before messages are sent. */
const MOST_TRIES = 20;
const ROOMS_AT_ONCE = 8;

export interface Ingest {
  /** Of each acknowledgement since it was last cleared. */
  readonly latencies: LatencyHistogram;
  readonly refusals: ReadonlyMap<string, number>;
  readonly slices: readonly number[];
  start(beganAt: number): void;
  /** Message `n`, that was due then. */
  publish(n: number, due: number): void;
  /** Nothing new is sent. */
  finish(): void;
  acked(): number;
  unanswered(): number;
  problem(): string | undefined;
  close(): void;
}

/** A message on its way. */
interface Message {
  readonly n: number;
  readonly due: number;
  attempt: number;
}

interface Sender {
  readonly session: Session;
  readonly user: string;
  /** By slot, what is on its way; undefined: the slot is free. */
  readonly slots: (Message | undefined)[];
  readonly free: number[];
  readonly waiting: Message[];
}

export async function openIngest(input: IngestInput): Promise<Ingest> {
  const { targets, concurrency, prefix, rate } = input;
  const [first] = targets;
  if (first === undefined) throw new Error("there is no target");
  const tokens = await createTokens(first.keyFile);
  const readBuffer = createReadBuffer();
  const latencies = new LatencyHistogram();
  const refusals = new Map<string, number>();
  const slices: number[] = [];
  const rooms = Array.from({ length: input.rooms }, (_, at) => `${prefix}-${at}`);
  const count = Math.max(LEAST_SESSIONS, Math.ceil(concurrency / MOST_PER_SESSION));
  const users = Array.from({ length: count }, (_, at) => `${prefix}-user-${at}`);
  const slotsEach = Math.ceil(concurrency / count);
  const retries = new Set<NodeJS.Timeout>();
  let beganAt = 0;
  let next = 0;
  let acked = 0;
  let unanswered = 0;
  let finished = false;
  let problem: string | undefined;
  let closed = false;
  const fail = (reason: string) => {
    if (!closed) problem ??= reason;
  };

  const owner = await openSession(dialTo(first), {
    token: await tokens(`${prefix}-owner`),
    deviceId: "owner",
    attempt: 1,
    rooms: [],
    failed: (reason) => fail(`owner: ${reason}`),
  });
  await mapPooled(rooms.length, ROOMS_AT_ONCE, (at) => insist(() => createRoom(owner, rooms[at] ?? "", users)));
  const senders: Sender[] = [];
  for (const [at, user] of users.entries()) senders.push(await openSender(targets[at % targets.length] ?? first, user));

  return {
    latencies,
    refusals,
    slices,
    start(at) {
      beganAt = at;
      if (rate !== undefined) return;
      for (const sender of senders) for (let slot = 0; slot < slotsEach; slot++) more(sender);
    },
    publish(n, due) {
      const sender = senders[n % senders.length];
      if (sender !== undefined && problem === undefined) submit(sender, { n, due, attempt: 1 });
    },
    finish: () => {
      finished = true;
    },
    acked: () => acked,
    unanswered: () => unanswered,
    problem: () => problem,
    close() {
      closed = true;
      for (const timer of retries) clearTimeout(timer);
      owner.destroy();
      for (const { session } of senders) session.destroy();
    },
  };

  /** Nodes may be settling who owns what. */
  async function insist(make: () => Promise<void>): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await make();
      } catch (error) {
        if (tries === MOST_TRIES) throw error;
        await pause(RETRY_MS);
      }
    }
  }

  function dialTo(target: TrunklineTarget) {
    return dialBinary({ port: target.webPort, readBuffer });
  }

  async function openSender(target: TrunklineTarget, user: string): Promise<Sender> {
    const session = await openSession(dialTo(target), {
      token: await tokens(user),
      deviceId: "sender",
      attempt: 1,
      rooms: [],
      raw(buffer, start, end) {
        const slot = answeredSlot(buffer, start, end);
        if (slot < 0) return false;
        accepted(sender, slot);
        return true;
      },
      refused(ref, { code, retryAfterMs }) {
        const slot = ref - FIRST_REF;
        if (sender.slots[slot] === undefined) return false;
        const name = ErrorCode[code] ?? `${code}`;
        refusals.set(name, (refusals.get(name) ?? 0) + 1);
        const timer = setTimeout(() => {
          retries.delete(timer);
          send(sender, slot);
        }, retryAfterMs ?? RETRY_MS);
        retries.add(timer);
        return true;
      },
      failed: (reason) => fail(`${user}: ${reason}`),
    });
    const free = Array.from({ length: Math.min(slotsEach, session.maxInFlight) }, (_, slot) => slot);
    const sender: Sender = { session, user, slots: [], free, waiting: [] };
    return sender;
  }

  /** The next message of a closed loop. */
  function more(sender: Sender): void {
    submit(sender, { n: next++, due: performance.now(), attempt: 1 });
  }

  function submit(sender: Sender, message: Message): void {
    unanswered++;
    sender.waiting.push(message);
    flush(sender);
  }

  function flush(sender: Sender): void {
    while (sender.waiting.length > 0) {
      const slot = sender.free.pop();
      if (slot === undefined) return;
      sender.slots[slot] = sender.waiting.shift();
      send(sender, slot);
    }
  }

  function send({ session, user, slots }: Sender, slot: number): void {
    const message = slots[slot];
    if (message === undefined || closed) return;
    const { n } = message;
    const value = create(PublishSchema, {
      roomId: rooms[n % rooms.length] ?? "",
      clientMessageId: `${user}-${n}`,
      attempt: message.attempt++,
      body: { kind: { case: "text", value: chatText(n) } },
    });
    session.wire.cork();
    session.wire.write(session.wire.encode(clientFrame(FIRST_REF + slot, { case: "publish", value })));
  }

  function accepted(sender: Sender, slot: number): void {
    const message = sender.slots[slot];
    if (message === undefined) {
      fail(`${sender.user}: an answer to nothing`);
      return;
    }
    latencies.record(performance.now() - message.due);
    const slice = Math.max(0, Math.floor((Date.now() - beganAt) / SLICE_MS));
    while (slices.length <= slice) slices.push(0);
    slices[slice] = (slices[slice] ?? 0) + 1;
    acked++;
    unanswered--;
    sender.slots[slot] = undefined;
    sender.free.push(slot);
    if (rate === undefined && !finished) more(sender);
    else flush(sender);
  }
}
