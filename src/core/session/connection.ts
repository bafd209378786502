// A connection from its first frame to its end: greeting → opening → live → ended.

import { create } from "@bufbuild/protobuf";
import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { DeviceSchema, GoodbyeSchema, type Hello } from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { EntryDevice } from "../../ports/session-directory.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { SharedFrame } from "../fanout/shared-frame.js";
import { addressClassOf } from "../presence/address.js";
import { inboxRef } from "../room/inbox.js";
import type { SessionsElsewhere } from "./elsewhere.js";
import { serverFrame, wireError, wireMs } from "./frames.js";
import { closeCodeOf, validateHello, welcome } from "./hello.js";
import type { LiveConnection } from "./live-connection.js";
import { LiveSession } from "./live-session.js";
import { Outbox, type OutboxOwner } from "./outbox.js";
import type { ClientFrame, Connection, ConnectionOrigin, ServerFrame, SessionSink } from "./port.js";
import type { SessionServices } from "./services.js";
import type { Timed } from "./wheel.js";

/** Malformed frames in a row that end a connection. */
const MAX_MALFORMED = 3;
/** What is no fault of the client's: it need not lose its connection for it. */
const KEPT: ReadonlySet<CloseCode> = new Set([CloseCode.GOING_AWAY, CloseCode.UNAVAILABLE]);
/** What a connection ended with that its peer closed or lost: as WebSocket counts it (RFC 6455, 7.4.1). */
const CLOSED_CLEANLY = 1000;
const CUT = 1006;

/** `deadlineMs`: until when a session must be live, monotonic. */
type State =
  /** No Hello yet. */
  | { readonly is: "greeting"; readonly origin: ConnectionOrigin; readonly deadlineMs: number }
  /** The token is being verified; what came since the Hello waits. */
  | {
      readonly is: "opening";
      readonly origin: ConnectionOrigin;
      readonly deadlineMs: number;
      readonly ref: number;
      readonly held: ClientFrame[];
    }
  | { readonly is: "live"; readonly session: LiveSession }
  | { readonly is: "ended" };

export class SessionConnection implements Connection, LiveConnection, OutboxOwner, Timed {
  readonly outbox: Outbox;
  slot = -1;
  readonly #services: SessionServices;
  readonly #sink: SessionSink;
  /** Called once, when the connection is no longer one without a session. */
  readonly #greeted: (connection: SessionConnection) => void;
  #state: State;
  #malformed = 0;
  /** Whether it ends once what was asked is answered: the client sends no more, or what it is connected to leaves. */
  #finished = false;
  /** The latter: when the client may come back, in milliseconds. */
  #leavesForMs: number | undefined;

  constructor(
    services: SessionServices,
    sink: SessionSink,
    origin: ConnectionOrigin,
    greeted: (connection: SessionConnection) => void,
  ) {
    const { limits } = services.deps;
    this.#services = services;
    this.#sink = sink;
    const deadlineMs = services.deps.clock.monotonic() + limits.handshakeDeadlineMs;
    this.#state = { is: "greeting", origin, deadlineMs };
    this.#greeted = greeted;
    this.outbox = new Outbox(sink, services.flusher, limits, this);
    services.wheel.schedule(this, limits.handshakeDeadlineMs);
  }

  // — what the transport says —

  receive(frame: ClientFrame): void {
    this.#malformed = 0;
    switch (this.#state.is) {
      case "live":
        this.#state.session.receive(frame);
        return;
      case "greeting":
        this.#greet(frame, this.#state);
        return;
      case "opening":
        this.#hold(frame, this.#state.held);
        return;
      case "ended":
        return;
    }
  }

