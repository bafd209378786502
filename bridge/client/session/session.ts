// One session that outlives its connections: gets a token, connects, says Hello with the positions reached, answers pings, comes back. There is
// one connection at most at any time. See state.ts for its states.

import { ABNORMAL, HEARTBEAT_LOST, NORMAL } from "../close-code.js";
import { ClosedError, DisconnectedError, RefusedError } from "../error.js";
import type { ClientFrame, Device, RoomPosition, ServerFrame, Welcome } from "../gen/types.js";
import type { Platform, Timer, Wire } from "../platform.js";
import type { Codec } from "../wire/codec.js";
import { Addresses } from "./addresses.js";
import { Liveness } from "./liveness.js";
import { Renewal } from "./renewal.js";
import { Requests } from "./requests.js";
import type { ClosedReason, ConnectionState, LostReason, Via } from "./state.js";
import { backoffMs, closeNumber, judge } from "./verdict.js";

export interface TokenRequest {
  /** The one given before will not do: it has expired, is about to, or was refused. */
  readonly fresh: boolean;
}

/** Gives the user's token. One that rejects is asked again, after a while; one that gives undefined has none, and the session closes. */
export type TokenProvider = (request: TokenRequest) => Promise<string | undefined> | string | undefined;

export interface SessionOptions {
  readonly platform: Platform;
  readonly codec: Codec;
  /** Where to connect to. Several: tried in turn. */
  readonly url: string | readonly string[];
  readonly token: TokenProvider;
  /** Asked at each hello. */
  readonly device: () => Device;
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
/** A connection that lives for so long was none of a series of failures. */
const SETTLED_MS = 10_000;
/** Something that is no frame. */
const GARBLED = 1007;
/** Connections in a row that ended with something that is no frame: it will be so with the next one, too. */
const MOST_GARBLED = 3;

/** What belongs to one session of the server, and ends with it. */
interface Connection {
  readonly requests: Requests;
  welcome: Welcome | undefined;
  readonly liveness: Liveness;
  readonly renewal: Renewal;
  liveSinceMs: number;
  goodbye: { readonly code: number; readonly reconnectAfterMs: number } | undefined;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #listener: SessionListener;
  readonly #addresses: Addresses;
  /** While it is connected, or wants to be. */
  #unwatch: (() => void) | undefined;
  #state: ConnectionState = { status: "idle" };
  /** That of the connection; without one, what the server wants to hear the next hello on. */
  #wire: Wire | undefined;
  #connection: Connection | undefined;
  /** Grows with each attempt, so that what belongs to an older one is told apart. */
  #epoch = 0;
  #attempt = 0;
  #failures = 0;
  #freshToken = false;
  #garbled = 0;
  /** What the server has asked for, on the clock that never goes back: not even who is told to connect comes back before. */
  #notBefore: { readonly ms: number; readonly reason: LostReason } = { ms: 0, reason: "unreachable" };
  /** Rooms that a hello may state. */
  #maxRooms = HELLO_ROOMS;
  /** Until the token is there, or until it is tried again. */
  #timer: Timer | undefined;

