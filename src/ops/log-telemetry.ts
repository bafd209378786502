// What the log says of the core's events.

import type { DependencyName, Telemetry } from "../core/telemetry.js";
import type { Clock } from "../ports/clock.js";
import { ErrorCode, TrunklineError } from "../ports/error.js";
import type { Logger } from "./log.js";
import { redactText } from "./redact.js";

/** A hostile client can cause refusals without end: more lines than this a second are counted, not written. */
const LINES_PER_SECOND = 20;
/** What fails while a service is away fails for everybody in the same way: one line a second tells it. */
const OUTAGE_LINES_PER_SECOND = 1;

/** Writes the core's events into the log. Returns what ends it. */
export function logTelemetry(telemetry: Telemetry, logger: Logger, clock: Clock): () => void {
  const refused = new Throttle(clock);
  const lagging = new Throttle(clock);
  const abusive = new Throttle(clock);
  const faults = new Throttle(clock);
  const outlets = new Throttle(clock);
  const hooks = new Throttle(clock);
  const inbound = new Throttle(clock);
  const unavailable = new Throttle(clock, OUTAGE_LINES_PER_SECOND);
  const failed = new Throttle(clock, OUTAGE_LINES_PER_SECOND);
  const putOff = new Throttle(clock, OUTAGE_LINES_PER_SECOND);
  const away = new Set<DependencyName>();
  const archive = new Throttle(clock, OUTAGE_LINES_PER_SECOND);
  const setAside = new Throttle(clock);
  const subscriptions = [
    telemetry.on("session.opened", (data) => logger.debug(data, "session opened")),
    telemetry.on("session.closed", (data) => logger.debug(data, "session closed")),
    telemetry.on("session.refused", (data) =>
      refused.pass((more) => logger.info({ ...data, ...more }, "connection refused")),
    ),
    telemetry.on("session.lagging", (data) =>
      lagging.pass((more) => logger.info({ ...data, ...more }, "session lags")),
    ),
    telemetry.on("session.abusive", (data) =>
      abusive.pass((more) =>
        logger.warn({ ...data, ...more }, "session closed: it went on asking in spite of refusals"),
      ),
    ),
    telemetry.on("quota.refused", (data) => logger.debug(data, "quota reached")),
    telemetry.on("request.refused", ({ operation, code, message, cause }) => {
      const fields = { operation, code: ErrorCode[code], reason: message };
      // A client's mistake is not the operator's business; a failure inside is.
      if (code === ErrorCode.INTERNAL)
        refused.pass((more) => logger.error({ ...fields, err: cause, ...more }, "request failed"));
      else if (code === ErrorCode.UNAVAILABLE)
        unavailable.pass((more) => logger.warn({ ...fields, ...because(cause), ...more }, "request failed"));
      else logger.debug(fields, "request refused");
    }),
    telemetry.on("log.appended", (data) => logger.trace(data, "events stored")),
    telemetry.on("log.failed", ({ shard, cause }) => {
      // Another node was first, as happens when shards change hands: whoever asked is told to ask again.
      const displaced = cause instanceof TrunklineError && cause.cause === undefined;
      if (displaced) logger.info({ shard, reason: messageOf(cause) }, "events were not stored");
      else faults.pass((more) => logger.error({ shard, err: cause, ...more }, "events could not be stored"));
    }),
    telemetry.on("follower.lost", (data) =>
      // Once for each shard of a follower that was away for too long.
      logger.error({ ...data, lost: data.to - data.from }, "events were gone before they could be followed"),
    ),
    telemetry.on("outlet.failed", ({ outlet, tries, cause }) =>
      outlets.pass((more) =>
        logger.warn({ outlet, tries, reason: messageOf(cause), ...more }, "an outlet's target failed"),
      ),
    ),
    telemetry.on("outlet.buried", ({ cause, ...data }) =>
      outlets.pass((more) => logger.error({ ...data, reason: messageOf(cause), ...more }, "an outlet gave up")),
    ),
    telemetry.on("inbound.buried", ({ code, message, ...data }) =>
      inbound.pass((more) =>
        logger.warn({ ...data, code: ErrorCode[code], reason: message, ...more }, "a record became a dead letter"),
      ),
    ),
    telemetry.on("inbound.held", ({ cause, ...data }) =>
      inbound.pass((more) => logger.info({ ...data, reason: messageOf(cause), ...more }, "a record waits")),
    ),
    telemetry.on("inbound.failed", ({ cause }) =>
      inbound.pass((more) =>
        logger.warn({ reason: messageOf(cause), ...more }, "the inbound topic cannot be read yet"),
      ),
    ),
    telemetry.on("fanout.window", (data) => logger.debug(data, "fan-out window changed")),
    telemetry.on("hook.failed", ({ hook, letThrough, cause }) => {
      // What was refused for it says so itself.
      if (letThrough)
        hooks.pass((more) => logger.warn({ hook, err: cause, ...more }, "done without the hook's answer"));
    }),
    telemetry.on("hook.turned", ({ hook, away, cause }) => {
      if (away) logger.error({ hook, err: cause }, "the hook does not answer and is not asked for a while");
      else logger.info({ hook }, "the hook answers again");
    }),
    telemetry.on("dependency.turned", ({ dependency, away: isAway, cause }) => {
      if (isAway) {
        away.add(dependency);
        logger.error({ dependency, reason: messageOf(cause) }, "a service is away: what needs it is refused");
      } else {
        away.delete(dependency);
        logger.info({ dependency }, "a service is there again");
      }
    }),
    telemetry.on("dependency.failed", ({ dependency, what, cause }) => {
      const fields = { dependency, what, reason: messageOf(cause) };
      // That it is away was said.
      if (away.has(dependency)) logger.debug(fields, "a service failed");
      else failed.pass((more) => logger.warn({ ...fields, ...more }, "a service failed"));
    }),
    telemetry.on("archive.failed", ({ shard, pendingBytes, cause }) =>
      archive.pass((more) =>
        logger.warn({ shard, pendingBytes, reason: messageOf(cause), ...more }, "events could not be archived yet"),
      ),
    ),
    telemetry.on("archive.refused", ({ cause, ...data }) =>
      setAside.pass((more) =>
        logger.error(
          { ...data, reason: messageOf(cause), ...more },
          "the archive refuses a document: it was set aside",
        ),
      ),
    ),
    telemetry.on("fault", ({ where, cause }) => {
      // It is tried again; where that failed says nothing.
      if (cause instanceof TrunklineError && cause.code === ErrorCode.UNAVAILABLE)
        putOff.pass((more) => logger.warn({ where, reason: messageOf(cause), ...more }, "something has to wait"));
      else faults.pass((more) => logger.error({ where, err: cause, ...more }, "fault"));
    }),
    telemetry.on("shard.newer", ({ shard, cause }) =>
      logger.error({ shard, err: cause }, "this version is too old to own a shard: let a newer node have it"),
    ),
    telemetry.on("link.turned", ({ peer, up, sessions, cause }) => {
      if (up) logger.info({ peer }, "link up");
      else logger.warn({ peer, sessions, ...because(cause) }, "link ended");
    }),
    telemetry.on("link.failed", ({ peer, cause }) =>
      failed.pass((more) => logger.warn({ peer, reason: messageOf(cause), ...more }, "no link")),
    ),
    telemetry.on("node.returned", () => logger.warn("the other nodes had taken this one for gone")),
  ];
  return () => {
    for (const end of subscriptions) end();
  };
}

/** Targets and services fail in the same few ways: their stacks say nothing. */
function messageOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const below = cause instanceof TrunklineError && cause.cause instanceof Error ? `: ${messageOf(cause.cause)}` : "";
  return redactText(`${cause.message}${below}`);
}

function because(cause: unknown): { readonly cause?: string } {
  return cause === undefined ? {} : { cause: messageOf(cause) };
}

/** Lets so many lines through each second, and tells the next one how many were left out. */
class Throttle {
  readonly #clock: Clock;
  readonly #most: number;
  #second = 0;
  #written = 0;
  #suppressed = 0;

  constructor(clock: Clock, most = LINES_PER_SECOND) {
    this.#clock = clock;
    this.#most = most;
  }

  pass(write: (more: { readonly suppressed?: number }) => void): void {
    const second = Math.floor(this.#clock.monotonic() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#written = 0;
    }
    if (this.#written >= this.#most) {
      this.#suppressed += 1;
      return;
    }
    this.#written += 1;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    write(suppressed === 0 ? {} : { suppressed });
  }
}
