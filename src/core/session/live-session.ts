// A session after its Welcome: one case per frame.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { type AddressClass, Permission } from "../../gen/trunkline/v1/message_pb.js";
import * as wire from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { roomRef } from "../../ports/room-ref.js";
import type { EntryDevice, LocalSession } from "../../ports/session-directory.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { SignalFrame } from "../fanout/shared-frame.js";
import type { Payer } from "../limit/limiter.js";
import type { Limits } from "../limit/limits.js";
import { classOfCall } from "../limit/operations.js";
import type { OperationClass } from "../limit/rates.js";
import { TokenBucket } from "../limit/token-bucket.js";
import type { SessionPresence, WatchingSession } from "../presence/session-presence.js";
import type { Caller } from "../room/calls.js";
import type { Command, Outcome } from "../room/command.js";
import { isGranted, isService } from "../room/permissions.js";
import { SessionSignals } from "../signal/session-signals.js";
import { validateId } from "../validate.js";
import { changedFrom, deleteCommand, editCommand, publishCommand, publishedFrom, reactCommand } from "./commands.js";
import { done, serverFrame, wireError, wireMs } from "./frames.js";
import { Heartbeat } from "./heartbeat.js";
import { Lanes } from "./lanes.js";
import type { LiveConnection } from "./live-connection.js";
import type { ClientFrame } from "./port.js";
import { RoomSubscriptions } from "./room-subscriptions.js";
import type { SessionServices } from "./services.js";

/** Lane of frames that concern the session itself. */
const OWN_LANE = "";

export interface Admitted {
  readonly sessionId: string;
  readonly identity: Identity;
  readonly device: EntryDevice;
  readonly addressClass: AddressClass;
  readonly attempt: number;
  readonly transport: string;
}

export class LiveSession implements LocalSession, WatchingSession {
  readonly id: string;
  readonly device: EntryDevice;
  readonly addressClass: AddressClass;
  readonly connectedAtMs: number;
  readonly attempt: number;
  readonly transport: string;
  /** When the token was last verified, wall clock. */
  verifiedAtMs: number;
  readonly #services: SessionServices;
  readonly #connection: LiveConnection;
  readonly #heartbeat: Heartbeat;
  #caller: Caller;
  /** Whose buckets it takes from. There once registered. */
  #payer: Payer | undefined;
  readonly #rooms: RoomSubscriptions;
  /** Made with the first of them: most sessions only listen. */
  #signals: SessionSignals | undefined;
  readonly #lanes = new Lanes();
  readonly #frameRate: TokenBucket;
  /** Made with the first refusal: most sessions never meet one. */
  #refusalRate: TokenBucket | undefined;
  #inFlight = 0;
  /** Rooms of the hello that have no outcome yet. */
  #resuming = 0;
  /** There from the first watch on. */
  #presence: SessionPresence | undefined;
  #tokenWarned = false;
  #ended = false;

  constructor(services: SessionServices, connection: LiveConnection, admitted: Admitted) {
    const { clock, limits } = services.deps;
    const nowMs = clock.monotonic();
    this.#services = services;
    this.#connection = connection;
    this.id = admitted.sessionId;
    this.device = admitted.device;
    this.addressClass = admitted.addressClass;
    this.connectedAtMs = clock.now();
    this.attempt = admitted.attempt;
    this.transport = admitted.transport;
    this.verifiedAtMs = clock.now();
    this.#caller = { identity: admitted.identity, deviceId: this.deviceId };
    this.#rooms = new RoomSubscriptions(services, connection, this, this.#caller);
    this.#heartbeat = new Heartbeat(limits, nowMs);
    this.#frameRate = new TokenBucket(limits.frameRate, nowMs);
  }

  get identity(): Identity {
    return this.#caller.identity;
  }

  get sessionId(): string {
    return this.id;
  }

  get tenantId(): string {
    return this.identity.tenantId;
  }

  get userId(): string {
    return this.identity.userId;
  }

  get deviceId(): string {
    return this.device.deviceId;
  }

  /** Whether nothing that was asked waits for an answer. */
  get idle(): boolean {
    return this.#inFlight === 0 && this.#resuming === 0;
  }

  /** There is a place for it. Called once. */
  registered(): void {
    this.#payer = this.#services.limiter.open(this.identity);
  }

