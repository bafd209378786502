// A client as docs/protocol.md tells to write one: keeps positions, drops by seq, pages gaps, reloads on reset, resends under the
// same key, and lets the goodbye's number decide when to come back.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { CloseCode, ErrorCode, type Error as WireError } from "../../src/gen/trunkline/v1/error_pb.js";
import type { Position, RoomEvent } from "../../src/gen/trunkline/v1/message_pb.js";
import {
  type CallSchema,
  type ClientFrame,
  ClientFrameSchema,
  PresenceStatus,
  type ServerFrame,
  type Subscribed,
  type Unsubscribed,
  UnsubscribeReason,
} from "../../src/gen/trunkline/v1/session_pb.js";
import type { Timer } from "../../src/ports/clock.js";
import type { Chance } from "./chance.js";
import type { Checker } from "./checker.js";
import type { Coverage, State } from "./coverage.js";
import { type Arrival, type Link, outcomeOf, placeOf } from "./link.js";
import type { MarkerRecords } from "./marker-records.js";
import { PresenceWatch } from "./presence-watch.js";
import type { SimulatedClock } from "./time.js";
import type { Trace } from "./trace.js";
import { Violation } from "./violation.js";

export type FrameInit = NonNullable<MessageInitShape<typeof ClientFrameSchema>["frame"]>;
type CallInit = NonNullable<MessageInitShape<typeof CallSchema>["rpc"]>;

/** A change that is not answered yet. */
export interface Change {
  readonly key: string;
  readonly roomId: string;
  readonly what: State;
  readonly text: string;
  readonly frame: (attempt: number) => FrameInit;
  attempt: number;
}

/** What is said beside the text of a message. */
export interface Said {
  /** So many bytes more. */
  readonly padding?: number;
  /** Users who are named. */
  readonly mentions?: readonly string[];
  readonly expiresAfterMs?: number;
  readonly replyTo?: string;
  readonly threadRoot?: string;
}

/** A room as the application holds it. */
export interface HeldRoom {
  readonly roomId: string;
  /** The last position handled; undefined: nothing is held, begin from now. */
  position: Position | undefined;
  /** What is waited for: nothing, an outcome, pages of a gap, a history. */
  state: "out" | "wanted" | "asked" | "paging" | "loading" | "live";
  /** Whether this connection has a subscription: also while another is asked for in its place. */
  subscribed: boolean;
  /** Whether what that subscription brings was let fall: until another begins, it has holes. */
  holed: boolean;
  /** The end of the gap that is paged. */
  gapTo: number;
  /** Live events that wait behind the gap. */
  readonly held: RoomEvent[];
}

export interface DeviceOptions {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly chance: Chance;
  readonly checker: Checker;
  readonly markers: MarkerRecords;
  readonly coverage: Coverage;
  readonly trace: Trace;
  readonly clock: SimulatedClock;
  readonly eventId: (roomId: string, userId: string, key: string) => string;
  /** A token; fresh where the last one was used up. */
  readonly token: (fresh: boolean) => string;
  /** A change is begun. */
  readonly begins: (device: Device, change: Change) => void;
  /** A new connection, or in how many milliseconds to ask again. */
  readonly connect: (device: Device) => Link | number;
}

/** When to subscribe again of whom nobody could say whether they may, in milliseconds. */
const ASK_AGAIN_MS = 1_000;
/** Changes that make a room, or find it. */
const MADE: ReadonlySet<State> = new Set(["rooms created", "rooms under others created", "direct rooms made"]);

const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 30_000;
/** Smaller than a gap, so that one takes several pages. */
const PAGE_EVENTS = 25;
const HISTORY_PAGE = 20;

export class Device {
  readonly tenantId: string;
  readonly userId: string;
  readonly name: string;
  readonly rooms = new Map<string, HeldRoom>();
  readonly changes = new Map<string, Change>();
  /** Whether the network takes nothing from the connection. */
  stalled = false;
  /** Whether the owner wants to be connected. */
  wanted = false;
  /** Whether pings are answered and tokens refreshed. */
  diligent = true;
  link: Link | undefined;
  /** Known from the first welcome on. */
  inboxId = "";
  /** What the user has chosen on this device. */
  presence = PresenceStatus.ONLINE;
  /** Who is watched, and how they are seen. */
  readonly watching = new PresenceWatch();
  /** Undefined: nothing was ever chosen. */
  #presenceSaid: boolean | undefined;
  /** How often markers had been lost when each mark was sent. */
  readonly #marks = new WeakMap<ClientFrame, number>();
  readonly #options: DeviceOptions;
  #live = false;
  #attempt = 0;
  #keys = 0;
  #failures = 0;
  #freshToken = false;
  #reconnect: Timer | undefined;

