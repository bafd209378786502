// A session of the scripted server: hello, subscriptions, requests in the order of their rooms, heartbeat, goodbye.

import type {
  ClientFrame,
  Hello,
  RoomEvent,
  ServerFrame,
  Subscribe,
  UnsubscribeReason,
  Error as WireError,
} from "../../../../bridge/client/gen/types.js";
import type { Timer } from "../../../../bridge/client/platform.js";
import { CloseCode } from "../../../../src/gen/trunkline/v1/error_pb.js";
import type { Peer, PeerListener } from "./network.js";
import type { Server } from "./server.js";

const PONG_DEADLINE_MS = 10_000;
/** For a hello on a connection that stays, beyond its time. */
const HELLO_DEADLINE_MS = 10_000;
/** Of a client that was told no time. */
const EARLIEST_MS = 1_000;
const LATEST_MS = 10_000;
/** What a room of the hello is for `Server.takesMs`. */
const HELLO_ROOM = "hello room";

interface Refusal {
  readonly code: string;
  readonly close: CloseCode;
  readonly details?: Readonly<Record<string, string>>;
}

/** The session is over, the connection is not. */
interface Stay {
  /** That of the next hello is higher. */
  readonly attempt: number;
  /** The next hello does not come sooner. */
  readonly fromMs: number;
  readonly deadline: Timer;
}

export class ServerSession implements PeerListener {
  readonly #server: Server;
  readonly #peer: Peer;
  hello: Hello | undefined;
  live = false;
  /** Frames as they came. */
  readonly heard: ClientFrame[] = [];
  /** The last event that was sent, of each room subscribed to. */
  readonly #rooms = new Map<string, number>();
  /** Until when what was asked of a room keeps what comes after it waiting. */
  readonly #lanes = new Map<string, number>();
  readonly #timers = new Set<Timer>();
  #inFlight = 0;
  #over = false;
  #pings = 0;
  #pong: Timer | undefined;
  #expiry: Timer | undefined;
  #stays: Stay | undefined;
  /** What that hello has begun. */
  #next: ServerSession | undefined;

  constructor(server: Server, peer: Peer) {
    this.#server = server;
    this.#peer = peer;
  }

