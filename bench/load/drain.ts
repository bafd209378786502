// The load of `drain`: connected clients that chat while their server is restarted, and come back as the contract says.

import { kill } from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { create, fromBinary } from "@bufbuild/protobuf";
import { judge } from "../../bridge/client/session/verdict.js";
import type { Position } from "../../src/gen/trunkline/v1/message_pb.js";
import { PublishSchema, ServerFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { createRoom } from "../client/rooms.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens, type Tokens } from "../client/tokens.js";
import { type Dial, dialBinary } from "../client/wire.js";
import type { TrunklineTarget } from "../target.js";
import { messageText } from "../wire/message-text.js";
import { createReadBuffer } from "../wire/websocket.js";
import { pace } from "./pace.js";
import { mapPooled } from "./pool.js";
import { Absences, type RestartOutcome, SeqLedger } from "./restart-figures.js";

export interface DrainInput {
  /** The server that is told to leave; another one takes its port. */
  readonly target: TrunklineTarget;
  readonly clients: number;
  readonly messagesPerSecond: number;
  /** How long everybody talks: before the restart, and after it has begun. */
  readonly beforeMs: number;
  readonly talkingMs: number;
  /** From the end of talking until the last must be back and have everything. */
  readonly deadlineMs: number;
}

export const ROOM_SIZE = 10;
const CONNECTING_AT_ONCE = 50;
/** Ports of one source address run out at about 28,000, and those of earlier runs are still in TIME_WAIT. */
const CLIENTS_PER_ADDRESS = 5_000;
/** A send that was refused because the server leaves is tried again after so long, or when its client is back. */
const RESEND_MS = 1_000;
const LOOK_MS = 50;

export async function runDrain(input: DrainInput): Promise<RestartOutcome> {
  const { target, clients } = input;
  const tokens = await createTokens(target.keyFile);
  const readBuffer = createReadBuffer();
  const dialFrom = (index: number) =>
    dialBinary({
      port: target.webPort,
      readBuffer,
      // The first are not bound to an address: to find a free port when it binds takes the system several times as long as when it connects.
      ...(index >= CLIENTS_PER_ADDRESS && { localAddress: `127.0.0.${2 + Math.floor(index / CLIENTS_PER_ADDRESS)}` }),
    });
  await createRooms(dialFrom(0), tokens, clients);
  const absences = new Absences();
  const ledger = new SeqLedger();
  const all = await mapPooled(clients, CONNECTING_AT_ONCE, async (index) => {
    const client = new Returning(index, await tokens(`user-${index}`), dialFrom(index), absences, ledger);
    await client.open();
    return client;
  });

  const count = Math.floor(((input.beforeMs + input.talkingMs) / 1_000) * input.messagesPerSecond);
  const restartAt = Math.floor((input.beforeMs / 1_000) * input.messagesPerSecond);
  const schedule = { startAt: performance.now(), intervalMs: 1_000 / input.messagesPerSecond, count };
  await pace(schedule, (n) => {
    // Told to leave by this process, so that none of the messages before is in doubt.
    if (n === restartAt) kill(target.pid, "SIGTERM");
    // A prime step: neighbours speak in different rooms.
    all[(n * 7_919) % clients]?.say(n);
  });
  const deadline = performance.now() + input.deadlineMs;
  const unanswered = () => all.reduce((sum, client) => sum + client.unanswered, 0);
  const indexes = Array.from({ length: clients }, (_, index) => index);
  const outstanding = () =>
    ledger.outstanding(
      indexes.filter((index) => !absences.isAway(index)),
      roomOf,
    );
  const isDone = () => absences.away === 0 && absences.gone >= clients && unanswered() === 0 && outstanding() === 0;
  while (!isDone() && performance.now() < deadline) await pause(LOOK_MS);
  for (const client of all) client.close();
  return {
    ...absences.figures(),
    published: all.reduce((sum, client) => sum + client.published, 0),
    unanswered: unanswered(),
    lost: ledger.lost + outstanding(),
    doubled: ledger.doubled,
  };
}

/** A client that comes back. */
class Returning {
  published = 0;
  readonly #index: number;
  readonly #token: string;
  readonly #dial: Dial;
  readonly #absences: Absences;
  readonly #ledger: SeqLedger;
  readonly #waiting = new Map<number, NodeJS.Timeout | undefined>();
  #session: Session | undefined;
  #position: Position | undefined;
  #attempt = 0;
  #failures = 0;
  #reconnectAfterMs = 0;
  #closed = false;

  constructor(index: number, token: string, dial: Dial, absences: Absences, ledger: SeqLedger) {
    this.#index = index;
    this.#token = token;
    this.#dial = dial;
    this.#absences = absences;
    this.#ledger = ledger;
  }

  get unanswered(): number {
    return this.#waiting.size;
  }

  /** The first time; rejects where there is no session. */
  async open(): Promise<void> {
    const attempt = ++this.#attempt;
    const isCurrent = () => attempt === this.#attempt && !this.#closed;
    const session = await openSession(this.#dial, {
      token: this.#token,
      deviceId: `device-${this.#index}`,
      attempt,
      rooms: [
        { roomId: `room-${roomOf(this.#index)}`, ...(this.#position !== undefined && { after: this.#position }) },
      ],
      events: (buffer, start, end) => this.#told(buffer.subarray(start, end)),
      goodbye: ({ reconnectAfterMs }) => {
        this.#reconnectAfterMs = reconnectAfterMs;
      },
      failed: (reason) => {
        if (isCurrent() && this.#session !== undefined) this.#lost(reason);
      },
    });
    const top = session.subscribed[0]?.top;
    if (this.#position === undefined && top !== undefined) {
      this.#position = top;
      this.#ledger.begins(this.#index, top.seq);
    }
    this.#session = session;
    this.#failures = 0;
    this.#absences.back(this.#index, performance.now());
    for (const n of this.#waiting.keys()) void this.#send(n);
  }

  /** Sends, and sends again until there is an answer. */
  say(n: number): void {
    this.#waiting.set(n, undefined);
    void this.#send(n);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#session?.destroy();
  }

  #told(frame: Uint8Array): void {
    const { frame: content } = fromBinary(ServerFrameSchema, frame);
    if (content.case !== "roomEvents") return;
    for (const { position } of content.value.events) {
      if (position === undefined) continue;
      this.#ledger.told(this.#index, position.seq);
      if (position.seq > (this.#position?.seq ?? 0)) this.#position = position;
    }
  }

  /** Never rejects: what had no answer is sent again. */
  async #send(n: number): Promise<void> {
    const session = this.#session;
    if (session === undefined || this.#closed) return;
    clearTimeout(this.#waiting.get(n));
    const value = create(PublishSchema, {
      roomId: `room-${roomOf(this.#index)}`,
      clientMessageId: `m-${n}`,
      attempt: 1,
      body: { kind: { case: "text", value: messageText(n) } },
    });
    try {
      const answer = await session.ask({ case: "publish", value });
      if (answer.case !== "published" || !this.#waiting.delete(n)) return;
      this.published++;
      this.#ledger.acknowledged(roomOf(this.#index), answer.value.position?.seq ?? 0);
    } catch {
      if (this.#closed || session !== this.#session) return;
      this.#waiting.set(
        n,
        setTimeout(() => void this.#send(n), RESEND_MS),
      );
    }
  }

  #lost(reason: string): void {
    this.#session = undefined;
    this.#absences.left(this.#index, performance.now());
    // What the server says arrives in its goodbye; a connection that was cut says nothing.
    const code = reason.startsWith("goodbye") ? 4100 : 1006;
    this.#failures = 0;
    this.#wait(code);
    // As the client in bridge/client: to leave when the server says so is no failure.
    if (code === 4100) this.#failures = 0;
  }

  #wait(code: number): void {
    const reconnectAfterMs = this.#reconnectAfterMs;
    this.#reconnectAfterMs = 0;
    const verdict = judge({ code, failures: this.#failures++, reconnectAfterMs }, Math);
    this.#comeBackIn(verdict.kind === "wait" ? verdict.delayMs : 0);
  }

  #comeBackIn(delayMs: number): void {
    setTimeout(() => {
      if (this.#closed) return;
      this.#absences.tried(performance.now());
      this.open().catch(() => {
        // With a goodbye the server says when; without one nobody does.
        if (!this.#closed) this.#wait(this.#reconnectAfterMs > 0 ? 4100 : 1006);
      });
    }, delayMs);
  }
}

async function createRooms(dial: Dial, tokens: Tokens, clients: number): Promise<void> {
  const owner = await openSession(dial, {
    token: await tokens("user-0"),
    deviceId: "owner",
    attempt: 1,
    rooms: [],
    failed: () => undefined,
  });
  await mapPooled(Math.ceil(clients / ROOM_SIZE), 32, (room) => {
    const members = Array.from({ length: ROOM_SIZE }, (_, at) => `user-${room * ROOM_SIZE + at}`);
    return createRoom(
      owner,
      `room-${room}`,
      members.filter((user) => user !== "user-0"),
    );
  });
  owner.destroy();
}

export function roomOf(client: number): number {
  return Math.floor(client / ROOM_SIZE);
}