  constructor(options: DeviceOptions) {
    this.#options = options;
    this.tenantId = options.tenantId;
    this.userId = options.userId;
    this.name = `${options.tenantId}.${options.userId}.${options.deviceId}`;
  }

  get live(): boolean {
    return this.#live;
  }

  /** Nothing is waited for. */
  get quiet(): boolean {
    if (this.changes.size > 0 || !this.#live || this.link === undefined) return false;
    if (this.#presenceSaid === false || this.watching.isAsked) return false;
    if (this.link.unanswered > 0 || this.link.waiting > 0) return false;
    return [...this.rooms.values()].every(({ state }) => state === "live" || state === "out");
  }

  /** Why it is not quiet. */
  describe(): string {
    const rooms = [...this.rooms.values()].filter(({ state }) => state !== "live" && state !== "out");
    const waits = [
      `${this.link === undefined ? "no link" : this.#live ? "live" : "no welcome"}`,
      `${this.link?.unanswered ?? 0} unanswered`,
      `${this.link?.waiting ?? 0} waiting`,
      `changes ${[...this.changes.keys()].join(",")}`,
      `rooms ${rooms.map(({ roomId, state }) => `${roomId} ${state}`).join(",")}`,
    ];
    return `${this.name}: ${waits.join(", ")}`;
  }

  // — connection —

  connect(): void {
    this.#reconnect?.cancel();
    this.#reconnect = undefined;
    this.wanted = true;
    this.link?.cut(true);
    this.#open();
  }

  /** A second connection while the first still looks alive: the server is to replace it. */
  replace(): Link | undefined {
    const { link } = this;
    this.#reconnect?.cancel();
    this.#open();
    return link;
  }

  #open(): void {
    this.#gone();
    const link = this.#options.connect(this);
    if (typeof link === "number") {
      this.#comeBack(link);
      return;
    }
    this.link = link;
    this.#attempt += 1;
    const rooms = [...this.rooms.values()].filter(({ state }) => state !== "out").slice(0, 10);
    for (const room of rooms) room.state = "asked";
    this.#send({
      case: "hello",
      value: {
        token: this.#options.token(this.#freshToken),
        device: { deviceId: this.#options.deviceId },
        attempt: this.#attempt,
        protocol: 1,
        rooms: rooms.map(({ roomId, position }) => ({ roomId, ...(position && { after: position }) })),
      },
    });
    this.#freshToken = false;
  }

  /** The network breaks; the device comes back by itself. */
  cut(): void {
    this.link?.cut(false);
    this.lost();
  }

  /** The connection is gone already. */
  lost(): void {
    this.#gone();
    this.#comeBack(undefined);
  }

  /** The user goes away. */
  leave(): void {
    this.wanted = false;
    this.#reconnect?.cancel();
    this.link?.cut(true);
    this.#gone();
  }