  constructor(options: SessionOptions, listener: SessionListener) {
    this.#options = options;
    this.#listener = listener;
    this.#addresses = new Addresses(options.url);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Of the live connection. */
  get welcome(): Welcome | undefined {
    return this.#connection?.welcome;
  }

  /** What the connection speaks; without one, what it was made for. */
  get codec(): Codec {
    return this.#wire?.codec ?? this.#options.codec;
  }

  /** How the connection goes. */
  get via(): Via {
    return this.#wire?.via ?? "websocket";
  }

  /** Connects, if it does not already: at once, unless the server has asked to be left alone for a while. */
  connect(): void {
    const { status } = this.#state;
    if (status === "connecting" || status === "live") return;
    this.#failures = 0;
    this.#garbled = 0;
    this.#unwatch ??= this.#options.platform.reachability.watch(() => this.#surroundingsChanged());
    this.#resume();
  }

  /** Leaves the connection and lets go of everything; `connect` comes back. */
  close(): void {
    if (this.#state.status !== "closed") this.#stop("closed");
  }

  /** Gives the connection up, as if the network had: it comes back by itself. */
  drop(): void {
    if (this.#connection !== undefined) this.#lost(ABNORMAL);
    else this.#letGo(false);
  }

  /**
   * Rejects with RefusedError; with DisconnectedError where there is no connection, or it went before the answer came.
   * @param answered Called with the answer before anything that comes after it is pushed.
   */
  request(frame: ClientFrame, answered?: (frame: ServerFrame) => void): Promise<ServerFrame> {
    const connection = this.#connection;
    if (connection?.welcome !== undefined) return connection.requests.ask(frame, answered);
    const closed = this.#state.status === "closed";
    return Promise.reject(closed ? new ClosedError("the client is closed") : new DisconnectedError("not connected"));
  }

  /** Sends a frame that nobody waits for an answer to. Lost where there is no connection. */
  post(frame: ClientFrame): void {
    if (this.#connection?.welcome !== undefined) this.#send(frame);
  }

  // — connecting —

  /** Connects, no sooner than the server has asked for. */
  #resume(): void {
    const { ms, reason } = this.#notBefore;
    const leftMs = ms - this.#options.platform.monotonic();
    if (leftMs <= 0) this.#open();
    else if (this.#state.status !== "waiting" || this.#state.untilMs === undefined) this.#wait(reason, leftMs);
  }

  #open(): void {
    const epoch = ++this.#epoch;
    const { platform } = this.#options;
    this.#timer?.cancel();
    if (!platform.reachability.online) {
      this.#wait("offline", 0);
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
        else this.#begin(epoch, token);
      },
      () => this.#tokenFailed(epoch),
    );
  }

  async #token(fresh: boolean): Promise<string | undefined> {
    return await this.#options.token({ fresh });
  }

  #tokenFailed(epoch: number): void {
    const { platform } = this.#options;
    if (epoch === this.#epoch) this.#wait("no-token", backoffMs(++this.#failures, platform));
  }

  #begin(epoch: number, token: string): void {
    const { platform } = this.#options;
    this.#freshToken = false;
    this.#timer?.cancel();
    const stays = this.#wire !== undefined;
    if (!stays) this.#dial(token);
    this.#connection = {
      requests: new Requests(platform, (frame) => this.#send(frame)),
      liveness: new Liveness(platform, () => this.#lost(HEARTBEAT_LOST)),
      renewal: new Renewal(platform, () => void this.#refresh(epoch)),
      welcome: undefined,
      liveSinceMs: 0,
      goodbye: undefined,
    };
    if (stays) this.#greet(token);
  }

  #dial(token: string): void {
    const { platform, codec } = this.#options;
    const wire = platform.dial(this.#addresses.next(), codec.subprotocol, {
      opened: () => {
        if (wire === this.#wire) this.#greet(token);
      },
      received: (data) => {
        if (wire === this.#wire) this.#received(data);
      },
      closed: (code) => {
        if (wire !== this.#wire) return;
        if (this.#connection !== undefined) this.#lost(code);
        // It was to stay until the next hello, which goes on another one then.
        else this.#letGo(false);
      },
    });
    this.#wire = wire;
  }

  #greet(token: string): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { device, rooms, platform } = this.#options;
    // Grows over the life of the device, without being kept: it counts seconds.
    this.#attempt = Math.max(this.#attempt + 1, Math.floor(platform.now() / 1_000));
    const stated = rooms(this.#maxRooms);
    const hello = { token, device: device(), attempt: this.#attempt, protocol: 1, rooms: stated, canStay: true };
    const answered = ({ welcome }: ServerFrame): void => {
      if (welcome !== undefined) this.#welcomed(connection, welcome);
    };
    connection.requests.ask({ hello }, answered).catch((error: unknown) => {
      // Goodbye and the close follow, and say what to do.
      if (error instanceof RefusedError && error.details.current_attempt !== undefined) {
        this.#attempt = Math.max(this.#attempt, Number(error.details.current_attempt));
      }
    });
  }

  #welcomed(connection: Connection, welcome: Welcome): void {
    const { limits = {}, pingIntervalMs, sessionId = "", userId = "" } = welcome;
    connection.welcome = welcome;
    connection.liveSinceMs = this.#options.platform.monotonic();
    connection.requests.allow(limits.maxInFlight ?? 1);
    connection.liveness.welcomed(pingIntervalMs);
    this.#maxRooms = Math.min(limits.maxRooms ?? HELLO_ROOMS, HELLO_ROOMS);
    this.#addresses.reached();
    this.#listener.welcomed(welcome);
    // A listener may have closed it.
    if (connection === this.#connection) this.#become({ status: "live", sessionId, userId, via: this.via });
  }

  // — connected —

  #send(frame: ClientFrame): void {
    this.#wire?.send(this.codec.encode(frame));
  }

  #received(data: string | ArrayBuffer): void {
    const connection = this.#connection;
    if (connection === undefined) {
      // Nothing is to come before the next hello.
      this.#letGo(false);
      return;
    }
    connection.liveness.heard();
    let frame: ServerFrame;
    try {
      frame = this.codec.decode(data);
    } catch {
      // Nobody knows what was in it: what events were is told again on the next connection.
      this.#lost(GARBLED);
      return;
    }
    if (frame.replyTo !== undefined && frame.replyTo !== 0) {
      connection.requests.answered(frame);
    } else if (frame.ping !== undefined) {
      this.#send({ pong: { id: frame.ping.id ?? 0 } });
    } else if (frame.goodbye !== undefined) {
      const { reason = 0, reconnectAfterMs = 0, stay } = frame.goodbye;
      connection.goodbye = { code: closeNumber(reason), reconnectAfterMs };
      if (stay) this.#lost(ABNORMAL, stay);
      else connection.liveness.leaving();
    } else if (frame.tokenExpiring !== undefined) {
      connection.renewal.expiring(frame.tokenExpiring.inMs ?? 0);
    } else {
      this.#listener.pushed(frame);
    }
  }

  /** Never rejects. */
  async #refresh(epoch: number): Promise<void> {
    try {
      const token = await this.#token(true);
      if (epoch === this.#epoch && token !== undefined) await this.request({ refreshToken: { token } });
    } catch {
      // The server ends the session when the token does, and the close says to come back with a fresh one.
    }
  }

  // — lost —

  /** @param stays The wire is there for the next hello. */
  #lost(code: number, stays = false): void {
    const connection = this.#connection;
    const { platform } = this.#options;
    const lived = connection?.welcome !== undefined && platform.monotonic() - connection.liveSinceMs >= SETTLED_MS;
    if (lived) this.#failures = this.#garbled = 0;
    if (code === GARBLED && ++this.#garbled === MOST_GARBLED) {
      this.#stop("protocol");
      return;
    }
    const { goodbye } = connection ?? {};
    // A reason that a newer server has, and this client not, is known by the close code's range.
    const told = goodbye === undefined || goodbye.code === ABNORMAL ? code : goodbye.code;
    const ending = { code: told, failures: this.#failures, reconnectAfterMs: goodbye?.reconnectAfterMs ?? 0 };
    this.#letGo(false, stays);
    const verdict = judge(ending, platform);
    if (verdict.kind === "stop") {
      this.#stop(verdict.reason);
      return;
    }
    this.#freshToken = verdict.freshToken;
    const { reason, delayMs, stated } = verdict;
    // To leave when the server says so is no failure: the first attempt after it may be one.
    if (!lived || !stated) this.#failures++;
    if (reason === "going-away") this.#addresses.left();
    if (stated) this.#notBefore = { ms: platform.monotonic() + delayMs, reason };
    this.#wait(reason, delayMs);
  }

  #wait(reason: LostReason, delayMs: number): void {
    const { platform } = this.#options;
    this.#epoch++;
    this.#timer?.cancel();
    if (!platform.reachability.online) {
      this.#letGo(false);
      this.#become({ status: "waiting", reason: "offline", untilMs: undefined });
      return;
    }
    this.#timer = platform.after(delayMs, () => this.#open());
    this.#become({ status: "waiting", reason, untilMs: platform.now() + delayMs });
  }

  #surroundingsChanged(): void {
    const { status } = this.#state;
    if (status === "waiting") {
      if (this.#options.platform.reachability.online) this.#resume();
      else this.#wait("offline", 0);
    }
    // The page was away, or the network is or was: is there still somebody?
    else if (status === "live" && this.#connection?.liveness.prove()) this.#connection.requests.tell({ ping: {} });
  }

  #stop(reason: ClosedReason): void {
    this.#epoch++;
    this.#timer?.cancel();
    this.#letGo(true);
    this.#unwatch?.();
    this.#unwatch = undefined;
    // Whoever connects again after a refusal does so with another token.
    this.#freshToken ||= reason !== "closed";
    this.#become({ status: "closed", reason });
  }

  /** Lets go of the connection, if there is one, and of the wire unless that stays. @param closed Not to come back. */
  #letGo(closed: boolean, stays = false): void {
    const connection = this.#connection;
    const wire = this.#wire;
    if (!stays) {
      this.#wire = undefined;
      wire?.close(closed ? NORMAL : HEARTBEAT_LOST);
    }
    if (connection === undefined) return;
    this.#epoch++;
    this.#connection = undefined;
    connection.liveness.end();
    connection.renewal.end();
    connection.requests.end(closed);
  }

  #become(state: ConnectionState): void {
    this.#state = state;
    this.#listener.stateChanged(state);
  }
}