  close(code: CloseCode, reason: string, reconnectAfterMs?: number): void {
    this.#connection.close(code, reason, undefined, reconnectAfterMs);
  }

  /** Ends what the session holds. Called by its connection. */
  end(): void {
    this.#ended = true;
    if (this.#payer !== undefined) this.#services.limiter.close(this.#payer);
    this.#rooms.end();
    this.#signals?.end();
    this.#presence?.end();
  }

  // — frames —

  receive(client: ClientFrame): void {
    const { ref, frame } = client;
    const operation = frame.case ?? "unknown";
    this.#heartbeat.heard();
    const waitMs = this.#frameRate.take(this.#services.deps.clock.monotonic());
    if (waitMs > 0) {
      this.#refuse(ref, operation, this.#services.limiter.refusal("session", "frame", waitMs));
      return;
    }
    try {
      this.#dispatch(ref, frame);
    } catch (error) {
      this.#refuse(ref, operation, TrunklineError.from(error));
    }
  }

  #dispatch(ref: number, frame: ClientFrame["frame"]): void {
    const limits = this.#services.deps.tenants.of(this.tenantId);
    switch (frame.case) {
      case "publish":
        this.#publish(ref, frame.value, limits);
        return;
      case "editMessage":
        this.#submit(
          ref,
          "edit",
          frame.case,
          frame.value.roomId,
          editCommand(frame.value, this.identity, limits),
          changedFrom,
        );
        return;
      case "deleteMessage":
        this.#submit(ref, "edit", frame.case, frame.value.roomId, deleteCommand(frame.value), changedFrom);
        return;
      case "react":
        this.#submit(ref, "edit", frame.case, frame.value.roomId, reactCommand(frame.value), changedFrom);
        return;
      case "subscribe":
        this.#request(ref, "read", frame.case, frame.value.roomId, () => this.#subscribe(ref, frame.value));
        return;
      case "unsubscribe":
        this.#request(ref, undefined, frame.case, frame.value.roomId, () => this.#unsubscribe(ref, frame.value));
        return;
      case "mark":
        this.#request(ref, "mark", frame.case, frame.value.roomId, () => this.#mark(ref, frame.value));
        return;
      case "call":
        this.#request(ref, classOf(frame.value), frame.case, laneOf(frame.value), () => this.#call(ref, frame.value));
        return;
      case "typing":
        this.#typing(ref, frame.value);
        return;
      case "sendSignal": {
        const { lane, send } = this.#saying().prepare(frame.value);
        this.#request(ref, "signal", frame.case, lane, () => send().then(() => this.#reply(ref, done())));
        return;
      }
      case "setPresence":
        this.#request(ref, "presence", frame.case, OWN_LANE, () => this.#setPresence(ref, frame.value));
        return;
      case "watchPresence":
        this.#request(ref, "presence", frame.case, OWN_LANE, () => this.#watchPresence(ref, frame.value));
        return;
      case "refreshToken":
        this.#request(ref, "settings", frame.case, OWN_LANE, () => this.#refreshToken(ref, frame.value.token));
        return;
      case "ping":
        this.#connection.send({ case: "pong", value: create(wire.PongSchema, { id: frame.value.id }) }, ref);
        return;
      case "pong":
        this.#heartbeat.answered(frame.value.id, this.#services.deps.clock.monotonic());
        return;
      case "hello":
        throw TrunklineError.invalid("hello", "was said already");
      case undefined:
        throw new TrunklineError(ErrorCode.UNSUPPORTED, "no frame that this server knows is set", { field: "frame" });
    }
  }

  /**
   * A request that may wait. In its lane it begins after those sent before it, and holds up those sent after it. `of` undefined: it is
   * limited as a frame alone.
   */
  #request(
    ref: number,
    of: OperationClass | undefined,
    operation: string,
    lane: string,
    handle: () => Promise<void>,
  ): void {
    this.#enter(of);
    this.#lanes.run(lane, () => {
      if (this.#ended) {
        this.#leave();
        return undefined;
      }
      return handle()
        .catch((error: unknown) => this.#refusePaid(ref, of, operation, TrunklineError.from(error)))
        .finally(() => this.#leave());
    });
  }

  /** What was refused after it had been paid for. */
  #refusePaid(ref: number, of: OperationClass | undefined, operation: string, refusal: TrunklineError): void {
    if (of !== undefined && this.#payer !== undefined) this.#services.limiter.refused(this.#payer, of, refusal);
    this.#refuse(ref, operation, refusal);
  }

  #refuse(ref: number, operation: string, refusal: TrunklineError): void {
    this.#connection.refuse(ref, operation, refusal);
    if (refusal.code !== ErrorCode.RATE_LIMITED) return;
    const { clock, limits } = this.#services.deps;
    const nowMs = clock.monotonic();
    this.#refusalRate ??= new TokenBucket(limits.refusalRate, nowMs);
    const waitMs = this.#refusalRate.take(nowMs);
    if (waitMs === 0) return;
    const options = { retryAfterMs: refusal.retryAfterMs ?? waitMs };
    const abuse = new TrunklineError(ErrorCode.RATE_LIMITED, "too much was asked in spite of refusals", options);
    const { sessionId, tenantId, userId } = this;
    this.#services.deps.telemetry.emit("session.abusive", { sessionId, tenantId, userId });
    this.#connection.close(CloseCode.OVERLOADED, abuse.message, abuse);
  }

  #enter(of: OperationClass | undefined): void {
    const { maxInFlight } = this.#services.deps.limits;
    this.#requireCurrent();
    if (this.#services.draining()) {
      throw new TrunklineError(ErrorCode.UNAVAILABLE, "the node is leaving", { retryAfterMs: 1_000 });
    }
    if (this.#inFlight >= maxInFlight) {
      throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many requests without an answer yet", {
        details: { limit: String(maxInFlight) },
      });
    }
    if (this.#connection.outbox.full) {
      throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many bytes wait for you: read first");
    }
    if (of !== undefined) this.#spend(of);
    this.#inFlight++;
    this.#services.requests.enter();
  }

  /** A session may have been told to close while its node was paused. */
  #requireCurrent(): void {
    if (this.#services.deps.directory.current) return;
    throw new TrunklineError(ErrorCode.UNAVAILABLE, "the node was paused and looks what was said meanwhile", {
      retryAfterMs: 500,
    });
  }

  #spend(of: OperationClass): void {
    if (this.#payer !== undefined) this.#services.limiter.spend(this.#payer, of);
  }

  #leave(): void {
    this.#inFlight--;
    this.#services.requests.leave();
    this.#tellAnswered();
  }

  #tellAnswered(): void {
    if (this.idle && !this.#ended) this.#connection.answered();
  }

  #reply(ref: number, frame: wire.ServerFrame["frame"]): void {
    if (ref !== 0 && !this.#ended) this.#connection.send(frame, ref);
  }

  // — messages —

  #publish(ref: number, publish: wire.Publish, limits: Limits): void {
    const { body, ...command } = publishCommand(publish, this.identity, limits);
    if (publish.forward !== undefined) {
      const { forward } = publish;
      this.#signals?.publishing(publish.roomId);
      this.#request(ref, "publish", "publish", publish.roomId, async () => {
        const origin = await this.#services.rooms.forwarded(this.#caller, forward);
        const room = roomRef(this.identity.tenantId, publish.roomId);
        const { outcome } = this.#services.owner.submit(room, this.#caller, { ...command, ...origin });
        this.#reply(ref, publishedFrom(await outcome));
      });
    } else if (body !== undefined) {
      this.#submit(ref, "publish", "publish", publish.roomId, { ...command, body }, publishedFrom);
    }
  }

  /** A change of a room. What comes after it in the room need not wait for its outcome. */
  #submit(
    ref: number,
    of: OperationClass,
    operation: string,
    roomId: string,
    command: Command,
    reply: (outcome: Outcome) => wire.ServerFrame["frame"],
  ): void {
    this.#enter(of);
    if (command.kind === "publish") this.#signals?.publishing(roomId);
    const room = roomRef(this.identity.tenantId, roomId);
    this.#lanes.run(roomId, () => {
      // Whoever has gone will ask again on the next connection: what waited behind must not come after that.
      if (this.#ended) {
        this.#leave();
        return undefined;
      }
      const { turned, outcome } = this.#services.owner.submit(room, this.#caller, command);
      outcome.then(
        (done) => {
          this.#reply(ref, reply(done));
          this.#leave();
        },
        (error: unknown) => {
          this.#refusePaid(ref, of, operation, TrunklineError.from(error));
          this.#leave();
        },
      );
      return turned;
    });
  }

  // — signals —

  #saying(): SessionSignals {
    this.#signals ??= new SessionSignals(this.#services.signals, this.#caller);
    return this.#signals;
  }

  #typing(ref: number, typing: wire.Typing): void {
    this.#requireCurrent();
    this.#spend("typing");
    const begun = this.#saying().typing(typing);
    if (begun === undefined) this.#reply(ref, done());
    else
      this.#request(ref, undefined, "typing", `typing ${typing.roomId}`, () =>
        begun.then(() => this.#reply(ref, done())),
      );
  }

  // — rooms —

  /** The rooms of the Hello: each answered by a push. */
  resumeRooms(rooms: readonly wire.RoomPosition[]): void {
    for (const { roomId, after } of rooms) {
      this.#resuming++;
      const open = () => this.#rooms.open(roomId, after, 0, "hello.rooms.room_id");
      this.#lanes.run(roomId, () =>
        Promise.resolve(this.#services.places.run(open))
          .catch((error: unknown) => this.#notResumed(roomId, TrunklineError.from(error)))
          .finally(() => {
            this.#resuming--;
            this.#tellAnswered();
          }),
      );
    }
  }

  #notResumed(roomId: string, refusal: TrunklineError): void {
    this.#services.refused("hello.rooms", refusal);
    if (!this.#ended) this.#connection.send({ case: "error", value: wireError(refusal, { room_id: roomId }) });
  }

  async #subscribe(ref: number, { roomId, after, presence }: wire.Subscribe): Promise<void> {
    await this.#rooms.open(roomId, after, ref, "subscribe.room_id");
    // Subscribing anew begins with who is online, too.
    this.#presence?.unwatchAlong(roomId);
    if (presence && this.#rooms.has(roomId)) await this.#watch.watchAlong(roomId);
    if (!this.#rooms.has(roomId)) this.#presence?.unwatchAlong(roomId);
  }

  async #unsubscribe(ref: number, { roomId }: wire.Unsubscribe): Promise<void> {
    validateId("unsubscribe.room_id", roomId);
    this.#rooms.close(roomId);
    this.#presence?.unwatchAlong(roomId);
    this.#reply(ref, {
      case: "unsubscribed",
      value: create(wire.UnsubscribedSchema, { roomId, reason: wire.UnsubscribeReason.REQUESTED }),
    });
  }

  async #mark(ref: number, mark: wire.Mark): Promise<void> {
    await this.#services.receipts.mark(this.#caller, mark);
    this.#reply(ref, { case: "done", value: create(wire.DoneSchema) });
  }

  async #call(ref: number, { rpc }: wire.Call): Promise<void> {
    if (rpc.case === undefined) throw TrunklineError.invalid("call", "no method that this server knows is set");
    const result = await this.#services.rooms.call(this.#caller, rpc);
    this.#reply(ref, { case: "callResult", value: create(wire.CallResultSchema, { rpc: result }) });
  }

  // — presence —

  get #watch(): SessionPresence {
    this.#presence ??= this.#services.presence.watchOf(this);
    return this.#presence;
  }

  subscriptionLost(roomId: string): void {
    this.#presence?.unwatchAlong(roomId);
  }

  async #setPresence(ref: number, frame: wire.SetPresence): Promise<void> {
    await this.#services.presence.set(this, frame);
    this.#reply(ref, { case: "done", value: create(wire.DoneSchema) });
  }

  async #watchPresence(ref: number, frame: wire.WatchPresence): Promise<void> {
    if (this.#ended) return;
    const snapshot = await this.#watch.watch(frame);
    this.#reply(ref, { case: "presenceSnapshot", value: snapshot });
  }

  // — token —

  async #refreshToken(ref: number, token: string): Promise<void> {
    if (token === "") throw TrunklineError.invalid("refresh_token.token", "is required");
    const identity = await this.#services.deps.verifier.verify(token);
    if (identity.tenantId !== this.identity.tenantId || identity.userId !== this.identity.userId) {
      throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "the token is another user's");
    }
    const demoted = isGranted(this.identity, Permission.READ) && !isGranted(identity, Permission.READ);
    const sees = isService(this.identity) && !isService(identity);
    this.#caller = { identity, deviceId: this.deviceId };
    this.#rooms.caller = this.#caller;
    if (this.#signals !== undefined) this.#signals.caller = this.#caller;
    this.verifiedAtMs = this.#services.deps.clock.now();
    this.#tokenWarned = false;
    this.#connection.reschedule();
    const expiresAt = identity.expiresAtMs === undefined ? undefined : timestampFromMs(identity.expiresAtMs);
    this.#reply(ref, { case: "tokenAccepted", value: create(wire.TokenAcceptedSchema, { expiresAt }) });
    if (demoted || sees) void this.#presence?.authorizeAgain();
    if (!demoted) return;
    for (const roomId of this.#rooms.roomIds) {
      // In the room's lane: a subscription that is being opened was perhaps authorized as the user was before, and is then judged.
      this.#lanes.run(roomId, () => this.#rooms.authorizeAgain(roomId));
    }
  }

  // — time —

  /** Heartbeat, token and stall. Returns in how many milliseconds to look again; 0: the session has ended. */
  tick(monotonicMs: number): number {
    const { limits } = this.#services.deps;
    const { blockedSinceMs } = this.#connection.outbox;
    if (blockedSinceMs !== undefined && monotonicMs - blockedSinceMs >= limits.stallDeadlineMs) {
      this.close(CloseCode.SLOW_CONSUMER, "nothing was read while data waited");
      return 0;
    }
    const tokenMs = this.#tickToken();
    if (tokenMs === 0) return 0;
    const beat = this.#heartbeat.tick(monotonicMs);
    if (beat.is === "lost") {
      this.close(CloseCode.HEARTBEAT_LOST, "pings were not answered");
      return 0;
    }
    if (beat.is === "ping") {
      const ping = create(wire.PingSchema, { id: beat.id, lastRoundTripMs: beat.lastRoundTripMs });
      this.#connection.outbox.pushFirst(this.#connection.encode(serverFrame({ case: "ping", value: ping })));
    }
    const stallMs =
      blockedSinceMs === undefined ? Number.POSITIVE_INFINITY : blockedSinceMs + limits.stallDeadlineMs - monotonicMs;
    return Math.max(Math.min(beat.nextMs, tokenMs, stallMs), 1);
  }

  #tickToken(): number {
    const { expiresAtMs } = this.identity;
    if (expiresAtMs === undefined) return Number.POSITIVE_INFINITY;
    const leftMs = expiresAtMs - this.#services.deps.clock.now();
    if (leftMs <= 0) {
      this.close(CloseCode.TOKEN_EXPIRED, "the token has expired");
      return 0;
    }
    const warningMs = leftMs - this.#services.deps.limits.tokenWarningMs;
    if (warningMs > 0) return warningMs;
    if (!this.#tokenWarned) {
      this.#tokenWarned = true;
      const value = create(wire.TokenExpiringSchema, { inMs: wireMs(leftMs) });
      this.#connection.send({ case: "tokenExpiring", value });
    }
    return leftMs;
  }

  /** Something ephemeral for the user: dropped where much waits. */
  offer(frame: SignalFrame): boolean {
    if (frame.hidesReading !== undefined) this.#rooms.hidesReading = frame.hidesReading;
    const { topOf } = frame;
    // Whoever reads a room hears of its events.
    if (topOf !== undefined && this.#rooms.has(topOf)) return true;
    return this.#connection.outbox.offer(this.#connection.encodeShared(frame));
  }

  /** The same, for this session alone. */
  offerOwn(frame: wire.ServerFrame["frame"]): boolean {
    return this.#connection.outbox.offer(this.#connection.encode(serverFrame(frame)));
  }

  /** The outbox is ready. */
  onReady(): void {
    this.#rooms.onReady();
  }
}

/** A call that names no method is refused for that. */
function classOf({ rpc }: wire.Call): OperationClass | undefined {
  return rpc.case === undefined ? undefined : classOfCall(rpc.case);
}

/** Calls about one room keep their order with its other frames. */
function laneOf({ rpc }: wire.Call): string {
  return rpc.value !== undefined && "roomId" in rpc.value ? rpc.value.roomId : OWN_LANE;
}
