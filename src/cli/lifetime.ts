// The life of a server process: starts, runs until a signal or a fatal error, leaves in order.

import { constants } from "node:os";
import type { StopOptions } from "../backbone/options.js";
import type { Log } from "../ops/log.js";
import { EXIT, type ExitCode } from "./exit-code.js";

/** Something that runs until it is stopped. */
export interface Service {
  stop(options: StopOptions): Promise<"drained" | "cut off">;
}

/** After a fatal error only what can be finished quickly is: in milliseconds. */
const FATAL_DEADLINE_MS = 3_000;
/** A start that a signal has ended is waited for so long, to leave in order, in milliseconds. */
const START_GRACE_MS = 1_000;
const SIGNALS = ["SIGTERM", "SIGINT"] as const;

type End = { readonly kind: "signal"; readonly signal: string } | { readonly kind: "fatal" };

/**
 * Starts the service and resolves when it has ended. SIGTERM and SIGINT let it leave in order; a second one ends the process
 * at once. An error that nothing caught is logged with its cause and ends the process too. Rejects where it cannot start.
 * What comes while it starts aborts the signal that `start` is given; a start that goes on all the same is not waited for.
 */
export async function runUntilStopped(
  start: (aborted: AbortSignal) => Promise<Service>,
  log: Log,
  options: Required<StopOptions>,
): Promise<ExitCode> {
  const aborting = new AbortController();
  const { promise: ended, resolve } = Promise.withResolvers<End>();
  const end = (by: End) => {
    resolve(by);
    aborting.abort();
  };
  let ending = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (ending) exitAtOnce(log, signal);
    ending = true;
    end({ kind: "signal", signal });
  };
  const onFatal = (error: unknown) => {
    log.logger.fatal({ err: error }, "an error that nothing caught: the process ends");
    end({ kind: "fatal" });
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  process.on("uncaughtException", onFatal);
  // Without a listener of its own a rejection would arrive as an exception too; with one it keeps its reason as it is.
  process.on("unhandledRejection", onFatal);
  try {
    const service = await begin(start, aborting.signal, log);
    if (service === undefined) return (await ended).kind === "signal" ? EXIT.ok : EXIT.failed;
    return await leave(service, await ended, log, options);
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    process.off("uncaughtException", onFatal);
    process.off("unhandledRejection", onFatal);
    log.flush();
  }
}

/** Undefined: it was not started, because the process is to end. */
async function begin(
  start: (aborted: AbortSignal) => Promise<Service>,
  aborted: AbortSignal,
  log: Log,
): Promise<Service | undefined> {
  const late = Promise.withResolvers<undefined>();
  let timer: NodeJS.Timeout | undefined;
  const giveUpSoon = () => {
    timer = setTimeout(() => late.resolve(undefined), START_GRACE_MS);
  };
  aborted.addEventListener("abort", giveUpSoon);
  const starting = start(aborted).catch((error: unknown) => {
    if (!aborted.aborted) throw error;
    return undefined;
  });
  try {
    const service = await Promise.race([starting, late.promise]);
    if (service === undefined) log.logger.info("stopped while it was starting");
    return service;
  } finally {
    aborted.removeEventListener("abort", giveUpSoon);
    clearTimeout(timer);
  }
}

async function leave(service: Service, end: End, log: Log, options: Required<StopOptions>): Promise<ExitCode> {
  if (end.kind === "fatal") {
    await service.stop({ spreadMs: 0, deadlineMs: Math.min(FATAL_DEADLINE_MS, options.deadlineMs) });
    return EXIT.failed;
  }
  log.logger.info({ signal: end.signal, ...options }, "stopping; a second signal ends the process at once");
  const outcome = await service.stop(options);
  if (outcome === "drained") {
    log.logger.info("stopped");
    return EXIT.ok;
  }
  log.logger.warn("stopped after the deadline: what was left was cut off");
  return EXIT.cutOff;
}

function exitAtOnce(log: Log, signal: NodeJS.Signals): never {
  log.logger.warn({ signal }, "ended by a second signal");
  log.flush();
  // What a shell reports for a process that a signal has killed.
  process.exit(128 + constants.signals[signal]);
}