  #gone(): void {
    this.link = undefined;
    this.#live = false;
    this.watching.lost();
    this.stalled = false;
    for (const room of this.rooms.values()) {
      room.held.length = 0;
      if (room.state === "loading") room.position = undefined;
      if (room.state !== "out") room.state = "wanted";
      room.subscribed = false;
      room.holed = false;
    }
  }

  #comeBack(afterMs: number | undefined): void {
    if (!this.wanted) return;
    const backoffMs = Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_LAST_MS);
    const delayMs = afterMs ?? backoffMs * (0.5 + this.#options.chance.below(1_000) / 1_000);
    this.#reconnect?.cancel();
    this.#reconnect = this.#options.clock.after(delayMs, () => {
      if (this.wanted && this.link === undefined) this.connect();
    });
  }

  // — what arrives —

  arrive(arrival: Arrival): void {
    if (arrival.is === "frame") this.#frame(arrival.frame, arrival.request);
    else if (this.link !== undefined) {
      this.link.cut(true);
      this.#gone();
      this.#ended(arrival.code);
    }
  }

  #goodbye: number | undefined;

  /** The number of the goodbye decides. */
  #ended(code: CloseCode): void {
    this.#options.trace.note(`${this.name} ended ${CloseCode[code]}`);
    const state = CLOSED[code];
    if (state !== undefined) this.#options.coverage.count(state);
    const afterMs = this.#goodbye;
    this.#goodbye = undefined;
    if (code >= 4500) this.wanted = false;
    else if (code >= 4200) {
      this.#freshToken = true;
      this.#comeBack(0);
    } else if (code >= 4100) this.#comeBack(afterMs || this.#options.chance.between(1_000, 10_000));
    else this.#comeBack(this.#options.chance.between(0, 200));
  }

  #frame({ frame }: ServerFrame, request: ClientFrame | undefined): void {
    const { coverage, trace } = this.#options;
    trace.note(`${this.name} ← ${frame.case}${request === undefined ? "" : ` to ${request.frame.case}`}`);
    switch (frame.case) {
      case "welcome":
        this.inboxId = frame.value.inboxRoomId;
        this.#welcomed();
        return;
      case "goodbye":
        this.#goodbye = frame.value.reconnectAfterMs;
        return;
      case "ping":
        if (this.diligent) this.#send({ case: "pong", value: { id: frame.value.id } }, false);
        return;
      case "tokenExpiring":
        if (this.diligent) this.#send({ case: "refreshToken", value: { token: this.#options.token(true) } });
        return;
      case "tokenAccepted":
        coverage.count("tokens refreshed");
        return;
      case "subscribed":
        this.#subscribed(frame.value);
        return;
      case "unsubscribed":
        this.#unsubscribed(frame.value);
        return;
      case "roomEvents":
        this.#events(frame.value.roomId, frame.value.events);
        return;
      case "published":
        if (frame.value.duplicate) coverage.count("duplicates answered");
        this.#done(request, placeOf(frame.value.position), frame.value.messageId);
        return;
      case "changed":
        if (frame.value.duplicate) coverage.count("duplicates answered");
        this.#done(request, placeOf(frame.value.position), "");
        return;
      case "done":
        this.#marked(request);
        if (request?.frame.case === "setPresence" && request.frame.value.status === this.presence) {
          this.#presenceSaid = true;
          coverage.count("presence set");
        }
        return;
      case "presenceSnapshot":
        if (this.watching.snapshot(frame.value, request)) coverage.count("presence watched");
        return;
      case "presenceChanges":
        this.watching.changes(frame.value);
        coverage.count("changes of presence told");
        return;
      case "callResult":
        this.#result(frame.value, request);
        return;
      case "error":
        this.#refused(frame.value, request);
        return;
    }
  }

  #welcomed(): void {
    this.#live = true;
    this.#failures = 0;
    // No server remembers it for longer than a moment.
    if (this.#presenceSaid !== undefined) this.choosePresence(this.presence);
    if (!this.watching.isEmpty) this.#askWatch();
    for (const change of this.changes.values()) this.#resend(change);
    for (const room of this.rooms.values()) if (room.state === "wanted") this.#ask(room);
  }

  // — rooms —

  /** Begins to read a room: from the first event, or from now. */
  subscribe(roomId: string, fromFirst: boolean): void {
    let room = this.rooms.get(roomId);
    if (room === undefined || room.state === "out") {
      const { position: known, subscribed = false, holed = false } = room ?? {};
      room = { roomId, position: known, state: "wanted", subscribed, holed, gapTo: 0, held: [] };
      this.rooms.set(roomId, room);
      if (fromFirst && room.position === undefined) {
        room.position = position(0, 0);
        this.#options.checker.begins(this.name, this.#key(roomId), 0);
      }
    }
    if (this.#live && room.state !== "paging" && room.state !== "loading" && room.state !== "asked") this.#ask(room);
  }

  unsubscribe(roomId: string): void {
    const room = this.rooms.get(roomId);
    if (room?.state === "live" && this.#live) this.#drop(room);
  }

  /** Wants the room no longer. */
  #drop(room: HeldRoom): void {
    room.state = "out";
    room.holed = room.subscribed;
    if (room.subscribed) this.#send({ case: "unsubscribe", value: { roomId: room.roomId } });
  }

  #key(roomId: string): string {
    return `${this.tenantId}/${roomId}`;
  }

  #ask(room: HeldRoom): void {
    room.state = "asked";
    room.held.length = 0;
    this.#send({ case: "subscribe", value: { roomId: room.roomId, ...(room.position && { after: room.position }) } });
  }

  #unsubscribed({ roomId, reason }: Unsubscribed): void {
    const { coverage } = this.#options;
    const room = this.rooms.get(roomId);
    if (room !== undefined) {
      room.subscribed = false;
      room.holed = false;
    }
    if (reason === UnsubscribeReason.REQUESTED) {
      coverage.count("unsubscribed");
      return;
    }
    if (reason === UnsubscribeReason.UNAVAILABLE) {
      coverage.count("unsubscribed without an answer of a hook");
      if (room?.state !== "live") return;
      room.state = "wanted";
      this.#later(ASK_AGAIN_MS, () => {
        if (this.rooms.get(roomId) === room && room.state === "wanted") this.#ask(room);
      });
      return;
    }
    const deleted = reason === UnsubscribeReason.ROOM_DELETED;
    coverage.count(deleted ? "rooms deleted while subscribed" : "access lost while subscribed");
    if (room !== undefined) room.state = "out";
  }

  #subscribed(subscribed: Subscribed): void {
    const { checker, coverage, trace } = this.#options;
    const room = this.rooms.get(subscribed.roomId);
    const outcome = outcomeOf(subscribed);
    if (room !== undefined) {
      room.subscribed = outcome.is !== "reset";
      room.holed = room.state === "out";
    }
    if (room === undefined || room.state === "out") return;
    trace.note(`${this.name}   ${subscribed.roomId} ${outcome.is} top ${subscribed.top?.seq}`);
    room.held.length = 0;
    switch (outcome.is) {
      case "caught-up":
        coverage.count("caught up");
        if (room.position === undefined) {
          room.position = subscribed.top;
          checker.begins(this.name, this.#key(room.roomId), subscribed.top?.seq ?? 0);
        }
        room.state = "live";
        return;
      case "replaying":
        coverage.count("replaying");
        room.state = "live";
        return;
      case "gap":
        coverage.count("gaps named");
        room.gapTo = outcome.to;
        this.#askForPage(room);
        return;
      case "reset":
        if (room.state !== "asked") coverage.count("reset while live");
        coverage.count(RESETS[outcome.reason]);
        this.#reload(room);
        return;
    }
  }

  #askForPage(room: HeldRoom): void {
    room.state = "paging";
    const fromSeq = (room.position?.seq ?? 0) + 1;
    this.#call({
      case: "getEvents",
      value: { roomId: room.roomId, fromSeq, toSeq: room.gapTo, limit: PAGE_EVENTS },
    });
  }

  /** Drops what is held of the room and loads it anew. */
  #reload(room: HeldRoom): void {
    room.position = undefined;
    room.held.length = 0;
    room.state = "loading";
    this.#call({ case: "getHistory", value: { roomId: room.roomId, limit: HISTORY_PAGE } });
  }

  #events(roomId: string, events: readonly RoomEvent[]): void {
    const room = this.rooms.get(roomId);
    if (room === undefined || room.state === "out" || room.holed) return;
    // Those of the subscription before may be ahead of the place that was asked for: the new one brings them again, if it is not refused.
    if (room.state === "paging" || room.state === "asked") room.held.push(...events);
    else for (const event of events) this.#accept(room, event);
  }

  /** The rule of the contract: drop what is at or below the seq one has. */
  #accept(room: HeldRoom, event: RoomEvent): void {
    if (room.position === undefined || (event.position?.seq ?? 0) <= room.position.seq) return;
    this.#options.checker.handed(this.name, this.#key(room.roomId), event);
    if (event.kind.case === "messageDeleted" && event.kind.value.expired)
      this.#options.coverage.count("messages expired");
    room.position = event.position;
  }

  // — presence —

  choosePresence(status: PresenceStatus): void {
    this.presence = status;
    this.#presenceSaid = false;
    if (this.#live) this.#send({ case: "setPresence", value: { status } });
  }

  // — who is there —

  /** Watches these users, and the members of these rooms, and nobody else, on this connection and those after it. */
  watch(userIds: readonly string[], roomIds: readonly string[]): void {
    this.watching.become(userIds, roomIds);
    if (this.#live) this.#askWatch();
  }

  #askWatch(): void {
    const { userIds, roomIds } = this.watching;
    this.watching.asked = this.#send({
      case: "watchPresence",
      value: { userIds: [...userIds], roomIds: [...roomIds] },
    });
  }

  // — markers —

  /** Says how far the user has come in a room: up to where the application is, or to a place before. */
  mark(roomId: string, back: number, read: boolean): void {
    const { checker, markers } = this.#options;
    const room = this.rooms.get(roomId);
    if (!this.#live || room?.state !== "live" || room.position === undefined) return;
    const seq = Math.max(room.position.seq - back, 0);
    const tag = back === 0 ? room.position.tag : checker.room(this.#key(roomId)).tagAt(seq);
    if (seq === 0 || tag === undefined) return;
    const value = { roomId, ...(read ? { read: { seq, tag } } : { delivered: { seq, tag } }) };
    markers.asked(this.#key(roomId), this.userId, { delivered: seq, read: read ? seq : 0 });
    const frame = this.#send({ case: "mark", value });
    if (frame !== undefined) this.#marks.set(frame, markers.losses);
  }

  #marked(request: ClientFrame | undefined): void {
    if (request?.frame.case !== "mark") return;
    const { roomId, delivered, read } = request.frame.value;
    const marked = { delivered: delivered?.seq ?? 0, read: read?.seq ?? 0 };
    this.#options.coverage.count("marks counted");
    const { markers } = this.#options;
    // What was lost while the answer was on its way was lost for all that.
    if (this.#marks.get(request) === markers.losses) markers.counted(this.#key(roomId), this.userId, marked);
  }

  // — changes —

  /** Begins a change and keeps it until it is answered. */
  change(what: State, roomId: string, frame: (key: string, attempt: number) => FrameInit, padding = 0): void {
    const key = `${this.#options.deviceId}-${++this.#keys}`;
    const text = `${key} in ${roomId}${".".repeat(padding)}`;
    const change: Change = { key, roomId, what, text, attempt: 0, frame: (attempt) => frame(key, attempt) };
    this.changes.set(key, change);
    this.#options.begins(this, change);
    if (this.#live) this.#resend(change);
  }

  publish(roomId: string, { padding = 0, mentions = [], ...said }: Said = {}): void {
    const key = `${this.#options.deviceId}-${this.#keys + 1}`;
    const text = `${key} in ${roomId}${".".repeat(padding)}`;
    const body = { kind: { case: "text" as const, value: text } };
    this.change(
      "publishes acknowledged",
      roomId,
      (clientMessageId, attempt) => ({
        case: "publish",
        value: {
          roomId,
          clientMessageId,
          attempt,
          body,
          mentions: mentions.map((userId) => ({ userId })),
          ...said,
        },
      }),
      padding,
    );
  }

  #resend(change: Change): void {
    change.attempt += 1;
    if (change.attempt > 1) this.#options.coverage.count("publishes sent again");
    this.#send(change.frame(change.attempt));
  }

  #changeOf(request: ClientFrame | undefined): Change | undefined {
    const frame = request?.frame;
    if (frame?.case === "publish") return this.changes.get(frame.value.clientMessageId);
    if (frame?.case === "editMessage" || frame?.case === "deleteMessage" || frame?.case === "react") {
      return this.changes.get(frame.value.key);
    }
    if (frame?.case !== "call") return undefined;
    const { value } = frame.value.rpc;
    return value !== undefined && "key" in value ? this.changes.get(value.key) : undefined;
  }

  #done(request: ClientFrame | undefined, place: { seq: number; tag: number }, messageId: string): void {
    const { checker, coverage, eventId } = this.#options;
    const change = this.#changeOf(request);
    if (change === undefined) return;
    this.changes.delete(change.key);
    coverage.count(change.what);
    if (MADE.has(change.what)) this.subscribe(change.roomId, true);
    const roomKey = this.#key(change.roomId);
    const message = request?.frame.case === "publish";
    const id = eventId(change.roomId, this.userId, change.key);
    if (message && messageId !== id) throw new Violation("different", `${roomKey}: ${change.key} got another's id`);
    // A change of another kind may have had nothing to change: its place is the top it saw.
    checker.acknowledged({
      ...place,
      roomKey,
      eventId: message ? id : `${change.key} of ${this.name}`,
      clientMessageId: message ? change.key : "",
      text: message ? change.text : "",
    });
  }

  /** A change of the inbox is done. */
  #kept(request: ClientFrame | undefined): void {
    const { checker, coverage, eventId } = this.#options;
    const change = this.#changeOf(request);
    if (change === undefined) return;
    this.changes.delete(change.key);
    coverage.count(change.what);
    checker.blocks.answered(eventId(this.inboxId, this.userId, change.key));
    // What was so already needs no event.
    if (change.what !== "settings changed") return;
    checker.keptForUser(this.#key(this.inboxId), eventId(this.inboxId, this.userId, change.key));
  }

  #result(result: Extract<ServerFrame["frame"], { case: "callResult" }>["value"], request: ClientFrame | undefined) {
    const { rpc } = result;
    const { coverage, checker } = this.#options;
    if (rpc.case === "getEvents") {
      const asked = request?.frame.case === "call" ? request.frame.value.rpc : undefined;
      const room = asked?.case === "getEvents" ? this.rooms.get(asked.value.roomId) : undefined;
      if (room?.state !== "paging") return;
      coverage.count("gaps paged");
      for (const event of rpc.value.events) this.#accept(room, event);
      if ((room.position?.seq ?? 0) < room.gapTo) {
        if (rpc.value.events.length === 0) throw new Violation("hole", `${this.name}: an empty page in a gap`);
        this.#askForPage(room);
        return;
      }
      room.state = "live";
      for (const event of room.held.splice(0)) this.#accept(room, event);
    } else if (rpc.case === "getHistory") {
      const asked = request?.frame.case === "call" ? request.frame.value.rpc : undefined;
      const room = isReload(asked) ? this.rooms.get(asked.value.roomId) : undefined;
      if (room?.state !== "loading") return;
      coverage.count("histories loaded");
      room.position = rpc.value.asOf;
      checker.begins(this.name, this.#key(room.roomId), rpc.value.asOf?.seq ?? 0);
      this.#ask(room);
    } else {
      const { value } = rpc;
      if (value !== undefined && "position" in value) this.#done(request, placeOf(value.position), "");
      else if (rpc.case === "setSettings" || rpc.case === "hideMessage" || rpc.case === "blockUser")
        this.#kept(request);
    }
  }

  // — refusals —

  #refused(error: WireError, request: ClientFrame | undefined): void {
    const { coverage, checker, eventId, trace } = this.#options;
    trace.note(`${this.name}   ${ErrorCode[error.code]} ${error.message}`);
    if (error.code === ErrorCode.INTERNAL) throw new Violation("different", `${this.name}: ${error.message}`);
    if (error.code === ErrorCode.RATE_LIMITED) coverage.count("rate limited");
    if (error.code === ErrorCode.LIMIT_EXCEEDED) coverage.count("limit exceeded");
    if (error.message.includes("log is behind")) coverage.count("refused: log behind");
    const change = this.#changeOf(request);
    if (change !== undefined) {
      if (error.retryable) {
        coverage.count("refused for now");
        // Each wait is longer than the one before: who asks again and again is no help to a server that cannot.
        const waitMs = Math.min(RETRY_FIRST_MS * 2 ** (change.attempt - 1), RETRY_LAST_MS);
        this.#later(Math.max(error.retryAfterMs ?? 0, waitMs), () => {
          if (this.changes.get(change.key) === change) this.#resend(change);
        });
        return;
      }
      coverage.count("refused for good");
      if (error.code === ErrorCode.BLOCKED) coverage.count("refused behind a block");
      this.changes.delete(change.key);
      checker.refused(this.#key(change.roomId), eventId(change.roomId, this.userId, change.key));
      return;
    }
    this.#roomRefused(error, request);
  }

  #roomRefused(error: WireError, request: ClientFrame | undefined): void {
    const { coverage } = this.#options;
    if (request?.frame.case === "hello" || request?.frame.case === "refreshToken") return;
    if (request === undefined) coverage.count("rooms refused in a hello");
    const rpc = request?.frame.case === "call" ? request.frame.value.rpc : undefined;
    if (request?.frame.case === "setPresence") {
      this.#later(error.retryAfterMs, () => {
        if (this.#presenceSaid === false) this.choosePresence(this.presence);
      });
      return;
    }
    if (request?.frame.case === "watchPresence") {
      this.#watchRefused(error, request);
      return;
    }
    if (request?.frame.case === "unsubscribe") {
      this.#notUnsubscribed(error, request.frame.value.roomId);
      return;
    }
    const asked = request?.frame.case === "subscribe" ? request.frame.value.roomId : undefined;
    const paged = rpc?.case === "getEvents" || isReload(rpc) ? rpc.value.roomId : undefined;
    // Whatever else was asked of a room says nothing of its subscription.
    if (request !== undefined && asked === undefined && paged === undefined) return;
    const room = this.rooms.get(asked ?? paged ?? error.details.room_id ?? "");
    if (room === undefined || room.state === "out" || room.state === "live") return;
    if (error.retryable) {
      this.#later(error.retryAfterMs, () => {
        if (this.rooms.get(room.roomId) !== room) return;
        if (room.state === "paging") this.#askForPage(room);
        else if (room.state === "loading") this.#reload(room);
        else if (room.state === "asked") this.#ask(room);
      });
    } else if (rpc?.case === "getEvents" && error.field === "from_seq") this.#reload(room);
    // A subscription that cannot be moved goes on where it is.
    else if (asked !== undefined && room.subscribed && !room.holed) this.#goOn(room);
    else this.#drop(room);
  }

  /** A room that may not be watched is watched no longer; what cannot be answered now is asked again. */
  #watchRefused({ retryable, retryAfterMs }: WireError, request: ClientFrame): void {
    if (this.watching.asked !== request) return;
    if (!retryable) this.watching.become(this.watching.userIds, []);
    this.#later(retryable ? retryAfterMs : 0, () => {
      if (this.watching.asked === request) this.#askWatch();
    });
  }

  /** The subscription stays as it was: what it brought meanwhile counts, after what lies before it. */
  #goOn(room: HeldRoom): void {
    const first = room.held[0]?.position?.seq ?? 0;
    if (room.position !== undefined && first > room.position.seq + 1) {
      room.gapTo = first - 1;
      this.#askForPage(room);
      return;
    }
    room.state = "live";
    for (const event of room.held.splice(0)) this.#accept(room, event);
  }

  /** What could not be ended goes on, until it is asked for again. */
  #notUnsubscribed(error: WireError, roomId: string): void {
    this.#options.coverage.count("unsubscribing refused");
    this.#later(error.retryAfterMs, () => {
      const room = this.rooms.get(roomId);
      if (room?.state === "out") this.#drop(room);
    });
  }

  /** Does it on this connection, if it is still there then: whatever is not, is done on the next one anyway. */
  #later(delayMs: number | undefined, action: () => void): void {
    const { link } = this;
    this.#options.clock.after(delayMs ?? RETRY_FIRST_MS, () => {
      if (link !== undefined && this.link === link && this.#live) action();
    });
  }

  // — frames —

  #call(rpc: CallInit): void {
    this.#send({ case: "call", value: { rpc } });
  }

  /** Any request that changes nothing. */
  ask(frame: FrameInit): void {
    if (this.#live) this.#send(frame);
  }

  #send(frame: FrameInit, answered = true): ClientFrame | undefined {
    const { link } = this;
    if (link === undefined) return undefined;
    const sent = create(ClientFrameSchema, { ref: answered ? link.nextRef() : 0, frame });
    link.send(sent);
    return sent;
  }
}

type Rpc = Extract<ClientFrame["frame"], { case: "call" }>["value"]["rpc"];

/** Whether a history is asked for because of a reset, and not for somebody to look at. */
function isReload(rpc: Rpc | undefined): rpc is Extract<Rpc, { case: "getHistory" }> {
  return rpc?.case === "getHistory" && rpc.value.limit === HISTORY_PAGE;
}

function position(seq: number, tag: number): Position {
  return { $typeName: "trunkline.v1.Position", seq, tag };
}

const RESETS = {
  "beyond-end": "reset: beyond end",
  "other-history": "reset: other history",
  expired: "reset: expired",
} as const;

const CLOSED: Partial<Record<CloseCode, State>> = {
  [CloseCode.HEARTBEAT_LOST]: "heartbeats lost",
  [CloseCode.TOKEN_EXPIRED]: "tokens expired",
  [CloseCode.REVOKED]: "tokens revoked",
  [CloseCode.TOO_MANY_SESSIONS]: "too many sessions",
  [CloseCode.GOING_AWAY]: "goodbyes of a leaving node",
  [CloseCode.REPLACED]: "devices replaced",
};
