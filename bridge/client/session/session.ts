// One session that outlives its connections: gets a token, connects, says Hello with the positions reached, answers pings, comes back. There is
// one connection at most at any time. See state.ts for its states.

import { ClosedError, DisconnectedError, RefusedError } from "../error.js";
import type { ClientFrame, CloseCode, Device, RoomPosition, ServerFrame, Welcome } from "../gen/types.js";
import type { Platform, Timer, Wire } from "../platform.js";
import type { Codec } from "../wire/codec.js";
import { Requests } from "./requests.js";
import type { ClosedReason, ConnectionState, LostReason } from "./state.js";
import { backoffMs, judge } from "./verdict.js";

export interface TokenRequest {
  /** The one given before will not do: it has expired, is about to, or was refused. */
  readonly fresh: boolean;
}

/** Gives the user's token. One that rejects is asked again, after a while; one that gives undefined has none, and the session closes. */
export type TokenProvider = (request: TokenRequest) => Promise<string | undefined> | string | undefined;

export interface SessionOptions {
  readonly platform: Platform;
  readonly codec: Codec;
  /** Where to connect to; asked before each attempt. */
  readonly url: () => string;
  readonly token: TokenProvider;
  readonly device: Device;
  /** Rooms to go on in, with the positions reached: those that fit into a hello, most wanted first. */
  readonly rooms: (most: number) => readonly RoomPosition[];
}

export interface SessionListener {
  stateChanged(state: ConnectionState): void;
  /** Live: the rooms of the hello are answered by pushes. Called before the state changes. */
  welcomed(welcome: Welcome): void;
  /** A frame that answers no request, or says how a subscription begins. */
  pushed(frame: ServerFrame): void;
}

/** Rooms that a hello takes. */
const HELLO_ROOMS = 200;
/** From asking for a token to having one. */
const TOKEN_DEADLINE_MS = 20_000;
/** From dialling to Welcome. */
const HANDSHAKE_DEADLINE_MS = 10_000;
/** How much later than a ping was due the connection counts as dead. */
const SILENCE_GRACE_MS = 10_000;
const DEFAULT_PING_INTERVAL_MS = 25_000;
/** How long a connection may take to show that it is alive after the page was shown again. */
const PROOF_DEADLINE_MS = 5_000;
/** A connection that lives for so long was none of a series of failures. */
const SETTLED_MS = 10_000;
const ABNORMAL = 1006;
const NORMAL = 1000;
/** The reasons of the contract that a goodbye may give before the connection ends; the close code says the same where it arrives. */
const CLOSE_NUMBERS: Readonly<Record<string, number>> = {
  CLOSE_CODE_HEARTBEAT_LOST: 4000,
  CLOSE_CODE_GOING_AWAY: 4100,
  CLOSE_CODE_SLOW_CONSUMER: 4101,
  CLOSE_CODE_OVERLOADED: 4102,
  CLOSE_CODE_UNAVAILABLE: 4103,
  CLOSE_CODE_TOKEN_EXPIRED: 4200,
  CLOSE_CODE_UNAUTHENTICATED: 4500,
  CLOSE_CODE_REPLACED: 4501,
  CLOSE_CODE_KICKED: 4502,
  CLOSE_CODE_REVOKED: 4503,
  CLOSE_CODE_PROTOCOL_ERROR: 4504,
  CLOSE_CODE_TOO_MANY_SESSIONS: 4505,
  CLOSE_CODE_UNSUPPORTED_PROTOCOL: 4506,
};

/** What belongs to one connection, and ends with it. */
interface Connection {
  readonly wire: Wire;
  readonly requests: Requests;
  welcome: Welcome | undefined;
  liveSinceMs: number;
  heardAtMs: number;
  goodbye: { readonly code: number; readonly reconnectAfterMs: number } | undefined;
  /** Until when it must have shown that it is alive. */
  proof: Timer | undefined;
  /** Rooms of the hello. */
  stated: readonly RoomPosition[];
}

export class Session {
  readonly #options: SessionOptions;
  readonly #listener: SessionListener;
  readonly #unwatch: () => void;
  #state: ConnectionState = { status: "idle" };
  #connection: Connection | undefined;
  /** Grows with each attempt, so that what belongs to an older one is told apart. */
  #epoch = 0;
  #attempt = 0;
  #failures = 0;
  #freshToken = false;
  /** What the server has asked for, in milliseconds since 1970: not even a page that is shown again comes back before. */
  #notBeforeMs = 0;
  /** The one timer: until the token is there, reconnecting, or until the connection counts as dead. */
  #timer: Timer | undefined;
  #ended = false;

