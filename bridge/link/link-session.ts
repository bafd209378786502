// A client's connection whose session lives on a node: what it says goes up the link, what comes down is written to it.

import { create, toBinary } from "@bufbuild/protobuf";
import { wireError, wireMs } from "../../src/core/session/frames.js";
import type { Connection, ConnectionOrigin, SessionSink } from "../../src/core/session/port.js";
import type { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import type { LinkUpItem } from "../../src/gen/trunkline/v1/link_pb.js";
import {
  LinkFinishSchema,
  LinkFrameSchema,
  LinkGoneSchema,
  LinkMalformedSchema,
} from "../../src/gen/trunkline/v1/link_pb.js";
import { type ClientFrame, ClientFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import type { TrunklineError } from "../../src/ports/error.js";
import type { LinkedFrame } from "./linked-frame.js";
import type { Attachment, Flushable, RelayedSession } from "./relays.js";

/** The link, as its sessions see it. */
export interface Upward {
  send(item: LinkUpItem["item"]): void;
  /** The client has taken so many bytes. */
  taken(session: LinkSession, bytes: number): void;
  /** The client is gone. */
  left(session: LinkSession): void;
  /** Bytes that a client may have taken before the node must hear of it. */
  readonly tellBytes: number;
}

/** A client without a session. */
export interface Released {
  readonly sink: SessionSink;
  readonly origin: ConnectionOrigin;
  /** Whether it can say hello again on the connection that it has. */
  readonly canStay: boolean;
}

export class LinkSession implements Connection, RelayedSession, Flushable {
  readonly number: number;
  readonly #sink: SessionSink;
  readonly #origin: ConnectionOrigin;
  /** Undefined once the session has ended. */
  #link: Upward | undefined;
  /** What of this turn is not written yet. */
  #pending: Uint8Array[] | undefined;
  /** Bytes handed to the client that the node does not know of, as it counts them. */
  #owedBytes = 0;
  #held = false;
  #canStay = false;
  /** The relays that it is at. */
  readonly attachments: Attachment[] = [];

  constructor(number: number, sink: SessionSink, origin: ConnectionOrigin, link: Upward) {
    this.number = number;
    this.#sink = sink;
    this.#origin = origin;
    this.#link = link;
  }

  /** Whether the client does not take what was written to it. */
  get held(): boolean {
    return this.#held;
  }

  // — what the transport says —

  receive(frame: ClientFrame): void {
    if (this.#link === undefined) return;
    if (frame.frame.case === "hello") this.#canStay = frame.frame.value.canStay;
    const bytes = toBinary(ClientFrameSchema, frame);
    this.#link.send({ case: "frame", value: create(LinkFrameSchema, { session: this.number, frame: bytes }) });
  }

  malformed(error: TrunklineError, undecodable: boolean, ref = 0): void {
    this.#link?.send({
      case: "malformed",
      value: create(LinkMalformedSchema, { session: this.number, error: wireError(error), undecodable, ref }),
    });
  }

  drained(): void {
    this.#held = false;
    this.#tell(0);
  }

  finish(): void {
    this.#link?.send({ case: "finish", value: create(LinkFinishSchema, { session: this.number }) });
  }

  leave(reconnectAfterMs: number): void {
    const value = create(LinkFinishSchema, { session: this.number, reconnectAfterMs: wireMs(reconnectAfterMs) });
    this.#link?.send({ case: "finish", value });
  }

  gone(clean: boolean): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#link = undefined;
    link.send({ case: "gone", value: create(LinkGoneSchema, { session: this.number, clean }) });
    link.left(this);
  }

  // — what the node says —

  /** A frame of this turn. With the first the session joins those that are to be flushed at its end. */
  add(frame: LinkedFrame, toFlush: Flushable[]): void {
    this.relayed(frame, toFlush);
    this.#owedBytes += frame.length;
  }

  /** A frame that does not count in the session's window. */
  relayed(frame: LinkedFrame, toFlush: Flushable[]): void {
    // It may have been released while the turn's frames were handed out.
    if (this.#link === undefined) return;
    const bytes = frame.in(this.#sink.encoding);
    if (this.#pending === undefined) {
      this.#pending = [];
      toFlush.push(this);
    }
    this.#pending.push(bytes);
  }

  /** The turn is over: what came is written at once. */
  flush(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    this.#pending = undefined;
    this.#held = !this.#sink.write(pending);
    this.#tell(this.#link?.tellBytes ?? 0);
  }

  /** The node has ended the session. */
  ended(code: CloseCode, reason: string): void {
    this.#link = undefined;
    this.#sink.end(code, reason);
  }

  /** The session is over, and its client has not been told. Nothing of it is written after this. Undefined: it has ended before. */
  release(): Released | undefined {
    if (this.#link === undefined) return undefined;
    this.flush();
    this.#link = undefined;
    return { sink: this.#sink, origin: this.#origin, canStay: this.#canStay };
  }

  #tell(fromBytes: number): void {
    if (this.#held || this.#owedBytes === 0 || this.#owedBytes < fromBytes) return;
    const bytes = this.#owedBytes;
    this.#owedBytes = 0;
    this.#link?.taken(this, bytes);
  }
}
