// One connection between a simulated device and the core: the network, and what both ends may be held to.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { encodeRoomEventsFrame } from "../../src/core/fanout/wire.js";
import type { Connection, FrameEncoding, SessionSink, SharedWire } from "../../src/core/session/port.js";
import type { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import type { Marker, Position } from "../../src/gen/trunkline/v1/message_pb.js";
import {
  type ClientFrame,
  ResetReason,
  type ServerFrame,
  ServerFrameSchema,
  type Subscribed,
  UnsubscribeReason,
} from "../../src/gen/trunkline/v1/session_pb.js";
import type { Asked, Checker, Outcome, Place } from "./checker.js";
import { Violation } from "./violation.js";

export const ENCODING: FrameEncoding = {
  name: "simulated",
  frame: (frame) => toBinary(ServerFrameSchema, frame),
  roomEvents: (roomId, events) => encodeRoomEventsFrame(roomId, events),
};

/** The same bytes go to many: decoded once. */
const decoded = new WeakMap<Uint8Array, ServerFrame>();

function decode(bytes: Uint8Array): ServerFrame {
  const known = decoded.get(bytes);
  if (known !== undefined) return known;
  const frame = fromBinary(ServerFrameSchema, bytes);
  decoded.set(bytes, frame);
  return frame;
}

/** What arrives at the client. */
export type Arrival =
  | { readonly is: "frame"; readonly frame: ServerFrame; readonly request: ClientFrame | undefined }
  | { readonly is: "end"; readonly code: CloseCode };

export interface LinkOptions {
  readonly name: string;
  readonly tenantId: string;
  readonly userId: string;
  readonly checker: Checker;
  /** Takes in what the log has got, so that it is known before it is seen. */
  readonly absorb: () => void;
  /** Bytes on their way beyond which the sink refuses. */
  readonly window: number;
  readonly arrived: () => void;
  readonly refused: () => void;
  /** Wall clock, in milliseconds. */
  readonly now: () => number;
  /** A room is shown to who asked for it then; throws where it may not be. */
  readonly shown: (roomKey: string, sinceMs: number) => void;
  /** A room was shown older than it was known to be, and may be. */
  readonly stale: () => void;
  /** Markers of a room are told. */
  readonly marked: (roomKey: string, markers: readonly Marker[]) => void;
  /** A promise did not hold. Reported, not thrown: a sink may not throw, and the core would take it for its own error. */
  readonly violated: (cause: unknown) => void;
}

/** What was known of a room when somebody asked for it, and when that was. */
interface Known extends Asked {
  readonly atMs: number;
}

const NOTHING_KNOWN: Known = { known: 0, knownOfRoot: 0, doubts: 0, atMs: 0 };

export class Link implements SessionSink {
  readonly encoding = ENCODING;
  readonly name: string;
  shared: { readonly wire: SharedWire; readonly session: number } | undefined;
  readonly #options: LinkOptions;
  /** Requests without an answer, by ref. */
  readonly #unanswered = new Map<number, ClientFrame>();
  /** What the hello stated, until it is answered. */
  readonly #stated = new Map<string, Position | undefined>();
  /** How far the rooms had come that a request asks for, by its ref; of the hello by room. */
  readonly #known = new Map<number, Known>();
  readonly #knownThen = new Map<string, Known>();
  readonly #rooms = new Set<string>();
  #connection: Connection | undefined;
  #inbox: Arrival[] = [];
  #bytes = 0;
  #blocked = false;
  #open = true;
  #ref = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.name = options.name;
  }

  set connection(connection: Connection) {
    this.#connection = connection;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Requests and rooms of the hello that have no answer yet. */
  get unanswered(): number {
    return this.#unanswered.size + this.#stated.size;
  }

  get waiting(): number {
    return this.#inbox.length;
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  /** Sends a frame; `answered` false: no reply is wanted. */
  send(frame: ClientFrame): void {
    if (!this.#open) return;
    if (frame.ref !== 0) this.#unanswered.set(frame.ref, frame);
    this.#noteKnown(frame);
    if (frame.frame.case === "hello")
      for (const { roomId, after } of frame.frame.value.rooms) this.#stated.set(roomId, after);
    this.#connection?.receive(frame);
  }

  #noteKnown({ ref, frame }: ClientFrame): void {
    const { checker, tenantId, now } = this.#options;
    const asked = (roomId: string): Known => ({ ...checker.asked(`${tenantId}/${roomId}`), atMs: now() });
    if (frame.case === "hello") for (const { roomId } of frame.value.rooms) this.#knownThen.set(roomId, asked(roomId));
    else if (frame.case === "subscribe") this.#known.set(ref, asked(frame.value.roomId));
    else if (frame.case === "call" && (frame.value.rpc.case === "getEvents" || frame.value.rpc.case === "getHistory"))
      this.#known.set(ref, asked(frame.value.rpc.value.roomId));
  }

  nextRef(): number {
    return ++this.#ref;
  }

  /** At most so many arrivals, in order. */
  take(count: number): readonly Arrival[] {
    const taken = this.#inbox.splice(0, count);
    if (this.#inbox.length === 0) {
      this.#bytes = 0;
      if (this.#blocked) {
        this.#blocked = false;
        this.#connection?.drained();
      }
    }
    return taken;
  }

  /** The network breaks, or the client leaves. What was on its way is lost. */
  cut(clean: boolean): void {
    this.lose();
    this.#connection?.gone(clean);
  }

  /** The other end has died and says nothing. */
  lose(): void {
    this.#open = false;
    this.#inbox = [];
    this.#options.checker.gone(this.name, this.#rooms);
  }

  // — what the core writes —

  write(frames: readonly Uint8Array[]): boolean {
    if (!this.#open) return true;
    try {
      this.#options.absorb();
      for (const bytes of frames) {
        this.#bytes += bytes.length;
        const frame = decode(bytes);
        this.#inbox.push({ is: "frame", frame, request: this.#look(frame) });
      }
    } catch (cause) {
      this.#options.violated(cause);
    }
    this.#options.arrived();
    if (this.#bytes <= this.#options.window) return true;
    if (!this.#blocked) this.#options.refused();
    this.#blocked = true;
    return false;
  }

  end(code: CloseCode): void {
    if (!this.#open) return;
    this.#inbox.push({ is: "end", code });
    this.#options.arrived();
  }

  /** Holds the frame against what was asked and what the log says. Returns the request it answers. */
  #look(frame: ServerFrame): ClientFrame | undefined {
    const { replyTo } = frame;
    const request = this.#unanswered.get(replyTo);
    if (replyTo !== 0 && request === undefined) {
      throw new Violation("not answered", `${this.name}: an answer to ${replyTo}, which has one or was never sent`);
    }
    this.#unanswered.delete(replyTo);
    const known = this.#known.get(replyTo) ?? NOTHING_KNOWN;
    this.#known.delete(replyTo);
    this.#judge(frame, request, known);
    return request;
  }

  #judge({ frame }: ServerFrame, request: ClientFrame | undefined, known: Known): void {
    const { checker, tenantId, userId } = this.#options;
    const keyOf = (roomId: string) => `${tenantId}/${roomId}`;
    switch (frame.case) {
      case "subscribed":
        this.#subscribed(frame.value, request, known);
        return;
      case "roomEvents":
        checker.sent(this.name, keyOf(frame.value.roomId), frame.value.events);
        return;
      case "markers":
        this.#options.marked(keyOf(frame.value.roomId), frame.value.markers);
        return;
      case "unsubscribed": {
        const { roomId, reason } = frame.value;
        // Nobody can say whether they may read on: that is nobody's but the application's to say.
        const isUnknown = reason === UnsubscribeReason.UNAVAILABLE;
        if (isUnknown && !checker.room(keyOf(roomId)).isGoverned)
          throw new Violation("wrong outcome", `${this.name} ${roomId}: nobody else was to be asked`);
        checker.unsubscribed(this.name, keyOf(roomId), !isUnknown && reason !== UnsubscribeReason.REQUESTED);
        return;
      }
      case "error":
        if (request === undefined) this.#stated.delete(frame.value.details.room_id ?? "");
        return;
      case "callResult": {
        const { rpc } = frame.value;
        const asked = request?.frame.case === "call" ? request.frame.value.rpc : undefined;
        if (asked?.case !== rpc.case)
          throw new Violation("not answered", `${this.name}: ${rpc.case} to ${asked?.case}`);
        if (rpc.case === "getEvents" && asked?.case === "getEvents") {
          this.#shown(keyOf(asked.value.roomId), placeOf(rpc.value.top), known);
          checker.shown(keyOf(asked.value.roomId), userId, placeOf(rpc.value.top), rpc.value.events);
        }
        if (rpc.case === "getHistory" && asked?.case === "getHistory") {
          this.#shown(keyOf(asked.value.roomId), placeOf(rpc.value.asOf), known);
          checker.history(keyOf(asked.value.roomId), userId, placeOf(rpc.value.asOf), rpc.value.messages);
        }
        return;
      }
    }
  }

  /** A room is shown as of `top` to who has asked. */
  #shown(roomKey: string, top: Place, asked: Known): void {
    const { checker, stale, userId, shown } = this.#options;
    shown(roomKey, asked.atMs);
    if (checker.shownTo(roomKey, userId, top, asked)) stale();
  }

  #subscribed(subscribed: Subscribed, request: ClientFrame | undefined, known: Known): void {
    const { checker, tenantId, userId } = this.#options;
    const { roomId, top } = subscribed;
    const roomKey = `${tenantId}/${roomId}`;
    const { marker, markers } = subscribed;
    this.#options.marked(roomKey, marker === undefined ? markers : [marker, ...markers]);
    const outcome = outcomeOf(subscribed);
    const asked = request?.frame.case === "subscribe" ? request.frame.value : undefined;
    if (asked === undefined && !this.#stated.has(roomId)) {
      checker.resetWhileLive(this.name, roomKey);
      return;
    }
    const after = asked === undefined ? this.#stated.get(roomId) : asked.after;
    if (asked === undefined) this.#stated.delete(roomId);
    this.#rooms.add(roomKey);
    this.#shown(roomKey, placeOf(top), asked === undefined ? (this.#knownThen.get(roomId) ?? NOTHING_KNOWN) : known);
    checker.subscribed(this.name, { roomKey, userId, after: after && placeOf(after), top: placeOf(top), outcome });
  }
}

export function placeOf(position: Position | undefined): Place {
  return { seq: position?.seq ?? 0, tag: position?.tag ?? 0 };
}

export function outcomeOf({ outcome }: Subscribed): Outcome {
  switch (outcome.case) {
    case "caughtUp":
      return { is: "caught-up" };
    case "replaying":
      return { is: "replaying", count: outcome.value.count };
    case "gap":
      return { is: "gap", from: outcome.value.fromSeq, to: outcome.value.toSeq };
    case "reset":
      return { is: "reset", reason: reasonOf(outcome.value.reason) };
    case undefined:
      throw new Violation("wrong outcome", "a subscription without an outcome");
  }
}

function reasonOf(reason: ResetReason): "beyond-end" | "other-history" | "expired" {
  switch (reason) {
    case ResetReason.BEYOND_END:
      return "beyond-end";
    case ResetReason.OTHER_HISTORY:
      return "other-history";
    case ResetReason.EXPIRED:
      return "expired";
    case ResetReason.UNSPECIFIED:
      throw new Violation("wrong outcome", "a reset without a reason");
  }
}
