// One session that outlives its connections: connects, says Hello with the positions reached, answers pings, comes back.

import { describeClose, judgeClose } from "./backoff.js";
import {
  type ClientFrame,
  DisconnectedError,
  type Position,
  parseFrame,
  RefusedError,
  type ServerFrame,
} from "./wire.js";

export type SessionState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** Reconnects at `until`, in milliseconds since 1970. */
  | { readonly kind: "waiting"; readonly until: number; readonly reason: string }
  | { readonly kind: "stopped"; readonly reason: string };

export interface SessionOptions {
  readonly url: string;
  /** A token; `fresh`: the one given before will not do. Rejects with a RefusedError where there will never be one. */
  readonly token: (fresh: boolean) => Promise<string>;
  readonly device: () => { readonly deviceId: string; readonly name: string };
  /** The number of the next connection: grows over the device's life. */
  readonly nextAttempt: () => number;
  /** Rooms to go on in. */
  readonly rooms: () => readonly { readonly roomId: string; readonly after: Position }[];
  readonly onState: (state: SessionState) => void;
  /** Live again. */
  readonly onLive: () => void;
  /** A frame that answers no request. */
  readonly onPush: (frame: ServerFrame) => void;
}

interface Waiter {
  readonly resolve: (frame: ServerFrame) => void;
  readonly reject: (error: Error) => void;
}

/** From starting to connect to Welcome. */
const HANDSHAKE_DEADLINE_MS = 10_000;
/** How much later than a ping was due the connection counts as dead. */
const SILENCE_GRACE_MS = 10_000;
const DEFAULT_PING_INTERVAL_MS = 25_000;
/** No close frame came. */
const ABNORMAL = 1006;

export class Session {
  readonly #options: SessionOptions;
  readonly #waiters = new Map<number, Waiter>();
  #socket: WebSocket | undefined;
  #ref = 0;
  #failures = 0;
  #freshToken = false;
  #goodbye: ServerFrame["goodbye"];
  /** The one timer: until reconnecting, or until the connection counts as dead. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pingIntervalMs = DEFAULT_PING_INTERVAL_MS;
  /** Grows with each connection, so that what belongs to an older one is told apart. */
  #epoch = 0;
  #live = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Whether requests can be made. */
  get live(): boolean {
    return this.#live;
  }

  /** Connects now, whatever was planned. */
  connect(): void {
    this.#drop();
    void this.#open(++this.#epoch);
  }

  /** Ends for good. */
  close(): void {
    this.#epoch++;
    this.#drop();
  }