  get rooms(): readonly string[] {
    return [...this.#rooms.keys()];
  }

  // — what a test does to it —

  push(frame: ServerFrame): void {
    if (!this.#over) this.#peer.send(JSON.stringify(frame));
  }

  /** Some of what was sent of a room comes once more. */
  repeat(roomId: string, count: number): void {
    const sent = this.#rooms.get(roomId);
    if (sent === undefined) return;
    const events = this.#server.room(roomId).events(Math.max(sent - count + 1, 1), sent);
    if (events.length > 0) this.push({ roomEvents: { roomId, events } });
  }

  /** Not even a frame. */
  garble(): void {
    if (!this.#over) this.#peer.send("{");
  }

  tell(roomId: string, event: RoomEvent): void {
    const sent = this.#rooms.get(roomId);
    const seq = event.position?.seq ?? 0;
    if (sent === undefined || seq <= sent) return;
    this.#rooms.set(roomId, seq);
    this.push({ roomEvents: { roomId, events: [event] } });
  }

  unsubscribe(roomId: string, reason: UnsubscribeReason): void {
    if (this.#rooms.delete(roomId)) this.push({ unsubscribed: { roomId, reason } });
  }

  /** The subscription lags behind what is kept. */
  reset(roomId: string): void {
    if (!this.#rooms.delete(roomId)) return;
    const { top } = this.#server.room(roomId);
    this.push({ subscribed: { roomId, top, reset: { reason: "RESET_REASON_EXPIRED" } } });
  }

  expire(inMs: number): void {
    this.push({ tokenExpiring: { inMs } });
    this.#later(inMs, () => this.end(CloseCode.TOKEN_EXPIRED));
  }

  /** @param silently Without a goodbye before the close. */
  end(code: number, { reconnectAfterMs = 0, silently = false } = {}): void {
    if (this.#over) return;
    if (!silently)
      this.push({ goodbye: { reason: `CLOSE_CODE_${CloseCode[code]}` as "CLOSE_CODE_KICKED", reconnectAfterMs } });
    this.gone();
    this.#peer.close(code);
  }

  /** The session is over; where the client can, the connection waits for the next hello. */
  stay(code: number, reconnectAfterMs = 0): void {
    if (this.#over) return;
    const { canStay = false, attempt = 0 } = this.hello ?? {};
    if (!canStay) {
      this.end(code, { reconnectAfterMs });
      return;
    }
    const { world } = this.#server;
    const reason = `CLOSE_CODE_${CloseCode[code]}` as "CLOSE_CODE_GOING_AWAY";
    this.push({ goodbye: { reason, reconnectAfterMs, stay: true } });
    this.#leave();
    const deadline = world.after((reconnectAfterMs || LATEST_MS) + HELLO_DEADLINE_MS, () => {
      this.#stays = undefined;
      this.#peer.close(CloseCode.GOING_AWAY);
    });
    this.#stays = { attempt, fromMs: world.nowMs + (reconnectAfterMs || EARLIEST_MS), deadline };
  }

  /** What no server says: of the session that is over. */
  strayed(frame: ServerFrame): void {
    this.#peer.send(JSON.stringify(frame));
  }

  // — what the wire says —

  gone(): void {
    this.#stays?.deadline.cancel();
    this.#stays = undefined;
    this.#next?.gone();
    this.#leave();
  }

  #leave(): void {
    this.#over = true;
    this.live = false;
    this.#server.sessions.delete(this);
    for (const timer of this.#timers) timer.cancel();
  }

  received(data: string): void {
    if (this.#next !== undefined) {
      this.#next.received(data);
      return;
    }
    const frame: ClientFrame = JSON.parse(data);
    if (this.#stays !== undefined && frame.hello !== undefined) this.#renew(this.#stays, data, frame.hello);
    if (this.#over) return;
    this.heard.push(frame);
    const { ref = 0, hello, pong, ping, subscribe, unsubscribe, publish, call, refreshToken } = frame;
    const own = this.live ? this.#server.answers(frame) : undefined;
    if (hello !== undefined) this.#greet(ref, hello);
    else if (!this.live) this.#violation("spoke before welcome");
    else if (own !== undefined) this.#asked(ref, own.kind, own.roomId, own.answer);
    else if (pong !== undefined) this.#ponged(pong.id ?? 0);
    else if (ping !== undefined) this.push({ replyTo: ref, pong: {} });
    else if (subscribe !== undefined) this.#asked(ref, "subscribe", subscribe.roomId, () => this.#subscribe(subscribe));
    else if (unsubscribe !== undefined) {
      const { roomId = "" } = unsubscribe;
      this.#asked(ref, "unsubscribe", roomId, () => {
        this.#rooms.delete(roomId);
        return { unsubscribed: { roomId, reason: "UNSUBSCRIBE_REASON_REQUESTED" } };
      });
    } else if (publish !== undefined) {
      const { roomId = "", clientMessageId = "", body } = publish;
      this.#asked(ref, "publish", roomId, () => {
        const { position, event } = this.#server.publish(roomId, clientMessageId, body?.text ?? "");
        return { published: { position, duplicate: event === undefined } };
      });
    } else if (call?.getEvents !== undefined) {
      const { roomId = "", fromSeq = 0, toSeq = 0, limit = 200 } = call.getEvents;
      const { pageSize } = this.#server.limits;
      this.#asked(ref, "getEvents", roomId, () => {
        const room = this.#server.room(roomId);
        const events = room.events(fromSeq, toSeq || (room.top.seq ?? 0)).slice(0, Math.min(limit, pageSize));
        return { callResult: { getEvents: { events, top: room.top } } };
      });
    } else if (call?.getHistory !== undefined) {
      const { roomId = "" } = call.getHistory;
      this.#asked(ref, "getHistory", roomId, () => {
        return { callResult: { getHistory: { messages: [], asOf: this.#server.room(roomId).top } } };
      });
    } else if (refreshToken !== undefined) {
      this.#asked(ref, "refreshToken", "", () => {
        if (!this.#holds(refreshToken.token ?? "")) return { error: { code: "ERROR_CODE_TOKEN_EXPIRED" } };
        return { tokenAccepted: {} };
      });
    } else this.#answer(ref, frame);
  }

  #answer(ref: number, frame: ClientFrame): void {
    const answer = this.#server.answer(frame);
    if (answer === undefined) this.#violation("sent what nobody knows");
    else if (ref !== 0) this.#asked(ref, "other", "", () => answer);
  }

  #violation(what: string): void {
    this.#server.violations.push(what);
  }

  // — hello —

  /** On the connection that has stayed. What came before was of the session that is over. */
  #renew({ attempt, fromMs, deadline }: Stay, data: string, hello: Hello): void {
    deadline.cancel();
    this.#stays = undefined;
    if ((hello.attempt ?? 0) <= attempt) this.#violation("came back with an attempt that is no higher");
    if (this.#server.world.nowMs < fromMs)
      this.#violation("came back sooner than it was told, on a connection that stays");
    this.#next = new ServerSession(this.#server, this.#peer);
    this.#server.sessions.add(this.#next);
    this.#server.renewed++;
    this.#next.received(data);
  }

  #greet(ref: number, hello: Hello): void {
    if (this.hello !== undefined) this.#violation("said hello twice");
    this.hello = hello;
    const { limits } = this.#server;
    const { token = "", device, attempt = 0, rooms = [], protocol } = hello;
    if (protocol !== 1) this.#violation("spoke another protocol");
    if (rooms.length > limits.maxRooms) this.#violation("stated too many rooms");
    const refusal = this.#refusal(token, device?.deviceId, attempt);
    if (refusal !== undefined) {
      const { code, close, details } = refusal;
      this.push({ replyTo: ref, error: { code: `ERROR_CODE_${code}` as "ERROR_CODE_CONFLICT", details } });
      this.end(close);
      return;
    }
    this.#holds(token);
    this.live = true;
    const { maxInFlight, maxRooms, recoveryLimit, pingIntervalMs } = limits;
    const allowed = { maxInFlight, maxRooms, recoveryLimit };
    const said = {
      sessionId: "session",
      userId: this.#server.userId,
      limits: allowed,
      pingIntervalMs,
      roomsPending: rooms.length,
    };
    this.push({ replyTo: ref, welcome: said });
    this.#ping();
    for (const { roomId = "", after } of rooms) {
      this.#inLane(HELLO_ROOM, roomId, () => {
        const refusal = this.#server.refuse("subscribe", roomId);
        if (refusal === undefined) this.#begin(0, { roomId, after });
        else this.push({ error: { ...refusal, details: { ...refusal.details, room_id: roomId } } });
      });
    }
  }

  /** Why this hello is refused, if it is. Whoever it takes the place of is told. */
  #refusal(token: string, deviceId: string | undefined, attempt: number): Refusal | undefined {
    const expiryMs = this.#server.expiryMs(token);
    if (expiryMs === undefined) return { code: "UNAUTHENTICATED", close: CloseCode.UNAUTHENTICATED };
    if (expiryMs <= this.#server.world.nowMs) return { code: "TOKEN_EXPIRED", close: CloseCode.TOKEN_EXPIRED };
    for (const other of this.#server.sessions) {
      if (!other.live || other.hello?.device?.deviceId !== deviceId) continue;
      const current = other.hello?.attempt ?? 0;
      if (current > attempt) {
        return { code: "CONFLICT", close: CloseCode.REPLACED, details: { current_attempt: String(current) } };
      }
      other.end(CloseCode.REPLACED);
    }
    return undefined;
  }

  /** Whether the token is good; the session lives as long as it. */
  #holds(token: string): boolean {
    const expiryMs = this.#server.expiryMs(token);
    const leftMs = (expiryMs ?? 0) - this.#server.world.nowMs;
    if (leftMs <= 0) return false;
    this.#expiry?.cancel();
    const noticeMs = Math.min(this.#server.limits.tokenNoticeMs, leftMs);
    this.#expiry = this.#later(leftMs - noticeMs, () => {
      this.push({ tokenExpiring: { inMs: noticeMs } });
      this.#expiry = this.#later(noticeMs, () => this.end(CloseCode.TOKEN_EXPIRED));
    });
    return true;
  }

  // — requests —

  #asked(ref: number, kind: string, roomId: string | undefined, answer: () => ServerFrame | undefined): void {
    if (++this.#inFlight > this.#server.limits.maxInFlight) this.#violation("asked for too much at once");
    this.#inLane(kind, roomId ?? "", () => {
      this.#inFlight--;
      const error: WireError | undefined = this.#server.refuse(kind, roomId ?? "");
      const frame = error === undefined ? answer() : { error };
      if (frame !== undefined && ref !== 0) this.push({ replyTo: ref, ...frame });
      if (kind === "subscribe" && error === undefined) this.#catchUp(roomId ?? "");
    });
  }

  #inLane(kind: string, lane: string, run: () => void): void {
    const { nowMs } = this.#server.world;
    const takesMs = this.#server.takesMs(kind);
    if (takesMs === undefined) {
      if (kind !== HELLO_ROOM) this.#inFlight--;
      return;
    }
    const atMs = Math.max(this.#lanes.get(lane) ?? 0, nowMs + takesMs);
    this.#lanes.set(lane, atMs);
    this.#later(atMs - nowMs, run);
  }

  #begin(replyTo: number, subscribe: Subscribe): void {
    const frame = this.#subscribe(subscribe);
    this.push({ ...(replyTo !== 0 && { replyTo }), ...frame });
    this.#catchUp(subscribe.roomId ?? "");
  }

  #subscribe({ roomId = "", after }: Subscribe): ServerFrame {
    const { limits } = this.#server;
    if (!this.#rooms.has(roomId) && this.#rooms.size >= limits.maxRooms) {
      return { error: { code: "ERROR_CODE_LIMIT_EXCEEDED", retryable: true, details: { room_id: roomId } } };
    }
    const subscribed = this.#server.room(roomId).outcome(after, limits.recoveryLimit);
    if (subscribed.reset === undefined) {
      this.#rooms.set(roomId, subscribed.replaying ? (after?.seq ?? 0) : (subscribed.top?.seq ?? 0));
    } else this.#rooms.delete(roomId);
    return { subscribed };
  }

  /** What was missed follows, two by two. */
  #catchUp(roomId: string): void {
    const room = this.#server.room(roomId);
    const topSeq = room.top.seq ?? 0;
    for (let seq = this.#rooms.get(roomId) ?? topSeq; seq < topSeq; seq += 2) {
      const events = room.events(seq + 1, Math.min(seq + 2, topSeq));
      this.push({ roomEvents: { roomId, events } });
    }
    if (this.#rooms.has(roomId)) this.#rooms.set(roomId, topSeq);
  }

  // — heartbeat —

  #ping(): void {
    this.#later(this.#server.limits.pingIntervalMs, () => {
      this.push({ ping: { id: ++this.#pings } });
      this.#pong = this.#later(PONG_DEADLINE_MS, () => this.end(CloseCode.HEARTBEAT_LOST));
      this.#ping();
    });
  }

  #ponged(id: number): void {
    if (id === this.#pings) this.#pong?.cancel();
    else this.#violation("answered a ping that is none");
  }

  #later(ms: number, action: () => void): Timer {
    const timer = this.#server.world.after(ms, () => {
      this.#timers.delete(timer);
      action();
    });
    this.#timers.add(timer);
    return timer;
  }
}