  constructor(options: SessionOptions, listener: SessionListener) {
    this.#options = options;
    this.#listener = listener;
    this.#unwatch = options.platform.reachability.watch(() => this.#surroundingsChanged());
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Of the live connection. */
  get welcome(): Welcome | undefined {
    return this.#connection?.welcome;
  }

  /** Rooms that the hello of this connection has stated. */
  get stated(): readonly string[] {
    return this.#connection?.stated.map(({ roomId = "" }) => roomId) ?? [];
  }

  /** Connects, if it does not already. Does nothing after `end`. */
  connect(): void {
    if (this.#ended) return;
    const { status } = this.#state;
    if (status === "idle" || status === "closed" || status === "waiting") {
      this.#failures = 0;
      this.#open();
    }
  }

  /** Leaves the connection and waits; `connect` comes back. */
  close(): void {
    this.#stop("closed");
  }

  /** As `close`, for good: everything it listens to is let go. */
  end(): void {
    this.#ended = true;
    this.#unwatch();
    this.close();
  }

  /** Gives the connection up, as if the network had: it comes back by itself. */
  drop(): void {
    if (this.#connection !== undefined) this.#lost(ABNORMAL);
  }

  /** Rejects with RefusedError; with DisconnectedError where there is no connection, or it went before the answer came. */
  request(frame: ClientFrame): Promise<ServerFrame> {
    const connection = this.#connection;
    if (connection?.welcome !== undefined) return connection.requests.ask(frame);
    const closed = this.#state.status === "closed";
    return Promise.reject(closed ? new ClosedError("the client is closed") : new DisconnectedError("not connected"));
  }

  /** Sends a frame that nobody waits for an answer to. Lost where there is no connection. */
  post(frame: ClientFrame): void {
    if (this.#connection?.welcome !== undefined) this.#send(this.#connection.wire, frame);
  }

  // — connecting —

  #open(): void {
    const epoch = ++this.#epoch;
    const { platform } = this.#options;
    this.#timer?.cancel();
    if (!platform.reachability.online) {
      this.#become({ status: "waiting", reason: "offline", untilMs: undefined });
      return;
    }
    this.#become({ status: "connecting" });
    // A listener may have closed it.
    if (epoch !== this.#epoch) return;
    this.#timer = platform.after(TOKEN_DEADLINE_MS, () => this.#tokenFailed(epoch));
    this.#token(this.#freshToken).then(
      (token) => {
        if (epoch !== this.#epoch) return;
        if (token === undefined) this.#stop("unauthenticated");
        else this.#dial(epoch, token);
      },
      () => this.#tokenFailed(epoch),
    );
  }

  async #token(fresh: boolean): Promise<string | undefined> {
    return await this.#options.token({ fresh });
  }

  #tokenFailed(epoch: number): void {
    if (epoch === this.#epoch) this.#wait("no-token", backoffMs(++this.#failures, this.#options.platform.random));
  }

  #dial(epoch: number, token: string): void {
    const { platform, codec, url } = this.#options;
    this.#freshToken = false;
    const wire = platform.dial(url(), codec.subprotocol, {
      opened: () => {
        if (epoch === this.#epoch) this.#greet(epoch, token);
      },
      received: (data) => {
        if (epoch === this.#epoch) this.#received(data);
      },
      closed: (code) => {
        if (epoch === this.#epoch) this.#lost(code);
      },
    });
    const requests = new Requests(platform, (frame) => this.#send(wire, frame));
    const nowMs = platform.monotonic();
    this.#connection = {
      wire,
      requests,
      welcome: undefined,
      liveSinceMs: nowMs,
      heardAtMs: nowMs,
      goodbye: undefined,
      proof: undefined,
      stated: [],
    };
    this.#deadIn(HANDSHAKE_DEADLINE_MS);
  }

  #greet(epoch: number, token: string): void {
    const { device, rooms, platform } = this.#options;
    // Grows over the life of the device, without being kept: it counts seconds.
    this.#attempt = Math.max(this.#attempt + 1, Math.floor(platform.now() / 1_000));
    const stated = rooms(HELLO_ROOMS);
    const hello = { token, device, attempt: this.#attempt, protocol: 1, rooms: stated };
    if (this.#connection === undefined) return;
    this.#connection.stated = stated;
    this.#connection.requests.ask({ hello }).then(
      ({ welcome = {} }) => {
        if (epoch === this.#epoch) this.#welcomed(welcome);
      },
      (error: unknown) => {
        // Goodbye and the close follow, and say what to do.
        if (error instanceof RefusedError && error.details.current_attempt !== undefined) {
          this.#attempt = Math.max(this.#attempt, Number(error.details.current_attempt));
        }
      },
    );
  }

  #welcomed(welcome: Welcome): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.welcome = welcome;
    connection.liveSinceMs = this.#options.platform.monotonic();
    connection.requests.allow(welcome.limits?.maxInFlight ?? 1);
    this.#deadIn(this.#silenceMs(welcome));
    this.#listener.welcomed(welcome);
    this.#become({ status: "live", sessionId: welcome.sessionId ?? "", userId: welcome.userId ?? "" });
  }

  // — connected —

  #send(wire: Wire, frame: ClientFrame): void {
    wire.send(this.#options.codec.encode(frame));
  }

  #received(data: string | ArrayBuffer): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    connection.heardAtMs = this.#options.platform.monotonic();
    let frame: ServerFrame;
    try {
      frame = this.#options.codec.decode(data);
    } catch {
      this.#lost(ABNORMAL);
      return;
    }
    if (frame.replyTo !== undefined && frame.replyTo !== 0) {
      // Events may follow before whoever asked has the answer.
      if (frame.subscribed !== undefined) this.#listener.pushed(frame);
      connection.requests.answered(frame);
    } else if (frame.ping !== undefined) {
      this.#send(connection.wire, { pong: { id: frame.ping.id ?? 0 } });
    } else if (frame.goodbye !== undefined) {
      const { reason = 0, reconnectAfterMs = 0 } = frame.goodbye;
      connection.goodbye = { code: numberOf(reason), reconnectAfterMs };
    } else if (frame.tokenExpiring !== undefined) {
      void this.#refresh(this.#epoch, connection);
    } else {
      this.#listener.pushed(frame);
    }
  }

  /** Never rejects. */
  async #refresh(epoch: number, connection: Connection): Promise<void> {
    try {
      const token = await this.#token(true);
      if (epoch === this.#epoch && token !== undefined) await connection.requests.ask({ refreshToken: { token } });
    } catch {
      // The server ends the session when the token does, and the close says to come back with a fresh one.
    }
  }

  /** The connection counts as dead when nothing is heard for so long. Looked at when the time is over, not moved with each frame. */
  #deadIn(ms: number): void {
    const { platform } = this.#options;
    this.#timer?.cancel();
    this.#timer = platform.after(ms, () => {
      const connection = this.#connection;
      if (connection === undefined) return;
      const quietMs = platform.monotonic() - connection.heardAtMs;
      const allowedMs = connection.welcome === undefined ? 0 : this.#silenceMs(connection.welcome);
      if (quietMs < allowedMs) this.#deadIn(allowedMs - quietMs);
      else this.#lost(4000);
    });
  }

  #silenceMs({ pingIntervalMs }: Welcome): number {
    return (pingIntervalMs ?? DEFAULT_PING_INTERVAL_MS) + SILENCE_GRACE_MS;
  }

