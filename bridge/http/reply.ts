// Short JSON answers.

import type { IncomingMessage, ServerResponse } from "node:http";
import { ErrorCode, type TrunklineError } from "../../src/ports/error.js";

/** Longest body read by `readJson`, in bytes. */
const MAX_BODY_BYTES = 4 * 1024;

export function replyJson(response: ServerResponse, status: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(text);
}

/** A refusal as JSON: the code's name, a safe message, and when to retry, in milliseconds, where known. */
export function errorBody(error: TrunklineError): Readonly<Record<string, unknown>> {
  return {
    code: ErrorCode[error.code],
    message: error.message,
    ...(error.field === "" ? {} : { field: error.field }),
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
  };
}

/** The value of `Retry-After`: whole seconds, at least one. */
export function retryAfterSeconds(milliseconds: number): string {
  return String(Math.max(1, Math.ceil(milliseconds / 1000)));
}

/** The body as JSON; undefined: too long, cut off, or not JSON. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request) {
      if (!Buffer.isBuffer(chunk)) return undefined;
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) return undefined;
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    return undefined;
  }
}
