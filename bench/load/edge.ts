// The load of `edge`: a crowd of connections to one bridge, in a process of its own because none may hold all of them. All crowds go by
// one clock, the system's monotonic one.

import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { RoomKind } from "../../src/gen/trunkline/v1/message_pb.js";
import { PublishSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { openPublisher, type Publisher } from "../client/publisher.js";
import { createRoom } from "../client/rooms.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens, type Tokens } from "../client/tokens.js";
import { type Dial, dialBinary } from "../client/wire.js";
import type { TrunklineTarget } from "../target.js";
import { messageText } from "../wire/message-text.js";
import { createReadBuffer } from "../wire/websocket.js";
import {
  CHANNEL,
  type Crowd,
  memberAt,
  membersOf,
  ROOM_SIZE,
  receiversOf,
  roomName,
  roomOf,
  roomOfMessage,
  sizeOf,
  speakerOf,
  userOf,
} from "./edge-rooms.js";
import { EdgeWatch } from "./edge-watch.js";
import { pace, type Schedule } from "./pace.js";
import { mapPooled } from "./pool.js";
import { waitUntil } from "./until.js";

export interface EdgeInput extends Crowd {
  /** Where this crowd connects, and the key of its tokens. */
  readonly target: Pick<TrunklineTarget, "webPort" | "keyFile">;
}

export interface EdgePhase {
  /** When message 0 of either kind is due, by the system's monotonic clock, in milliseconds. */
  readonly startAt: number;
  /** Messages a second: in the channel, and over all small rooms. */
  readonly channelRate: number;
  readonly roomsRate: number;
  /** How many of them come before those that are measured, in milliseconds, and for how long those do. */
  readonly warmupMs: number;
  readonly windowMs: number;
  /** How long to wait for what is still on its way at the end. */
  readonly graceMs: number;
  /** The window begins and ends so much earlier than its messages, in milliseconds: nothing of the channel is under way then. */
  readonly boundaryMs: number;
}

/** What one crowd got in a phase. */
export interface EdgeFigures {
  /** Within the window, whenever they were due. */
  readonly deliveries: number;
  readonly channel: ArrivalFigures;
  readonly rooms: ArrivalFigures;
}

export interface ArrivalFigures {
  /** Deliveries of measured messages: due, and arrived by the end of the grace. */
  readonly due: number;
  readonly arrived: number;
  /** What LatencyHistogram.add takes. */
  readonly latencies: readonly number[];
}

const CONNECTING_AT_ONCE = 30;
/** A hello that is refused while everybody connects is said again, as clients do. */
const HELLOS = 5;
const AGAIN_MS = 500;
/** Sessions that come and go before memory is measured, so that code and pools are not charged to the others. */
const WARMUP_SESSIONS = 500;
/** Ports of one source address run out at about 28,000; those of earlier runs are still in TIME_WAIT. */
const SESSIONS_PER_ADDRESS = 5_000;

/** The system's monotonic clock, in milliseconds: the same for all processes. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class EdgeCrowd {
  readonly #input: EdgeInput;
  readonly #tokens: Tokens;
  readonly #watch: EdgeWatch;
  readonly #readBuffer = createReadBuffer();
  #attempt = 0;
  #publisher: Publisher | undefined;
  #sessions: readonly Session[] = [];
  /** Messages so far: each has a number of its own, and with it a key. */
  #saidInChannel = 0;
  #saidInRooms = 0;

  private constructor(input: EdgeInput, tokens: Tokens) {
    this.#input = input;
    this.#tokens = tokens;
    this.#watch = new EdgeWatch(sizeOf(input));
  }

  static async of(input: EdgeInput): Promise<EdgeCrowd> {
    return new EdgeCrowd(input, await createTokens(input.target.keyFile));
  }

  /** Makes this crowd's share of the rooms; the first one makes the channel too. */
  async prepare(): Promise<void> {
    const { crowd, crowds, members } = this.#input;
    const dial = this.#dialFrom(0);
    const host = await openSession(dial, {
      token: await this.#tokens(`host-${crowd}`),
      deviceId: "host",
      attempt: 1,
      rooms: [],
      failed: this.#watch.fail,
    });
    const share = Array.from({ length: members / ROOM_SIZE }, (_, room) => room).filter(
      (room) => room % crowds === crowd,
    );
    await mapPooled(share.length, host.maxInFlight, (at) => {
      const room = share[at] ?? 0;
      return createRoom(host, roomName(room), membersOf(room).map(userOf));
    });
    host.destroy();
    if (crowd === 0) {
      this.#publisher = await openPublisher(dial, await this.#tokens("publisher"), CHANNEL, this.#watch.fail);
      const users = Array.from({ length: members }, (_, member) => userOf(member));
      await createRoom(this.#publisher.session, CHANNEL, users, RoomKind.CHANNEL);
    }
    this.#check();
  }

  /** Connects some, and cuts them. */
  async warm(): Promise<void> {
    const count = Math.min(WARMUP_SESSIONS, sizeOf(this.#input));
    for (const session of await mapPooled(count, CONNECTING_AT_ONCE, (at) => this.#open(at))) session.destroy();
    this.#check();
  }

  async open(): Promise<void> {
    this.#sessions = await mapPooled(sizeOf(this.#input), CONNECTING_AT_ONCE, (at) => this.#open(at));
    this.#check();
  }

  /** Says its share of the messages, and gets what all say. Rejects where something is missing, doubled or out of order. */
  async run(phase: EdgePhase): Promise<EdgeFigures> {
    const { channelRate, roomsRate, warmupMs, windowMs, graceMs } = phase;
    const boundaryMs = warmupMs - phase.boundaryMs;
    const { channel, rooms } = this.#watch;
    const startAt = phase.startAt - monotonicMs() + performance.now();
    const ofRate = (rate: number): Schedule => ({
      startAt,
      intervalMs: rate === 0 ? 1 : 1000 / rate,
      count: Math.round(((warmupMs + windowMs) * rate) / 1000),
    });
    const before = (rate: number) => Math.round((warmupMs * rate) / 1000);
    const [inChannel, inRooms] = [ofRate(channelRate), ofRate(roomsRate)];
    const [channelFrom, roomsFrom] = [this.#saidInChannel, this.#saidInRooms];
    this.#saidInChannel += inChannel.count;
    this.#saidInRooms += inRooms.count;
    channel.begin({ from: channelFrom, schedule: inChannel, windowFrom: channelFrom + before(channelRate) });
    rooms.begin({ from: roomsFrom, schedule: inRooms, windowFrom: roomsFrom + before(roomsRate) });

    const all = this.#dueInRooms(roomsFrom, this.#saidInRooms);
    const due = {
      channel: (inChannel.count - before(channelRate)) * sizeOf(this.#input),
      rooms: this.#dueInRooms(roomsFrom + before(roomsRate), this.#saidInRooms),
    };
    const expected = this.#deliveries + inChannel.count * sizeOf(this.#input) + all;
    const publisher = this.#publisher;
    const sending = Promise.all([
      publisher === undefined ? undefined : pace(inChannel, (n) => publisher.publish(channelFrom + n)),
      pace(inRooms, (n) => this.#say(roomsFrom + n)),
    ]);
    await pause(startAt + boundaryMs - performance.now());
    const atStart = this.#deliveries;
    await pause(startAt + boundaryMs + windowMs - performance.now());
    const deliveries = this.#deliveries - atStart;
    await sending;
    await waitUntil(() => this.#watch.failed !== undefined || this.#deliveries >= expected, graceMs);
    this.#check();
    if (this.#deliveries !== expected) throw new Error(`${expected - this.#deliveries} deliveries are missing`);
    return {
      deliveries,
      channel: { due: due.channel, arrived: channel.measured, latencies: channel.latencies.counted() },
      rooms: { due: due.rooms, arrived: rooms.measured, latencies: rooms.latencies.counted() },
    };
  }

  get #deliveries(): number {
    return this.#watch.channel.deliveries + this.#watch.rooms.deliveries;
  }

  #dueInRooms(from: number, to: number): number {
    let due = 0;
    for (let n = from; n < to; n++) due += receiversOf(this.#input, n);
    return due;
  }

  /** Says message `n` of the small rooms, if its speaker is of this crowd. */
  #say(n: number): void {
    const { crowd, crowds } = this.#input;
    const speaker = speakerOf(this.#input, n);
    if (speaker % crowds !== crowd) return;
    const value = create(PublishSchema, {
      roomId: roomName(roomOfMessage(this.#input, n)),
      clientMessageId: `m-${n}`,
      attempt: 1,
      body: { kind: { case: "text", value: messageText(n) } },
    });
    this.#sessions[Math.floor(speaker / crowds)]
      ?.ask({ case: "publish", value })
      .catch((error: unknown) => this.#watch.fail(`message ${n}: ${String(error)}`));
  }

  async #open(at: number): Promise<Session> {
    for (let left = HELLOS - 1; ; left--) {
      try {
        return await this.#connect(at);
      } catch (error) {
        if (left === 0) throw error;
        await pause(AGAIN_MS);
      }
    }
  }

  async #connect(at: number): Promise<Session> {
    const watch = this.#watch;
    let open = false;
    const member = memberAt(this.#input, at);
    const room = roomName(roomOf(member));
    const session = await openSession(this.#dialFrom(at), {
      token: await this.#tokens(userOf(member)),
      deviceId: `device-${member}`,
      attempt: ++this.#attempt,
      rooms: [{ roomId: CHANNEL }, { roomId: room }],
      events: (buffer, start, end) => watch.received(at, buffer, start, end),
      failed(reason) {
        if (open) watch.fail(`member ${member}: ${reason}`);
      },
    });
    open = true;
    for (const { roomId, top } of session.subscribed) {
      const arrivals = roomId === CHANNEL ? watch.channel : watch.rooms;
      arrivals.subscribed(at, top?.seq ?? 0);
    }
    return session;
  }

  #dialFrom(at: number): Dial {
    const { target, crowd } = this.#input;
    const localAddress = `127.0.${1 + crowd}.${2 + Math.floor(at / SESSIONS_PER_ADDRESS)}`;
    return dialBinary({ port: target.webPort, readBuffer: this.#readBuffer, localAddress });
  }

  #check(): void {
    if (this.#watch.failed !== undefined) throw new Error(this.#watch.failed);
  }
}
