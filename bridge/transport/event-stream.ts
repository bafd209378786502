// One browser's connection where no WebSocket gets through: frames go down as the events of one long answer, and come up in batches by
// requests of their own. The stream is the connection: where it breaks, the session is lost.

import { timingSafeEqual } from "node:crypto";
import type { ServerResponse } from "node:http";
import { unknownSession } from "../../src/core/cluster/passing-port.js";
import type { Limits } from "../../src/core/limit/limits.js";
import type { Connection, FrameEncoding, SessionSink } from "../../src/core/session/port.js";
import type { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { saysGone } from "../close-code.js";
import type { TextCodec } from "../codec/codec.js";
import { endEvent } from "./event-frames.js";
import { CLOSE_DEADLINE_MS } from "./websocket.js";

/** Requests of one session that are read at once: the one under way, and its repeat by a client that has given it up. */
const MAX_READING = 2;

/** What all streams of a bridge have in common. */
export interface StreamHost {
  readonly clock: Clock;
  readonly codec: TextCodec;
  readonly encoding: FrameEncoding;
  readonly limits: Pick<Limits, "maxFrameBytes">;
  /** The connection is gone. */
  gone(stream: EventStream): void;
}

/** What a batch does beside carrying frames. */
export interface BatchHead {
  /** From 1, one more each time. */
  readonly number: number;
  /** What the client closes with, as it would a WebSocket; 0: it does not. */
  readonly closeCode: number;
}

export class EventStream implements SessionSink {
  readonly id: string;
  readonly encoding: FrameEncoding;
  readonly #host: StreamHost;
  readonly #response: ServerResponse;
  readonly #key: Buffer;
  #connection: Connection | undefined;
  /** The number of the last batch that was taken. */
  #taken = 0;
  #reading = 0;
  #deadline: Timer | undefined;
  #ending = false;
  #congested = false;

  /**
   * @param id What the stream is found by.
   * @param key What its client shows: unguessable.
   */
  constructor(host: StreamHost, response: ServerResponse, id: string, key: string) {
    this.#host = host;
    this.#response = response;
    this.#key = Buffer.from(key);
    this.id = id;
    this.encoding = host.encoding;
  }

  /** Ties the stream, whose answer has begun, to a session of the core. Called once. */
  begin(accept: (sink: SessionSink) => Connection): void {
    this.#response.once("close", () => this.#gone());
    this.#connection = accept(this);
  }

  // — down —

  write(frames: readonly Uint8Array[]): boolean {
    const response = this.#response;
    if (this.#ending || response.destroyed) return true;
    const [first] = frames;
    if (first === undefined) return true;
    response.write(frames.length === 1 ? first : Buffer.concat(frames));
    if (!response.writableNeedDrain) return true;
    if (!this.#congested) {
      this.#congested = true;
      response.once("drain", () => {
        this.#congested = false;
        this.#connection?.drained();
      });
    }
    return false;
  }

  end(code: CloseCode, reason: string): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#response.end(endEvent(code, reason));
    this.#cutAfterDeadline();
  }

  /** Cuts it, whatever waits. */
  terminate(): void {
    this.#response.destroy();
  }

  // — up —

  /** Whether this is the stream's key; takes as long whatever differs. */
  knows(key: string): boolean {
    const shown = Buffer.from(key);
    return shown.length === this.#key.length && timingSafeEqual(shown, this.#key);
  }

  /** A request's body is about to be read; `readingEnded` follows. Throws UNAVAILABLE where others are being read. */
  beginReading(): void {
    if (this.#reading >= MAX_READING) {
      throw new TrunklineError(ErrorCode.UNAVAILABLE, "one request at a time", { retryAfterMs: 1_000 });
    }
    this.#reading++;
  }

  readingEnded(): void {
    this.#reading--;
  }

  /** The body is longer than a message may be. */
  tooLong(): TrunklineError {
    const error = TrunklineError.tooLarge("frame", this.#host.limits.maxFrameBytes);
    this.#connection?.malformed(error, true);
    return error;
  }

  /** Hands a batch to the session; one that it has had already changes nothing. Throws CONFLICT where one before it is missing. */
  take({ number, closeCode }: BatchHead, body: Uint8Array): void {
    if (number > this.#taken) {
      if (number > this.#taken + 1) {
        throw new TrunklineError(ErrorCode.CONFLICT, `batch ${this.#taken + 1} is missing before ${number}`);
      }
      if (body.length > this.#host.limits.maxFrameBytes) throw this.tooLong();
      this.#taken = number;
      this.#receive(body);
    }
    if (closeCode !== 0) this.#close(closeCode);
  }

  /** One frame a line, each what a text message of a WebSocket would be. */
  #receive(body: Uint8Array): void {
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    } catch (cause) {
      const error = new TrunklineError(ErrorCode.INVALID_ARGUMENT, "frame: text that is not UTF-8", {
        field: "frame",
        cause,
      });
      this.#connection?.malformed(error, true);
      return;
    }
    for (const line of text.split("\n")) {
      // A bad one before it may have ended the session.
      if (this.#ending) return;
      if (line.trim() === "") continue;
      const decoded = this.#host.codec.decode(line);
      if (decoded.ok) this.#connection?.receive(decoded.frame);
      else this.#connection?.malformed(decoded.error, decoded.undecodable, decoded.ref);
    }
  }

  /** The client leaves. */
  #close(code: number): void {
    if (this.#ending) return;
    this.#leave(saysGone(code));
    this.#response.end();
    this.#cutAfterDeadline();
  }

  // — the end —

  #leave(clean: boolean): void {
    this.#ending = true;
    this.#connection?.gone(clean);
    this.#connection = undefined;
  }

  #gone(): void {
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.#leave(false);
    this.#host.gone(this);
  }

  #cutAfterDeadline(): void {
    this.#deadline ??= this.#host.clock.after(CLOSE_DEADLINE_MS, () => this.terminate());
  }
}

/** Throws where there is no such stream, or the key is not its own. */
export function known(stream: EventStream | undefined, key: string): EventStream {
  if (stream?.knows(key) === true) return stream;
  throw unknownSession();
}