  malformed(error: TrunklineError, undecodable: boolean, ref = 0): void {
    if (this.#state.is === "ended") return;
    this.#services.refused("malformed", error);
    this.#malformed++;
    // Whoever sent what cannot be read is told so, whether or not a ref could be made out.
    this.#sendFirst({ case: "error", value: wireError(error) }, ref);
    if (undecodable) this.close(CloseCode.PROTOCOL_ERROR, error.message, error);
    else if (this.#malformed >= MAX_MALFORMED) {
      this.close(CloseCode.PROTOCOL_ERROR, `${MAX_MALFORMED} malformed frames in a row`, error);
    }
  }

  drained(): void {
    this.outbox.drained();
  }

  finish(): void {
    this.#finished = true;
    this.answered();
  }

  leave(reconnectAfterMs: number): void {
    this.#leavesForMs = reconnectAfterMs;
    this.finish();
  }

  gone(clean: boolean): void {
    this.#end(clean ? CLOSED_CLEANLY : CUT, clean ? "closed by the client" : "the connection was lost");
    this.outbox.discard();
  }

  // — Hello —

  #greet({ ref, frame }: ClientFrame, { origin, deadlineMs }: State & { readonly is: "greeting" }): void {
    if (frame.case !== "hello") {
      this.#reject(ref, TrunklineError.invalid(frame.case ?? "frame", "the first frame must be hello"));
      return;
    }
    try {
      validateHello(frame.value, this.#services.deps.limits);
    } catch (error) {
      this.#reject(ref, TrunklineError.from(error));
      return;
    }
    const held: ClientFrame[] = [];
    this.#state = { is: "opening", origin, deadlineMs, ref, held };
    this.#open(origin, ref, frame.value, held).catch((error: unknown) => this.#reject(ref, TrunklineError.from(error)));
  }

  #hold(frame: ClientFrame, held: ClientFrame[]): void {
    if (held.length < this.#services.deps.limits.maxInFlight) held.push(frame);
    else {
      const error = new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many frames before the hello was answered");
      // What a client does wrong with its frames: nobody else's sessions are in its way.
      this.#reject(frame.ref, error, CloseCode.PROTOCOL_ERROR);
    }
  }

  async #open(origin: ConnectionOrigin, ref: number, hello: Hello, held: readonly ClientFrame[]): Promise<void> {
    const { deps, registry, elsewhere } = this.#services;
    const token = hello.token || origin.token;
    if (!token)
      throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "hello.token: is required", { field: "hello.token" });
    const { identity, settled } = elsewhere
      ? await this.#admitted(token, hello, elsewhere)
      : { identity: await deps.verifier.verify(token), settled: undefined };
    // Gone, refused or told to go while the token was verified.
    if (this.#state.is !== "opening") return settled?.();

    const session = new LiveSession(this.#services, this, {
      sessionId: deps.ids.random(),
      identity,
      device: deviceOf(hello),
      addressClass: addressClassOf(origin.address),
      attempt: hello.attempt,
      transport: origin.transport,
    });
    const registration = registered(() => registry.add(session), settled);
    session.registered();
    this.#state = { is: "live", session };
    this.#greeted(this);
    // Before what it replaces goes: nobody sees the user leave and come back.
    this.#services.presence.connected(session);
    elsewhere?.settle(session);
    registration.replaced?.close(CloseCode.REPLACED, "the device has connected anew");
    for (const oldest of registration.oldest) oldest.close(CloseCode.TOO_MANY_SESSIONS, "the user has newer sessions");