  /** Sends a frame and resolves with its answer. Rejects with RefusedError or DisconnectedError. */
  request(frame: ClientFrame): Promise<ServerFrame> {
    const socket = this.#socket;
    if (socket === undefined || socket.readyState !== WebSocket.OPEN) {
      return Promise.reject(new DisconnectedError("not connected"));
    }
    const ref = ++this.#ref;
    const answer = new Promise<ServerFrame>((resolve, reject) => this.#waiters.set(ref, { resolve, reject }));
    socket.send(JSON.stringify({ ref, ...frame }));
    return answer;
  }

  /** Sends a frame that nobody waits for an answer to; lost where there is no connection. */
  post(frame: ClientFrame): void {
    if (this.#live) this.#socket?.send(JSON.stringify(frame));
  }

  async #open(epoch: number): Promise<void> {
    this.#options.onState({ kind: "connecting" });
    let token: string;
    try {
      token = await this.#options.token(this.#freshToken);
    } catch (error) {
      if (epoch !== this.#epoch) return;
      if (error instanceof RefusedError && !error.retryable) this.#stop(error.message);
      else this.#retry(ABNORMAL, "the server cannot be reached");
      return;
    }
    if (epoch !== this.#epoch) return;
    this.#freshToken = false;
    const socket = new WebSocket(this.#options.url, ["trunkline.v1.json"]);
    this.#socket = socket;
    this.#pingIntervalMs = DEFAULT_PING_INTERVAL_MS;
    this.#watch(HANDSHAKE_DEADLINE_MS);
    socket.addEventListener("open", () => void this.#greet(epoch, token));
    socket.addEventListener("message", (event) => this.#receive(epoch, event.data));
    socket.addEventListener("close", (event) => this.#lost(epoch, event.code));
  }

  async #greet(epoch: number, token: string): Promise<void> {
    const { device, nextAttempt, rooms, onState, onLive } = this.#options;
    try {
      const { welcome } = await this.request({
        hello: {
          token,
          device: { ...device(), kind: "DEVICE_KIND_WEB" },
          attempt: nextAttempt(),
          protocol: 1,
          rooms: rooms(),
        },
      });
      if (epoch !== this.#epoch) return;
      this.#pingIntervalMs = welcome?.pingIntervalMs ?? DEFAULT_PING_INTERVAL_MS;
      this.#failures = 0;
      this.#live = true;
      onState({ kind: "live" });
      onLive();
    } catch {
      // A refused Hello is followed by Goodbye and the close, which say what to do.
    }
  }

  #receive(epoch: number, data: unknown): void {
    if (epoch !== this.#epoch) return;
    this.#watch(this.#live ? this.#pingIntervalMs + SILENCE_GRACE_MS : HANDSHAKE_DEADLINE_MS);
    const frame = parseFrame(data);
    if (frame === undefined) return;
    const waiter = frame.replyTo === undefined ? undefined : this.#waiters.get(frame.replyTo);
    if (waiter !== undefined && frame.replyTo !== undefined) {
      this.#waiters.delete(frame.replyTo);
      if (frame.error === undefined) waiter.resolve(frame);
      else waiter.reject(new RefusedError(frame.error));
    } else if (frame.ping !== undefined) {
      this.#socket?.send(JSON.stringify({ pong: { id: frame.ping.id ?? 0 } }));
    } else if (frame.goodbye !== undefined) {
      this.#goodbye = frame.goodbye;
    } else if (frame.tokenExpiring !== undefined) {
      void this.#refresh(epoch);
    } else {
      this.#options.onPush(frame);
    }
  }

  async #refresh(epoch: number): Promise<void> {
    try {
      const token = await this.#options.token(true);
      if (epoch === this.#epoch) await this.request({ refreshToken: { token } });
    } catch {
      // The server ends the session when the token does, and the close says to come back with a fresh one.
    }
  }

  /** The connection counts as dead when nothing is heard for so long. */
  #watch(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // Closing could take as long again: a dead connection does not answer.
      this.#drop();
      this.#retry(ABNORMAL, "the connection went silent");
    }, milliseconds);
  }

  #lost(epoch: number, code: number): void {
    if (epoch !== this.#epoch) return;
    const goodbye = this.#goodbye;
    this.#drop();
    this.#retry(code, goodbye?.error?.message ?? describeClose(code), goodbye?.reconnectAfterMs);
  }

  #retry(code: number, reason: string, reconnectAfterMs?: number): void {
    const verdict = judgeClose(code, this.#failures++, reconnectAfterMs, Math.random);
    const epoch = ++this.#epoch;
    if (verdict.kind === "stop") {
      this.#stop(reason);
      return;
    }
    this.#freshToken = verdict.freshToken;
    this.#options.onState({ kind: "waiting", until: Date.now() + verdict.delayMs, reason });
    this.#timer = setTimeout(() => {
      if (epoch === this.#epoch) this.connect();
    }, verdict.delayMs);
  }

  #stop(reason: string): void {
    this.#epoch++;
    this.#freshToken = true;
    this.#options.onState({ kind: "stopped", reason });
  }

  /** Lets go of the connection; its requests are answered by DisconnectedError. */
  #drop(): void {
    clearTimeout(this.#timer);
    this.#live = false;
    this.#goodbye = undefined;
    this.#socket?.close();
    this.#socket = undefined;
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.reject(new DisconnectedError("the connection was lost"));
  }
}