  // — lost —

  #lost(code: number): void {
    const connection = this.#connection;
    const { platform } = this.#options;
    const lived = connection?.welcome !== undefined && platform.monotonic() - connection.liveSinceMs >= SETTLED_MS;
    if (lived) this.#failures = 0;
    const { goodbye } = connection ?? {};
    const told = code >= 4000 ? code : (goodbye?.code ?? code);
    const ending = { code: told, failures: this.#failures, reconnectAfterMs: goodbye?.reconnectAfterMs ?? 0 };
    this.#failures++;
    this.#letGo(NORMAL, false);
    const verdict = judge(ending, platform.random);
    if (verdict.kind === "stop") {
      this.#stop(verdict.reason);
      return;
    }
    this.#freshToken = verdict.freshToken;
    this.#notBeforeMs = verdict.stated ? platform.now() + verdict.delayMs : 0;
    this.#wait(verdict.reason, verdict.delayMs);
  }

  #wait(reason: LostReason, delayMs: number): void {
    const { platform } = this.#options;
    this.#epoch++;
    this.#timer?.cancel();
    if (!platform.reachability.online) {
      this.#become({ status: "waiting", reason: "offline", untilMs: undefined });
      return;
    }
    this.#timer = platform.after(delayMs, () => this.#open());
    this.#become({ status: "waiting", reason, untilMs: platform.now() + delayMs });
  }

  #surroundingsChanged(): void {
    const { status } = this.#state;
    const { platform } = this.#options;
    if (!platform.reachability.online) {
      // What is under way may still arrive; a connection shows by itself whether it has gone.
      if (status === "waiting") this.#wait("offline", 0);
      return;
    }
    if (this.#state.status === "waiting") {
      const leftMs = this.#notBeforeMs - platform.now();
      if (leftMs <= 0) this.#open();
      else this.#wait(this.#state.reason, leftMs);
    } else if (status === "live") this.#prove();
  }

  /** The page was away, or the network: is there still somebody? */
  #prove(): void {
    const connection = this.#connection;
    if (connection?.welcome === undefined || connection.proof !== undefined) return;
    const { platform } = this.#options;
    const askedAtMs = platform.monotonic();
    connection.requests.ask({ ping: {} }).catch(() => {});
    connection.proof = platform.after(PROOF_DEADLINE_MS, () => {
      connection.proof = undefined;
      if (connection.heardAtMs < askedAtMs) this.#lost(4000);
    });
  }

  #stop(reason: ClosedReason): void {
    this.#epoch++;
    this.#timer?.cancel();
    this.#letGo(NORMAL, true);
    // Whoever connects again after a refusal does so with another token.
    this.#freshToken = reason !== "closed";
    this.#become({ status: "closed", reason });
  }

  /** Lets go of the connection, if there is one. */
  #letGo(code: number, closed: boolean): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#epoch++;
    this.#connection = undefined;
    connection.proof?.cancel();
    connection.wire.close(code);
    connection.requests.end(closed);
  }

  #become(state: ConnectionState): void {
    this.#state = state;
    this.#listener.stateChanged(state);
  }
}

function numberOf(reason: CloseCode): number {
  return typeof reason === "number" ? reason : (CLOSE_NUMBERS[reason] ?? ABNORMAL);
}
