// Services that a node cannot start without: waited for, but not for ever.

import { refusalOf } from "../adapters/cluster/refusal.js";
import type { Logger } from "../ops/log.js";
import type { Clock } from "../ports/clock.js";

/** Between two tries, in milliseconds. */
const AGAIN_MS = 500;
/** Whoever looks at the log is told what is waited for after so long, in milliseconds. */
const TELL_MS = 1_000;

export interface DependencyWait {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Longest wait, in milliseconds. */
  readonly deadlineMs: number;
  /** Whether waiting is no use: what is wrong does not mend itself. */
  readonly isFinal?: (cause: unknown) => boolean;
  /** Ends the wait; a try that is under way is the last one. */
  readonly aborted?: AbortSignal | undefined;
}

/** Resolves with the first try that does. Rejects with an Error that names the service and says what was wrong last. */
export async function awaitDependency<T>(
  name: string,
  { clock, logger, deadlineMs, isFinal = () => false, aborted }: DependencyWait,
  connect: () => Promise<T>,
): Promise<T> {
  const sinceMs = clock.monotonic();
  let told = false;
  let reason = "no answer yet";
  const teller = clock.after(TELL_MS, () => {
    told = true;
    logger.warn({ dependency: name, deadlineMs, reason }, "waiting for a service");
  });
  try {
    for (;;) {
      if (aborted?.aborted === true) throw new Error(`${name} is no longer waited for`);
      try {
        const connected = await connect();
        if (told) logger.info({ dependency: name }, "the service is there");
        return connected;
      } catch (cause) {
        // It says itself what is wrong; what lies below it says less.
        if (isFinal(cause)) throw new Error(`${name}: ${refusalOf(cause) ?? textOf(cause)}`, { cause });
        reason = reasonOf(cause);
        if (clock.monotonic() - sinceMs + AGAIN_MS > deadlineMs) {
          const seconds = Math.round(deadlineMs / 1_000);
          throw new Error(`${name} was not there within ${seconds} s: ${reason}`, { cause });
        }
      }
      await elapsed(clock, AGAIN_MS, aborted);
    }
  } finally {
    teller.cancel();
  }
}

/** Resolves after so long, or once it is aborted. */
async function elapsed(clock: Clock, ms: number, aborted: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => resolve();
  const timer = clock.after(ms, done);
  aborted?.addEventListener("abort", done);
  await promise;
  timer.cancel();
  aborted?.removeEventListener("abort", done);
}

/** What lies at the bottom of an error, in one line. */
export function reasonOf(error: unknown): string {
  const refusal = refusalOf(error);
  if (refusal !== undefined) return refusal;
  let at = error;
  while (at instanceof Error && at.cause instanceof Error) at = at.cause;
  if (at instanceof AggregateError && at.errors.length > 0) return reasonOf(at.errors[0]);
  return textOf(at);
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error.message || error.name).split("\n", 1)[0] ?? "";
}
