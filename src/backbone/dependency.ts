// Services that a node cannot start without: waited for, but not for ever.

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
}

/** Resolves with the first try that does. Rejects with an Error that names the service and says what was wrong last. */
export async function awaitDependency<T>(
  name: string,
  { clock, logger, deadlineMs, isFinal = () => false }: DependencyWait,
  connect: () => Promise<T>,
): Promise<T> {
  const sinceMs = clock.monotonic();
  let told = false;
  const teller = clock.after(TELL_MS, () => {
    told = true;
    logger.warn({ dependency: name, deadlineMs }, "waiting for a service");
  });
  try {
    for (;;) {
      try {
        const connected = await connect();
        if (told) logger.info({ dependency: name }, "the service is there");
        return connected;
      } catch (cause) {
        if (isFinal(cause)) throw new Error(`${name}: ${reasonOf(cause)}`, { cause });
        if (clock.monotonic() - sinceMs + AGAIN_MS > deadlineMs) {
          const seconds = Math.round(deadlineMs / 1_000);
          throw new Error(`${name} was not there within ${seconds} s: ${reasonOf(cause)}`, { cause });
        }
      }
      await new Promise<void>((resolve) => void clock.after(AGAIN_MS, resolve));
    }
  } finally {
    teller.cancel();
  }
}

/** What lies at the bottom of an error, in one line. */
export function reasonOf(error: unknown): string {
  let at = error;
  while (at instanceof Error && at.cause instanceof Error) at = at.cause;
  if (at instanceof AggregateError && at.errors.length > 0) return reasonOf(at.errors[0]);
  if (!(at instanceof Error)) return String(at);
  return (at.message || at.name).split("\n", 1)[0] ?? "";
}
