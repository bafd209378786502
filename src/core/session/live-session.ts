// A session after its Welcome: one case per frame.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { PositionSchema } from "../../gen/trunkline/v1/message_pb.js";
import * as wire from "../../gen/trunkline/v1/session_pb.js";
import type { Timer } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { roomRef } from "../../ports/room-ref.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { AccessLoss } from "../fanout/feed.js";
import type { RoomEventsFrame } from "../fanout/room-events-frame.js";
import { TokenBucket } from "../limit/token-bucket.js";
import type { Caller } from "../room/calls.js";
import type { Command, Outcome } from "../room/command.js";
import { isAdministrator } from "../room/permissions.js";
import { authorizeReading, type Opened, openSubscription } from "../subscription/open.js";
import type { Subscriber, Subscription } from "../subscription/subscription.js";
import * as validate from "../validate.js";
import { serverFrame, wireError, wireMs } from "./frames.js";
import { Heartbeat } from "./heartbeat.js";
import { Lanes } from "./lanes.js";
import type { Outbox } from "./outbox.js";
import type { ClientFrame } from "./port.js";
import type { UserSessions } from "./registry.js";
import type { SessionServices } from "./services.js";

/** Lane of frames that concern the session itself. */
const OWN_LANE = "";

/** What the connection gives a live session. */
export interface LiveConnection {
  readonly outbox: Outbox;
  send(frame: wire.ServerFrame["frame"], replyTo?: number): void;
  /** In the encoding of the connection's wire. */
  encode(frame: wire.ServerFrame): Uint8Array;
  encodeEvents(frame: RoomEventsFrame): Uint8Array;
  /** Error: overtakes what waits. */
  refuse(ref: number, operation: string, error: TrunklineError): void;
  close(code: CloseCode, reason: string, error?: TrunklineError, reconnectAfterMs?: number): void;
  /** The session's deadlines have changed. */
  reschedule(): void;
}

export interface Admitted {
  readonly sessionId: string;
  readonly identity: Identity;
  readonly deviceId: string;
  readonly attempt: number;
  readonly transport: string;
}

export class LiveSession implements Subscriber {
  readonly id: string;
  readonly deviceId: string;
  readonly attempt: number;
  readonly transport: string;
  /** When the token was last verified, wall clock. */
  verifiedAtMs: number;
  readonly #services: SessionServices;
  readonly #connection: LiveConnection;
  readonly #heartbeat: Heartbeat;
  #caller: Caller;
  #user: UserSessions | undefined;
  readonly #rooms = new Map<string, Subscription>();
  /** Subscriptions that wait for the outbox, the next first. */
  #waiting: Subscription[] = [];
  #lanes: Lanes | undefined;
  readonly #frameRate: TokenBucket;
  readonly #publishRate: TokenBucket;
  #inFlight = 0;
  #tokenWarned = false;
  #ended = false;

  constructor(services: SessionServices, connection: LiveConnection, admitted: Admitted) {
    const { clock, limits } = services.deps;
    const nowMs = clock.monotonic();
    this.#services = services;
    this.#connection = connection;
    this.id = admitted.sessionId;
    this.deviceId = admitted.deviceId;
    this.attempt = admitted.attempt;
    this.transport = admitted.transport;
    this.verifiedAtMs = clock.now();
    this.#caller = { identity: admitted.identity, deviceId: admitted.deviceId };
    this.#heartbeat = new Heartbeat(limits, nowMs);
    this.#frameRate = new TokenBucket(limits.frameRate, nowMs);
    this.#publishRate = new TokenBucket(limits.sessionRate, nowMs);
  }

  get identity(): Identity {
    return this.#caller.identity;
  }

  get userId(): string {
    return this.#caller.identity.userId;
  }

  /** Set once registered. */
  set user(user: UserSessions) {
    this.#user = user;
  }

  close(code: CloseCode, reason: string, reconnectAfterMs?: number): void {
    this.#connection.close(code, reason, undefined, reconnectAfterMs);
  }

  /** Ends what the session holds. Called by its connection. */
  end(): void {
    this.#ended = true;
    for (const subscription of this.#rooms.values()) {
      subscription.end();
      this.#services.hub.release(subscription.feed);
    }
    this.#rooms.clear();
    this.#waiting = [];
  }

