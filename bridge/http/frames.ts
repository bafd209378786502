// What the two paths of the fallback answer. See event-streams.ts.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Limits } from "../../src/core/limit/limits.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { BatchHead } from "../transport/event-stream.js";
import { serveCors } from "./cors.js";
import { EVENTS_PATH, type EventStreams } from "./event-streams.js";
import { judgeOrigin } from "./origin.js";
import { errorBody, replyJson, retryAfterSeconds } from "./reply.js";

export const FRAMES_PATH = "/v1/frames";

/** Bodies for other nodes that are held at once: whether their keys are good is known only there. */
const MAX_PASSING = 256;
const MAX_NUMBER = 0xffff_ffff;

export interface FallbackDependencies {
  readonly streams: EventStreams;
  readonly allowedOrigins: ReadonlySet<string>;
  readonly limits: Pick<Limits, "maxFrameBytes">;
}

/** Serves the fallback's paths: true if the request was for one of them. */
export type Fallback = (path: string, request: IncomingMessage, response: ServerResponse) => boolean;

export function fallback({ streams, allowedOrigins, limits }: FallbackDependencies): Fallback {
  let passing = 0;

  function serve(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> | undefined {
    if (judgeOrigin(request, allowedOrigins) === "foreign") {
      throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "this origin is not allowed");
    }
    const method = path === EVENTS_PATH ? "GET" : "POST";
    if (request.method !== method) throw new TrunklineError(ErrorCode.UNSUPPORTED, `${method} is expected`);
    if (path === FRAMES_PATH) return receive(request, response);
    streams.open(request, response, (cause) => refuse(request, response, cause));
    return undefined;
  }

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = request.headers["trunkline-session"];
    const head = headOf(request);
    const { maxFrameBytes } = limits;
    if (typeof key !== "string") throw TrunklineError.invalid("trunkline-session", "the session's key is expected");
    const place = streams.find(key);
    if (place.is === "here") {
      const { stream } = place;
      stream.beginReading();
      try {
        const body = await bodyOf(request, maxFrameBytes);
        if (body === "cut off") return;
        if (body === "too long") throw stream.tooLong();
        stream.take(head, body);
      } finally {
        stream.readingEnded();
      }
    } else {
      if (passing >= MAX_PASSING) {
        throw new TrunklineError(ErrorCode.UNAVAILABLE, "too much is passed on just now", { retryAfterMs: 1_000 });
      }
      passing++;
      try {
        const body = await bodyOf(request, maxFrameBytes);
        if (body === "cut off") return;
        // One byte too many says the same.
        const frames = body === "too long" ? new Uint8Array(maxFrameBytes + 1) : body;
        await place.pass({ sessionKey: key, ...head, frames });
      } finally {
        passing--;
      }
    }
    response.writeHead(204, { "cache-control": "no-store" }).end();
  }

  return (path, request, response) => {
    if (path !== EVENTS_PATH && path !== FRAMES_PATH) return false;
    if (serveCors(request, response, allowedOrigins)) return true;
    try {
      serve(path, request, response)?.catch((cause: unknown) => refuse(request, response, cause));
    } catch (cause) {
      refuse(request, response, cause);
    }
    return true;
  };
}

function headOf({ headers }: IncomingMessage): BatchHead {
  const number = numberOf(headers["trunkline-batch"]);
  if (number < 1 || number > MAX_NUMBER) throw TrunklineError.invalid("trunkline-batch", "1, 2, 3, … is expected");
  const close = headers["trunkline-close"];
  const closeCode = close === undefined ? 0 : numberOf(close);
  if (close !== undefined && (closeCode < 1000 || closeCode > 4999)) {
    throw TrunklineError.invalid("trunkline-close", "a close code, from 1000 to 4999, is expected");
  }
  return { number, closeCode };
}

/** 0 where it is no whole number. */
function numberOf(header: string | string[] | undefined): number {
  return typeof header === "string" && /^\d{1,10}$/.test(header) ? Number(header) : 0;
}

/** Not by iterating: that cuts the connection where it stops early, and the refusal could not be told. */
function bodyOf(request: IncomingMessage, most: number): Promise<Buffer | "too long" | "cut off"> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= most) {
        chunks.push(chunk);
        return;
      }
      request.off("data", onData);
      request.pause();
      resolve("too long");
    };
    if (Number(request.headers["content-length"] ?? 0) > most) {
      resolve("too long");
      return;
    }
    request.on("data", onData);
    request.once("end", () => resolve(Buffer.concat(chunks, bytes)));
    request.once("close", () => resolve("cut off"));
    request.on("error", () => {});
  });
}

function refuse(request: IncomingMessage, response: ServerResponse, cause: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const error = TrunklineError.from(cause);
  if (error.retryAfterMs !== undefined) response.setHeader("retry-after", retryAfterSeconds(error.retryAfterMs));
  // Nobody reads what is left of the body: the connection cannot be used again.
  if (!request.complete) {
    response.setHeader("connection", "close");
    response.once("finish", () => request.socket.destroySoon());
  }
  replyJson(response, statusOf(error.code), errorBody(error));
}

function statusOf(code: ErrorCode): number {
  switch (code) {
    case ErrorCode.INVALID_ARGUMENT:
      return 400;
    case ErrorCode.PERMISSION_DENIED:
      return 403;
    case ErrorCode.NOT_FOUND:
      return 404;
    case ErrorCode.UNSUPPORTED:
      return 405;
    case ErrorCode.CONFLICT:
      return 409;
    case ErrorCode.TOO_LARGE:
      return 413;
    case ErrorCode.UNAVAILABLE:
      return 503;
    default:
      return 500;
  }
}
