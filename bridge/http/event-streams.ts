// `GET /v1/events` and `POST /v1/frames`: sessions for networks that let no WebSocket through. The stream tells its client a key; whoever
// shows it speaks for the session. The key names the place, so that a request may come to any node and any bridge.

import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type FrameBatch, type PassingPort, unknownSession } from "../../src/core/cluster/passing-port.js";
import { parseSessionKey, sessionKeyOf } from "../../src/core/cluster/session-key.js";
import type { SessionPort } from "../../src/core/session/port.js";
import type { Telemetry } from "../../src/core/telemetry.js";
import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { sessionEvent } from "../transport/event-frames.js";
import { EventStream, known, type StreamHost } from "../transport/event-stream.js";

export const EVENTS_PATH = "/v1/events";

/** When to come back to a bridge that holds as many connections as it may, in milliseconds. */
const FULL_RETRY_MS = 5_000;
const RANDOM_BYTES = 16;

export interface StreamDependencies {
  readonly sessions: SessionPort;
  readonly telemetry: Telemetry;
  readonly host: Omit<StreamHost, "gone">;
  /** Undefined: nobody else is asked. */
  readonly passing: PassingPort | undefined;
  /** Whether there is a place for one more. */
  readonly hasPlace: () => boolean;
  /** One is gone. */
  readonly onGone: () => void;
}

/** Where the session of a request is. */
export type SessionPlace =
  | { readonly is: "here"; readonly stream: EventStream }
  | { readonly is: "elsewhere"; readonly pass: (batch: FrameBatch) => Promise<void> };

export class EventStreams {
  readonly #deps: StreamDependencies;
  readonly #host: StreamHost;
  readonly #streams = new Map<string, EventStream>();
  /** Those whose turn to begin has not come. */
  readonly #held = new Set<ServerResponse>();
  #closing = false;

  constructor(deps: StreamDependencies) {
    this.#deps = deps;
    this.#host = {
      ...deps.host,
      gone: (stream) => {
        if (this.#streams.delete(stream.id)) deps.onGone();
      },
    };
    deps.passing?.takeWith((batch) => this.#take(batch));
  }

  get size(): number {
    return this.#streams.size;
  }

  /** How many streams there are, or may begin when their turn comes. */
  get taken(): number {
    return this.#streams.size + this.#held.size;
  }

  /** Begins a stream when it is its turn, or calls `refuse` with why there is none now. */
  open(request: IncomingMessage, response: ServerResponse, refuse: (cause: TrunklineError) => void): void {
    const { sessions, telemetry, hasPlace } = this.#deps;
    const turnDown = (message: string, retryAfterMs: number): void => {
      telemetry.emit("session.refused", { transport: "events", code: 503, reason: message });
      refuse(new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs }));
    };
    if (this.#closing || !hasPlace()) {
      turnDown("no more connections here now", FULL_RETRY_MS);
      return;
    }
    let answered = false;
    const leave = sessions.enter((admission) => {
      answered = true;
      if (this.#held.delete(response)) response.off("close", gone);
      if (this.#closing) turnDown("no more connections here now", FULL_RETRY_MS);
      else if (admission.admitted) this.#begin(request, response);
      else turnDown("no new connections now", admission.retryAfterMs);
    });
    if (answered) return;
    const gone = (): void => {
      this.#held.delete(response);
      leave();
    };
    this.#held.add(response);
    response.once("close", gone);
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    const { sessions } = this.#deps;
    // Silence is the session's business: it pings.
    request.socket.setTimeout(0);
    const id = randomText();
    const key = sessionKeyOf({ id, secret: randomText(), place: this.#here });
    const stream = new EventStream(this.#host, response, id, key);
    this.#streams.set(id, stream);
    response.writeHead(200, {
      "content-type": "text/event-stream",
      // Whoever compresses it, or keeps it until it is whole, breaks it.
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
    });
    response.write(sessionEvent(key, this.#host.limits.maxFrameBytes));
    const address = request.socket.remoteAddress ?? "";
    stream.begin((sink) => sessions.accept(sink, { transport: "events", address }));
  }

  /** The session of a key. Throws NOT_FOUND where there is none here, and none can be elsewhere. */
  find(key: string): SessionPlace {
    const { id, place } = parseSessionKey(key);
    const { passing } = this.#deps;
    // Asked first: a bridge's place is another when it is linked anew, and its streams stay.
    const stream = this.#streams.get(id);
    if (stream !== undefined || place === this.#here) return { is: "here", stream: known(stream, key) };
    if (passing === undefined) throw unknownSession();
    return { is: "elsewhere", pass: (batch) => passing.pass(place, batch) };
  }

  /** Takes no more, and ends those that there are. */
  close(): void {
    this.#closing = true;
    // Whom the core has not sent away before.
    for (const response of this.#held) response.destroy();
    for (const stream of this.#streams.values()) stream.end(CloseCode.GOING_AWAY, "the server is leaving");
  }

  /** Cuts what is left. */
  cut(): void {
    for (const stream of this.#streams.values()) stream.terminate();
  }

  get #here(): string {
    return this.#deps.passing?.here ?? "";
  }

  /** Another passes it. */
  #take({ sessionKey, frames, ...head }: FrameBatch): void {
    const place = this.find(sessionKey);
    // Those who disagree about who is who must not pass it back and forth.
    if (place.is === "elsewhere") throw unknownSession();
    place.stream.take(head, frames);
  }
}

function randomText(): string {
  return randomBytes(RANDOM_BYTES).toString("base64url");
}