  // — frames —

  receive(client: ClientFrame): void {
    const { ref, frame } = client;
    const operation = frame.case ?? "unknown";
    this.#heartbeat.heard();
    const waitMs = this.#frameRate.take(this.#services.deps.clock.monotonic());
    if (waitMs > 0) {
      const refusal = new TrunklineError(ErrorCode.RATE_LIMITED, "too many frames", { retryAfterMs: waitMs });
      this.#connection.refuse(ref, operation, refusal);
      return;
    }
    try {
      this.#dispatch(ref, frame);
    } catch (error) {
      this.#connection.refuse(ref, operation, TrunklineError.from(error));
    }
  }

  #dispatch(ref: number, frame: ClientFrame["frame"]): void {
    switch (frame.case) {
      case "publish":
        this.#publish(ref, frame.value);
        return;
      case "subscribe":
        this.#request(ref, frame.case, frame.value.roomId, () => this.#subscribe(ref, frame.value));
        return;
      case "unsubscribe":
        this.#request(ref, frame.case, frame.value.roomId, () => this.#unsubscribe(ref, frame.value));
        return;
      case "call":
        this.#request(ref, frame.case, laneOf(frame.value), () => this.#call(ref, frame.value));
        return;
      case "refreshToken":
        this.#request(ref, frame.case, OWN_LANE, () => this.#refreshToken(ref, frame.value.token));
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
      default:
        throw new TrunklineError(ErrorCode.UNSUPPORTED, `${frame.case} is not supported yet`);
    }
  }

  /** A request that may wait. In its lane it begins after those sent before it, and holds up those sent after it. */
  #request(ref: number, operation: string, lane: string, handle: () => Promise<void>): void {
    this.#enter();
    this.#lanes ??= new Lanes();
    this.#lanes.run(lane, () =>
      handle()
        .catch((error: unknown) => this.#connection.refuse(ref, operation, TrunklineError.from(error)))
        .finally(() => this.#leave()),
    );
  }

  #enter(): void {
    const { maxInFlight } = this.#services.deps.limits;
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
    this.#inFlight++;
    this.#services.requests.enter();
  }

  #leave(): void {
    this.#inFlight--;
    this.#services.requests.leave();
  }

  #reply(ref: number, frame: wire.ServerFrame["frame"]): void {
    if (ref !== 0 && !this.#ended) this.#connection.send(frame, ref);
  }

  // — messages —

  #publish(ref: number, publish: wire.Publish): void {
    const command = this.#publishCommand(publish);
    this.#limitPublish();
    this.#enter();
    const room = roomRef(this.identity.tenantId, publish.roomId);
    const settle = (outcome: Promise<Outcome>): void => {
      outcome.then(
        (done) => {
          this.#leave();
          this.#reply(ref, { case: "published", value: publishedFrom(done) });
        },
        (error: unknown) => {
          this.#leave();
          this.#connection.refuse(ref, "publish", TrunklineError.from(error));
        },
      );
    };
    const submit = (): Promise<unknown> | undefined => {
      const { turned, outcome } = this.#services.owner.submit(room, this.#caller, command);
      settle(outcome);
      return turned;
    };
    this.#lanes ??= new Lanes();
    this.#lanes.run(publish.roomId, submit);
  }

  #publishCommand(publish: wire.Publish): Command {
    const { limits } = this.#services.deps;
    validate.validateId("publish.room_id", publish.roomId);
    validate.validateId("publish.client_message_id", publish.clientMessageId);
    validate.validateBody("publish.body", publish.body, limits);
    validate.validateOptionalId("publish.reply_to", publish.replyTo);
    validate.validateOptionalId("publish.thread_root", publish.threadRoot);
    validate.validateMentions("publish.mentions", publish.mentions);
    validate.validateMetadata("publish.metadata", publish.metadata, limits);
    if (publish.expiresAfterMs !== undefined) {
      throw new TrunklineError(ErrorCode.UNSUPPORTED, "publish.expires_after_ms: not supported yet", {
        field: "publish.expires_after_ms",
      });
    }
    const { body, replyTo, threadRoot, mentions, metadata, clientMessageId, attempt } = publish;
    if (body === undefined) throw TrunklineError.invalid("publish.body", "is required");
    return { kind: "publish", key: clientMessageId, attempt, body, replyTo, threadRoot, mentions, metadata };
  }

  #limitPublish(): void {
    const nowMs = this.#services.deps.clock.monotonic();
    const waitMs = this.#publishRate.take(nowMs) || (this.#user?.rate.take(nowMs) ?? 0);
    if (waitMs > 0) throw new TrunklineError(ErrorCode.RATE_LIMITED, "too many messages", { retryAfterMs: waitMs });
  }

  // — rooms —

  /** The rooms of the Hello: each answered by a push. */
  resumeRooms(rooms: readonly wire.RoomPosition[]): void {
    for (const room of rooms) {
      this.#lanes ??= new Lanes();
      this.#lanes.run(room.roomId, () =>
        Promise.resolve(
          this.#services.places.run(() => this.#open(room.roomId, room.after, 0, "hello.rooms.room_id")),
        ).catch((error: unknown) => {
          const refusal = TrunklineError.from(error);
          this.#services.refused("hello.rooms", refusal);
          if (!this.#ended) {
            this.#connection.send({ case: "error", value: wireError(refusal, { room_id: room.roomId }) });
          }
        }),
      );
    }
  }

  async #subscribe(ref: number, { roomId, after }: wire.Subscribe): Promise<void> {
    await this.#open(roomId, after, ref, "subscribe.room_id");
  }

  async #open(roomId: string, after: wire.Subscribe["after"], ref: number, field: string): Promise<void> {
    validate.validateId(field, roomId);
    if (this.#ended) return;
    const { maxRoomsPerSession } = this.#services.deps.limits;
    if (!this.#rooms.has(roomId) && this.#rooms.size >= maxRoomsPerSession) {
      throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many rooms subscribed", {
        details: { limit: String(maxRoomsPerSession) },
      });
    }
    this.#drop(roomId);
    const room = roomRef(this.identity.tenantId, roomId);
    await openSubscription(this.#services, this, room, this.#caller, after, {
      opening: (subscription) => this.#rooms.set(roomId, subscription),
      failed: () => this.#drop(roomId),
      opened: (opened) => this.#subscribed(roomId, opened, ref),
    });
  }

  #subscribed(roomId: string, opened: Opened, ref: number): void {
    const { top, room, member, outcome } = opened;
    // A subscription that nobody wants an answer to still begins with its outcome: the events after it mean nothing without.
    this.#connection.send(
      { case: "subscribed", value: create(wire.SubscribedSchema, { roomId, top, room, member, outcome }) },
      ref,
    );
  }

  async #unsubscribe(ref: number, { roomId }: wire.Unsubscribe): Promise<void> {
    validate.validateId("unsubscribe.room_id", roomId);
    this.#drop(roomId);
    this.#reply(ref, {
      case: "unsubscribed",
      value: create(wire.UnsubscribedSchema, { roomId, reason: wire.UnsubscribeReason.REQUESTED }),
    });
  }

  #drop(roomId: string): void {
    const subscription = this.#rooms.get(roomId);
    if (subscription === undefined) return;
    this.#rooms.delete(roomId);
    subscription.end();
    this.#services.hub.release(subscription.feed);
  }

  async #call(ref: number, { rpc }: wire.Call): Promise<void> {
    if (rpc.case === undefined) throw TrunklineError.invalid("call", "no method that this server knows is set");
    const result = await this.#services.rooms.call(this.#caller, rpc);
    this.#reply(ref, { case: "callResult", value: create(wire.CallResultSchema, { rpc: result }) });
  }

  // — token —

  async #refreshToken(ref: number, token: string): Promise<void> {
    if (token === "") throw TrunklineError.invalid("refresh_token.token", "is required");
    const identity = await this.#services.deps.verifier.verify(token);
    if (identity.tenantId !== this.identity.tenantId || identity.userId !== this.identity.userId) {
      throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "the token is another user's");
    }
    const demoted = isAdministrator(this.identity) && !isAdministrator(identity);
    this.#caller = { identity, deviceId: this.deviceId };
    this.verifiedAtMs = this.#services.deps.clock.now();
    this.#tokenWarned = false;
    this.#connection.reschedule();
    const expiresAt = identity.expiresAtMs === undefined ? undefined : timestampFromMs(identity.expiresAtMs);
    this.#reply(ref, { case: "tokenAccepted", value: create(wire.TokenAcceptedSchema, { expiresAt }) });
    if (demoted) for (const roomId of this.#rooms.keys()) this.#authorizeAgain(roomId);
  }

  /** In the room's lane: a subscription that is being opened was perhaps authorized as the user was before, and is then judged. */
  #authorizeAgain(roomId: string): void {
    this.#lanes ??= new Lanes();
    this.#lanes.run(roomId, async () => {
      const subscription = this.#rooms.get(roomId);
      if (subscription === undefined) return;
      try {
        await authorizeReading(this.#services, subscription.feed.ref, this.#caller);
      } catch (error) {
        if (this.#rooms.get(roomId) !== subscription) return;
        this.#readingRefused(subscription, TrunklineError.from(error));
      }
    });
  }

  #readingRefused(subscription: Subscription, refusal: TrunklineError): void {
    switch (refusal.code) {
      case ErrorCode.NOT_A_MEMBER:
      case ErrorCode.PERMISSION_DENIED:
      case ErrorCode.NOT_FOUND:
        subscription.end();
        this.lost(subscription, "access-lost");
        return;
      default:
        // Nobody can tell whether the user may read the room: a fresh session of the same token will find out, and misses nothing.
        this.#connection.close(CloseCode.UNAVAILABLE, "the rooms could not be authorized anew", refusal);
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

  // — what subscriptions ask of their session —

  send(frame: RoomEventsFrame): boolean {
    const { outbox } = this.#connection;
    if (outbox.full) return false;
    outbox.push(this.#connection.encodeEvents(frame));
    return true;
  }

  get ready(): boolean {
    return this.#connection.outbox.ready;
  }

  wait(subscription: Subscription): void {
    if (!this.#waiting.includes(subscription)) this.#waiting.push(subscription);
  }

  /** The outbox is ready: those that waited go on, in turn. */
  onReady(): void {
    // Whoever has filled the outbox waits behind those that had no turn yet, or a busy room would starve the others.
    while (this.ready) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next.resume();
    }
  }

  lost(subscription: Subscription, loss: AccessLoss): void {
    const { roomId } = subscription.feed.ref;
    if (this.#rooms.get(roomId) === subscription) this.#rooms.delete(roomId);
    this.#services.hub.release(subscription.feed);
    const reason = loss === "room-deleted" ? wire.UnsubscribeReason.ROOM_DELETED : wire.UnsubscribeReason.ACCESS_LOST;
    this.#connection.send({ case: "unsubscribed", value: create(wire.UnsubscribedSchema, { roomId, reason }) });
  }

  reset(subscription: Subscription): void {
    const { ref, top } = subscription.feed;
    this.#connection.send({
      case: "subscribed",
      value: create(wire.SubscribedSchema, {
        roomId: ref.roomId,
        top: create(PositionSchema, { seq: top }),
        outcome: { case: "reset", value: create(wire.ResetSchema, { reason: wire.ResetReason.EXPIRED }) },
      }),
    });
  }

  lagging(subscription: Subscription, behind: number): void {
    this.#services.deps.telemetry.emit("session.lagging", {
      sessionId: this.id,
      roomId: subscription.feed.ref.roomId,
      behind,
    });
  }

  after(delayMs: number, action: () => void): Timer {
    return this.#services.deps.clock.after(delayMs, action);
  }
}

/** Calls about one room keep their order with its other frames. */
function laneOf({ rpc }: wire.Call): string {
  return rpc.value !== undefined && "roomId" in rpc.value ? rpc.value.roomId : OWN_LANE;
}

function publishedFrom(outcome: Outcome): wire.Published {
  return create(wire.PublishedSchema, {
    messageId: outcome.eventId,
    position: create(PositionSchema, { seq: outcome.seq, tag: outcome.tag }),
    createdAt: timestampFromMs(outcome.createdAtMs),
    duplicate: outcome.duplicate,
    messageIndex: outcome.messageIndex,
  });
}
