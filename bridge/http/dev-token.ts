// `POST /dev/token`: a token for anybody who asks, for development. The route exists only where an issuer is given.

import type { IncomingMessage, ServerResponse } from "node:http";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { judgeOrigin, namesLoopback } from "./origin.js";
import { errorBody, readJson, replyJson } from "./reply.js";

export const DEV_TOKEN_PATH = "/dev/token";

/** Whom a token is wanted for. */
export interface TokenRequest {
  /** 1–128 characters of [A-Za-z0-9._:~-]. */
  readonly user: string;
  /** The name for people, ≤ 256 bytes; empty: none. */
  readonly name: string;
}

export type TokenIssuer = (request: TokenRequest) => Promise<string>;

const USER = /^[A-Za-z0-9._:~-]{1,128}$/;
const MAX_NAME_BYTES = 256;
const NO_ORIGINS: ReadonlySet<string> = new Set();

/** Answers `{token}`, or a refusal. Never rejects. */
export async function serveDevToken(
  request: IncomingMessage,
  response: ServerResponse,
  issue: TokenIssuer,
): Promise<void> {
  try {
    const token = await issue(await judge(request));
    replyJson(response, 200, { token });
  } catch (cause) {
    const error = TrunklineError.from(cause);
    replyJson(response, statusOf(error), errorBody(error));
  }
}

async function judge(request: IncomingMessage): Promise<TokenRequest> {
  if (request.method !== "POST") throw new TrunklineError(ErrorCode.UNSUPPORTED, "POST is expected");
  // Else any page of the web could have itself a token through the browser of somebody who runs this.
  if (!namesLoopback(request) || judgeOrigin(request, NO_ORIGINS) !== "own") {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "only for pages of this server, on this machine");
  }
  if (!request.headers["content-type"]?.startsWith("application/json")) {
    throw TrunklineError.invalid("content-type", "application/json is expected");
  }
  const body = await readJson(request);
  if (typeof body !== "object" || body === null) throw TrunklineError.invalid("body", "a JSON object is expected");
  const user = "user" in body ? body.user : undefined;
  const name = "name" in body ? body.name : "";
  if (typeof user !== "string" || !USER.test(user)) {
    throw TrunklineError.invalid("user", "1–128 characters of [A-Za-z0-9._:~-] are expected");
  }
  if (typeof name !== "string" || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw TrunklineError.invalid("name", `a string of at most ${MAX_NAME_BYTES} bytes is expected`);
  }
  return { user, name };
}

function statusOf(error: TrunklineError): number {
  switch (error.code) {
    case ErrorCode.INVALID_ARGUMENT:
      return 400;
    case ErrorCode.PERMISSION_DENIED:
      return 403;
    case ErrorCode.UNSUPPORTED:
      return 405;
    case ErrorCode.UNAVAILABLE:
      return 503;
    default:
      return 500;
  }
}