    const value = welcome(
      session.id,
      identity,
      inboxRef(deps.ids, identity.tenantId, identity.userId).roomId,
      hello.rooms.length,
      deps.clock.now(),
      deps.tenants.of(identity.tenantId),
    );
    this.send({ case: "welcome", value }, ref);
    const { tenantId, userId } = identity;
    deps.telemetry.emit("session.opened", { sessionId: session.id, tenantId, userId, transport: session.transport });
    session.resumeRooms(hello.rooms);
    for (const frame of held) this.receive(frame);
    this.reschedule();
    this.answered();
  }

  /** Whose token it is, once their sessions on other nodes have been looked at. */
  async #admitted(
    token: string,
    hello: Hello,
    elsewhere: SessionsElsewhere,
  ): Promise<{ readonly identity: Identity; readonly settled: () => void }> {
    const { deps } = this.#services;
    const { attempt } = hello;
    const device = deviceOf(hello);
    for (;;) {
      const before = this.#services.revocations;
      const identity = await deps.verifier.verify(token);
      const { tenantId, userId } = identity;
      const settled = await elsewhere.judge({ tenantId, userId, device, attempt });
      // A revocation closes the sessions that there are: it has not seen this one.
      if (before === this.#services.revocations) return { identity, settled };
      settled();
    }
  }

  /** The handshake has failed. */
  #reject(ref: number, error: TrunklineError, code = closeCodeOf(error)): void {
    if (this.#state.is === "ended") return;
    this.refuse(ref, "hello", error);
    this.close(code, error.message, error);
  }

  // — what a live session asks of its connection —

  encode(frame: ServerFrame): Uint8Array {
    // Asked of the sink each time: a browser that names no subprotocol shows its encoding with its first message.
    return this.#sink.encoding.frame(frame);
  }

  get shared(): SessionSink["shared"] {
    return this.#sink.shared;
  }

  encodeShared(frame: SharedFrame): Uint8Array {
    return frame.in(this.#sink.encoding);
  }

  send(frame: ServerFrame["frame"], replyTo = 0): void {
    this.outbox.push(this.encode(serverFrame(frame, replyTo)));
  }

  refuse(ref: number, operation: string, error: TrunklineError): void {
    this.#services.refused(operation, error);
    if (ref !== 0) this.#sendFirst({ case: "error", value: wireError(error) }, ref);
  }

  #sendFirst(frame: ServerFrame["frame"], replyTo: number): void {
    if (this.#state.is === "ended" || this.outbox.pushFirst(this.encode(serverFrame(frame, replyTo)))) return;
    this.close(CloseCode.SLOW_CONSUMER, "refusals were not read while more was asked");
  }

  close(code: CloseCode, reason: string, error?: TrunklineError, reconnectAfterMs = error?.retryAfterMs ?? 0): void {
    if (this.#state.is === "ended") return;
    this.#end(code, reason);
    const dismissal = {
      code,
      reason,
      reconnectAfterMs: wireMs(reconnectAfterMs),
      error: error === undefined ? undefined : wireError(error),
    };
    // Where the client's own side leaves, it has no connection to keep.
    if (KEPT.has(code) && !this.#finished && this.#sink.dismiss !== undefined) {
      this.outbox.flush();
      this.outbox.discard();
      this.#sink.dismiss(dismissal);
      return;
    }
    const goodbye = create(GoodbyeSchema, { ...dismissal, reason: code });
    this.outbox.close(this.encode(serverFrame({ case: "goodbye", value: goodbye })));
    this.#sink.end(code, reason);
  }

  answered(): void {
    if (!this.#finished || this.#state.is === "opening" || this.#state.is === "ended") return;
    if (this.#state.is === "live" && !this.#state.session.idle) return;
    // What waits is written first; `onReady` comes back here.
    if (!this.outbox.ready) return;
    if (this.#leavesForMs !== undefined) {
      this.close(CloseCode.GOING_AWAY, "the bridge is leaving", undefined, this.#leavesForMs);
      return;
    }
    this.#end(CLOSED_CLEANLY, "finished by the client");
    this.outbox.flush();
    this.outbox.discard();
    this.#sink.end(CloseCode.UNSPECIFIED, "finished by the client");
  }

  reschedule(): void {
    if (this.#state.is !== "ended") this.#services.wheel.schedule(this, 0);
  }

  // — time and room to write —

  tick(monotonicMs: number): number {
    if (this.#state.is === "live") return this.#state.session.tick(monotonicMs);
    if (this.#state.is === "ended") return 0;
    const leftMs = this.#state.deadlineMs - monotonicMs;
    if (leftMs > 0) return leftMs;
    // A client that has said its hello is not at fault: it is to come back.
    if (this.#state.is === "opening") {
      const { ref } = this.#state;
      this.#reject(ref, new TrunklineError(ErrorCode.DEADLINE, "the token was not verified in time"));
    } else this.close(CloseCode.PROTOCOL_ERROR, "no hello came in time");
    return 0;
  }

  onReady(): void {
    if (this.#state.is === "live") this.#state.session.onReady();
    this.answered();
  }

  #end(code: number, reason: string): void {
    const ended = this.#state;
    if (ended.is === "ended") return;
    this.#state = { is: "ended" };
    this.#services.wheel.remove(this);
    const { telemetry } = this.#services.deps;
    if (ended.is !== "live") {
      this.#greeted(this);
      telemetry.emit("session.refused", { transport: ended.origin.transport, code, reason });
      return;
    }
    const { session } = ended;
    session.end();
    this.#services.registry.remove(session);
    this.#services.elsewhere?.left(session.identity.tenantId);
    this.#services.presence.disconnected(session, code);
    const { tenantId, userId } = session.identity;
    telemetry.emit("session.closed", { sessionId: session.id, tenantId, userId, code, reason });
  }
}

/** Without what a message has beside its fields: it is kept for as long as the session lives. */
function deviceOf({ device = create(DeviceSchema) }: Hello): EntryDevice {
  const { deviceId, kind, name, appVersion } = device;
  return { deviceId, kind, name, appVersion };
}

/** Whether the session is made or refused, its place is no longer kept for it. */
function registered<T>(add: () => T, settled: (() => void) | undefined): T {
  try {
    return add();
  } finally {
    settled?.();
  }
}
