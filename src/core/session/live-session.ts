// A session after its Welcome: one case per frame.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { type AddressClass, Permission } from "../../gen/trunkline/v1/message_pb.js";
import * as wire from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { roomRef } from "../../ports/room-ref.js";
import type { EntryDevice, LocalSession } from "../../ports/session-directory.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { SignalFrame } from "../fanout/shared-frame.js";
import type { Limits } from "../limit/limits.js";
import { classOfCall } from "../limit/operations.js";
import type { OperationClass } from "../limit/rates.js";
import type { SessionPresence, WatchingSession } from "../presence/session-presence.js";
import type { Caller } from "../room/calls.js";
import type { Command, Outcome } from "../room/command.js";
import { isGranted, isService } from "../room/permissions.js";
import { SessionSignals } from "../signal/session-signals.js";
import { validateId } from "../validate.js";
import { changedFrom, deleteCommand, editCommand, publishCommand, publishedFrom, reactCommand } from "./commands.js";
import { SessionDeadlines } from "./deadlines.js";
import { done, serverFrame, wireError } from "./frames.js";
import type { LiveConnection } from "./live-connection.js";
import type { ClientFrame } from "./port.js";
import { RoomSubscriptions } from "./room-subscriptions.js";
import type { SessionServices } from "./services.js";
import { SessionRequests } from "./session-requests.js";

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
  readonly #deadlines: SessionDeadlines;
  #caller: Caller;
  readonly #requests: SessionRequests;
  readonly #rooms: RoomSubscriptions;
  /** Made with the first of them: most sessions only listen. */
  #signals: SessionSignals | undefined;
  /** There from the first watch on. */
  #presence: SessionPresence | undefined;

  constructor(services: SessionServices, connection: LiveConnection, admitted: Admitted) {
    const { clock } = services.deps;
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
    this.#requests = new SessionRequests(services, connection, this);
    this.#rooms = new RoomSubscriptions(services, connection, this, this.#caller);
    this.#deadlines = new SessionDeadlines(services.deps, connection);
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
    return this.#requests.idle;
  }

  /** There is a place for it. Called once. */
  registered(): void {
    this.#requests.registered(this.identity);
  }

  close(code: CloseCode, reason: string, reconnectAfterMs?: number): void {
    this.#connection.close(code, reason, undefined, reconnectAfterMs);
  }

  /** Ends what the session holds. Called by its connection. */
  end(): void {
    this.#requests.end();
    this.#rooms.end();
    this.#signals?.end();
    this.#presence?.end();
  }

  // — frames —

  receive(client: ClientFrame): void {
    const { ref, frame } = client;
    const operation = frame.case ?? "unknown";
    this.#deadlines.heard();
    if (this.#requests.refusesFrame(ref, operation)) return;
    try {
      this.#dispatch(ref, frame);
    } catch (error) {
      this.#requests.refuse(ref, operation, TrunklineError.from(error));
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
        this.#ask(ref, "read", frame.case, frame.value.roomId, () => this.#subscribe(ref, frame.value));
        return;
      case "unsubscribe":
        this.#ask(ref, undefined, frame.case, frame.value.roomId, () => this.#unsubscribe(ref, frame.value));
        return;
      case "mark":
        this.#ask(ref, "mark", frame.case, frame.value.roomId, () => this.#mark(ref, frame.value));
        return;
      case "call":
        this.#ask(ref, classOf(frame.value), frame.case, laneOf(frame.value), () => this.#call(ref, frame.value));
        return;
      case "typing":
        this.#typing(ref, frame.value);
        return;
      case "sendSignal": {
        const { lane, send } = this.#saying().prepare(frame.value);
        this.#ask(ref, "signal", frame.case, lane, () => send().then(() => this.#reply(ref, done())));
        return;
      }
      case "setPresence":
        this.#ask(ref, "presence", frame.case, OWN_LANE, () => this.#setPresence(ref, frame.value));
        return;
      case "watchPresence":
        this.#ask(ref, "presence", frame.case, OWN_LANE, () => this.#watchPresence(ref, frame.value));
        return;
      case "refreshToken":
        this.#ask(ref, "settings", frame.case, OWN_LANE, () => this.#refreshToken(ref, frame.value.token));
        return;
      case "ping":
        this.#connection.send({ case: "pong", value: create(wire.PongSchema, { id: frame.value.id }) }, ref);
        return;
      case "pong":
        this.#deadlines.answered(frame.value.id);
        return;
      case "hello":
        throw TrunklineError.invalid("hello", "was said already");
      case undefined:
        throw new TrunklineError(ErrorCode.UNSUPPORTED, "no frame that this server knows is set", { field: "frame" });
    }
  }

  #ask(
    ref: number,
    of: OperationClass | undefined,
    operation: string,
    lane: string,
    handle: () => Promise<void>,
  ): void {
    this.#requests.ask({ ref, of, operation, lane }, handle);
  }

  #reply(ref: number, frame: wire.ServerFrame["frame"]): void {
    this.#requests.reply(ref, frame);
  }

  // — messages —

  #publish(ref: number, publish: wire.Publish, limits: Limits): void {
    const { body, ...command } = publishCommand(publish, this.identity, limits);
    if (publish.forward !== undefined) {
      const { forward } = publish;
      this.#signals?.publishing(publish.roomId);
      this.#ask(ref, "publish", "publish", publish.roomId, async () => {
        const origin = await this.#services.rooms.forwarded(this.#caller, forward);
        const room = roomRef(this.identity.tenantId, publish.roomId);
        const { outcome } = this.#services.owner.submit(room, this.#caller, { ...command, ...origin });
        this.#reply(ref, publishedFrom(await outcome));
      });
    } else if (body !== undefined) {
      this.#submit(ref, "publish", "publish", publish.roomId, { ...command, body }, publishedFrom);
    }
  }

  /** A change of a room. */
  #submit(
    ref: number,
    of: OperationClass,
    operation: string,
    roomId: string,
    command: Command,
    reply: (outcome: Outcome) => wire.ServerFrame["frame"],
  ): void {
    const room = roomRef(this.identity.tenantId, roomId);
    const submit = () => this.#services.owner.submit(room, this.#caller, command);
    this.#requests.submit({ ref, of, operation, lane: roomId }, submit, reply);
    if (command.kind === "publish") this.#signals?.publishing(roomId);
  }

  // — signals —

  #saying(): SessionSignals {
    this.#signals ??= new SessionSignals(this.#services.signals, this.#caller);
    return this.#signals;
  }

  #typing(ref: number, typing: wire.Typing): void {
    this.#requests.requireCurrent();
    this.#requests.spend("typing");
    const begun = this.#saying().typing(typing);
    if (begun === undefined) this.#reply(ref, done());
    else
      this.#ask(ref, undefined, "typing", `typing ${typing.roomId}`, () => begun.then(() => this.#reply(ref, done())));
  }

  // — rooms —

  /** The rooms of the Hello: each answered by a push. */
  resumeRooms(rooms: readonly wire.RoomPosition[]): void {
    for (const { roomId, after } of rooms) {
      const open = () => this.#rooms.open(roomId, after, 0, "hello.rooms.room_id");
      this.#requests.begin(roomId, () =>
        Promise.resolve(this.#services.places.run(open)).catch((error: unknown) =>
          this.#notResumed(roomId, TrunklineError.from(error)),
        ),
      );
    }
  }

  #notResumed(roomId: string, refusal: TrunklineError): void {
    this.#services.refused("hello.rooms", refusal);
    if (!this.#requests.ended) this.#connection.send({ case: "error", value: wireError(refusal, { room_id: roomId }) });
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
    if (this.#requests.ended) return;
    await this.#watch.watch(frame, (value) => this.#reply(ref, { case: "presenceSnapshot", value }));
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
    this.#deadlines.renewed();
    this.#connection.reschedule();
    const expiresAt = identity.expiresAtMs === undefined ? undefined : timestampFromMs(identity.expiresAtMs);
    this.#reply(ref, { case: "tokenAccepted", value: create(wire.TokenAcceptedSchema, { expiresAt }) });
    if (demoted || sees) void this.#presence?.authorizeAgain();
    if (!demoted) return;
    for (const roomId of this.#rooms.roomIds) {
      // In the room's lane: a subscription that is being opened was perhaps authorized as the user was before, and is then judged.
      this.#requests.after(roomId, () => this.#rooms.authorizeAgain(roomId));
    }
  }

  // — what it is told —

  /** Returns in how many milliseconds to look again; 0: the session has ended. */
  tick(monotonicMs: number): number {
    return this.#deadlines.tick(monotonicMs, this.identity.expiresAtMs);
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
