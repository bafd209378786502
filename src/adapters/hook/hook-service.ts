// A hook of the application's in another process, as each kind of hook asks it.

import type { Clock } from "../../ports/clock.js";
import type { ClientTls } from "../../rpc/tls.js";
import { OutsideService } from "../outside/outside-service.js";

/** How long an answer is waited for, in milliseconds. */
const DEFAULT_HOOK_TIMEOUT_MS = 500;
/** Questions without an answer yet; more would only queue up inside the service. */
const MAX_IN_FLIGHT = 1_024;

export interface HookClientOptions {
  /** host:port, or any gRPC target. */
  readonly address: string;
  readonly tls?: ClientTls | undefined;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. Default: Math.random. */
  readonly random?: () => number;
  /** Deadline of one question, in milliseconds. Default 500. */
  readonly timeoutMs?: number;
  /** Questions without an answer at once. Default 1,024; beyond it UNAVAILABLE. */
  readonly maxInFlight?: number;
  /** It has failed several times in a row, and is not asked for a while, or is back (undefined). Must not throw. */
  readonly onTurn?: (away: { readonly cause: unknown } | undefined) => void;
}

export interface HookKind {
  /** As refusals call it, e.g. "access hook". */
  readonly name: string;
  /** What is asked about, in the plural. */
  readonly questions: string;
  /** The longest answer, in bytes. */
  readonly maxAnswerBytes: number;
}

/** Connects with the first question. */
export function hookService(options: HookClientOptions, { name, questions, maxAnswerBytes }: HookKind): OutsideService {
  return new OutsideService({
    ...options,
    timeoutMs: options.timeoutMs ?? DEFAULT_HOOK_TIMEOUT_MS,
    maxInFlight: options.maxInFlight ?? MAX_IN_FLIGHT,
    maxAnswerBytes,
    refusals: {
      away: `the ${name} cannot be reached`,
      failed: `the ${name} did not answer`,
      busy: `too many ${questions} wait for the ${name}`,
    },
    onTurn: options.onTurn ?? (() => {}),
  });
}
