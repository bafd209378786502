// Posts signed JSON to one URL, with a deadline.

import type { Clock } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { isLoopback } from "../../rpc/tls.js";
import { ID_HEADER, SIGNATURE_HEADER, signatures, TIMESTAMP_HEADER } from "./signature.js";

const DEFAULT_DEADLINE_MS = 10_000;
const MS_PER_SECOND = 1_000;

export interface SignedPostOptions {
  /** https, or http on loopback. */
  readonly url: string;
  /** One, or two while they are rotated: each post is signed with both. */
  readonly secrets: readonly string[];
  /** From the first byte sent to the answer's head, in milliseconds. Default 10,000. */
  readonly deadlineMs?: number;
  readonly clock: Clock;
}

export class SignedPost {
  readonly #url: URL;
  readonly #secrets: readonly string[];
  readonly #deadlineMs: number;
  readonly #clock: Clock;
  readonly #closing = new AbortController();

  /** Throws where the URL is not one to send what users say to. */
  constructor({ url, secrets, deadlineMs = DEFAULT_DEADLINE_MS, clock }: SignedPostOptions) {
    this.#url = webhookUrl(url);
    this.#secrets = secrets;
    this.#deadlineMs = deadlineMs;
    this.#clock = clock;
  }

  /** Resolves on an answer of 200 to 299. Rejects with UNAVAILABLE on any other, on a redirect, and when there is none in time. */
  async send(id: string, body: string): Promise<void> {
    const timestamp = String(Math.floor(this.#clock.now() / MS_PER_SECOND));
    const deadline = new AbortController();
    const timer = this.#clock.after(this.#deadlineMs, () => deadline.abort(new Error("no answer in time")));
    try {
      const response = await fetch(this.#url, {
        method: "POST",
        // An answer may not send what users say anywhere else.
        redirect: "manual",
        headers: {
          "content-type": "application/json",
          "user-agent": "trunkline",
          [ID_HEADER]: id,
          [TIMESTAMP_HEADER]: timestamp,
          [SIGNATURE_HEADER]: signatures(this.#secrets, timestamp, body),
        },
        body,
        signal: AbortSignal.any([deadline.signal, this.#closing.signal]),
      });
      // Nobody wants what it says, however long it is.
      await response.body?.cancel();
      if (!response.ok)
        throw new Error(response.status < 400 ? "answered with a redirect" : `answered ${response.status}`);
    } catch (cause) {
      throw new TrunklineError(ErrorCode.UNAVAILABLE, `${this.#url.host} ${reasonOf(cause)}`, { cause });
    } finally {
      timer.cancel();
    }
  }

  /** Cuts off what is under way. Nothing is sent any more. */
  close(): void {
    this.#closing.abort(new Error("the server is stopping"));
  }
}

/** Throws where the URL is not one to send what users say to. */
export function webhookUrl(text: string): URL {
  if (!URL.canParse(text)) throw new Error("is not a URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))) {
    throw new Error("must be https, or http on loopback");
  }
  if (url.username !== "" || url.password !== "") throw new Error("must not hold a user or password");
  return url;
}

/** What fetch says is that it failed; why stands in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return "code" in cause ? String(cause.code) : cause.message;
}
