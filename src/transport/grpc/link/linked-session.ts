// One session of a link, as the core sees it: where its frames go, and how many bytes of them are under way.

import type {
  Connection,
  Dismissal,
  Resumable,
  SessionSink,
  SharedPlace,
  SharedWire,
} from "../../../core/session/port.js";
import type { CloseCode, Error as WireError } from "../../../gen/trunkline/v1/error_pb.js";
import { GRPC_ENCODING } from "../session-stream.js";
import type { Addressee, LinkBatch } from "./batch.js";

/** Bytes of frames under way to one session, beyond which it waits until the bridge says that its client has taken some. */
export const WINDOW_BYTES = 128 * 1024;

/** How a session has ended: see LinkEnded. */
export interface Ending {
  readonly code: CloseCode;
  readonly reason: string;
  readonly returnAfterMs?: number;
  readonly error?: WireError | undefined;
}

/** The link, as its sessions see it. */
export interface SessionLink extends SharedWire {
  /** What is written in this turn. */
  readonly batch: LinkBatch;
  /** The session has ended. */
  ended(session: LinkedSession, ending: Ending): void;
}

export class LinkedSession implements SessionSink, SharedPlace, Addressee, Resumable {
  readonly encoding = GRPC_ENCODING;
  readonly number: number;
  readonly #link: SessionLink;
  #connection: Connection | undefined;
  #over = false;
  #underWay = 0;
  /** Whether `write` has said that enough waits. */
  #held = false;
  lastDelivery = -1;
  lastBatch = 0;

  constructor(link: SessionLink, number: number) {
    this.#link = link;
    this.number = number;
  }

  get shared(): SharedPlace {
    return this;
  }

  get wire(): SharedWire {
    return this.#link;
  }

  get session(): number {
    return this.number;
  }

  /** What `accept` gave for this sink. Undefined once the session is over. */
  get connection(): Connection | undefined {
    return this.#over ? undefined : this.#connection;
  }

  start(connection: Connection): void {
    this.#connection = connection;
  }

  write(frames: readonly Uint8Array[]): boolean {
    if (this.#over) return true;
    for (const frame of frames) {
      // Asked each time: a batch that has grown long is written at once.
      this.#link.batch.deliver(frame, this);
      this.#underWay += frame.length;
    }
    if (this.#link.full) this.#link.wait(this);
    this.#held = this.#link.full || this.#underWay >= WINDOW_BYTES;
    return !this.#held;
  }

  end(code: CloseCode, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#link.ended(this, { code, reason });
  }

  dismiss({ reconnectAfterMs: returnAfterMs, ...ending }: Dismissal): void {
    if (this.#over) return;
    this.#over = true;
    this.#link.ended(this, { ...ending, returnAfterMs });
  }

  /** The client has taken so many bytes. Returns whether they were under way. */
  taken(bytes: number): boolean {
    if (bytes > this.#underWay) return false;
    this.#underWay -= bytes;
    this.resume();
    return true;
  }

  /** Goes on, if neither the window nor the stream is in the way. */
  resume(): void {
    if (this.#over || !this.#held || this.#underWay >= WINDOW_BYTES || this.#link.full) return;
    this.#held = false;
    this.#connection?.drained();
  }

  /** Nothing is said of it any more. */
  gone(clean: boolean): void {
    const { connection } = this;
    this.#over = true;
    connection?.gone(clean);
  }
}
