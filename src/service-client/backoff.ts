// How long to wait before the next try.

import { setTimeout as sleep } from "node:timers/promises";
import type { TrunklineError } from "../ports/error.js";

/** The first wait where the server names none, in milliseconds; doubles up to the last. */
const FIRST_MS = 100;
const LAST_MS = 10_000;

/** Waits after the `failures`th failure in a row, from 1, as long as the refusal says, or longer with each; jittered. Rejects when aborted. */
export async function pause(failures: number, error: TrunklineError, signal?: AbortSignal): Promise<void> {
  const ms = Math.min(FIRST_MS * 2 ** (failures - 1), LAST_MS);
  const jittered = ms / 2 + (Math.random() * ms) / 2;
  await sleep(Math.max(error.retryAfterMs ?? 0, jittered), undefined, signal === undefined ? {} : { signal });
}
