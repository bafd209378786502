// What is written into the log, and what never is.

import { describe, expect, test } from "vitest";
import { Telemetry } from "../../src/core/telemetry.js";
import { createLog } from "../../src/ops/log.js";
import { logTelemetry } from "../../src/ops/log-telemetry.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { StoppedClock } from "../support/stopped-clock.js";

const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";

function useLog(level = "debug", format: "json" | "pretty" = "json") {
  const lines: string[] = [];
  const { logger } = createLog({ level, format, to: { write: (line: string) => void lines.push(line) } });
  return { logger, text: () => lines.join(""), lines: () => lines.map((line) => JSON.parse(line)) };
}

describe("no token is logged", () => {
  test.each(["json", "pretty"] as const)("as a field of a telling name (%s)", (format) => {
    const log = useLog("debug", format);
    log.logger.info(
      { token: "s3cret", headers: { authorization: "s3cret" }, a: { b: { password: "s3cret" } } },
      "hello",
    );
    expect(log.text()).toContain("hello");
    expect(log.text()).not.toContain("s3cret");
  });

  test.each([
    ["a JWT", `cannot parse ${JWT}`, JWT],
    ["a header", "bad header: Bearer abc.def-ghi", "abc.def-ghi"],
    ["a query", "GET /v1/connect?access_token=abcdef&x=1", "abcdef"],
    ["a URL's password", "connect redis://user:hunter2@host", "hunter2"],
    ["a URL's password without a user", "connect redis://:hunter2@host", "hunter2"],
  ])("in an error's text: %s", (_, message, secret) => {
    const log = useLog();
    log.logger.error({ err: new Error("outer", { cause: new Error(message) }) }, "failed");
    expect(log.text()).toContain("outer");
    expect(log.text()).not.toContain(secret);
  });
});

describe("the core's events", () => {
  function useTelemetry(level?: string) {
    const clock = new StoppedClock();
    const telemetry = new Telemetry();
    const log = useLog(level);
    const end = logTelemetry(telemetry, log.logger, clock);
    return { clock, telemetry, end, ...log };
  }

  test("a client's mistake is debug, a failure inside is an error with its cause", () => {
    const { telemetry, lines } = useTelemetry();
    telemetry.emit("request.refused", {
      operation: "publish",
      code: ErrorCode.INVALID_ARGUMENT,
      message: "text: empty",
    });
    const cause = new Error("disk full");
    telemetry.emit("request.refused", {
      operation: "publish",
      code: ErrorCode.INTERNAL,
      message: "internal error",
      cause,
    });
    const [mistake, failure] = lines();
    expect(mistake).toMatchObject({ level: "debug", operation: "publish", code: "INVALID_ARGUMENT" });
    expect(failure).toMatchObject({ level: "error", code: "INTERNAL", err: { message: "disk full" } });
  });

  test("a flood of one kind is counted, and the next second's first line says how many", () => {
    const { telemetry, clock, lines } = useTelemetry("info");
    const refuse = () => telemetry.emit("session.refused", { transport: "websocket", code: 4004, reason: "too many" });
    for (let i = 0; i < 1_000; i++) refuse();
    expect(lines()).toHaveLength(20);
    clock.advance(1_000);
    refuse();
    expect(lines().at(-1)).toMatchObject({ suppressed: 980 });
  });

  test("what fails because a service is away is one line a second, with what lies below it and without a stack", () => {
    const { telemetry, clock, lines } = useTelemetry("info");
    const cause = new TrunklineError(ErrorCode.UNAVAILABLE, "the archive is not available", {
      cause: new Error("connect ECONNREFUSED 10.0.0.1:27017"),
    });
    const refuse = () =>
      telemetry.emit("request.refused", { operation: "publish", code: cause.code, message: cause.message, cause });
    for (let i = 0; i < 100; i++) {
      refuse();
      telemetry.emit("fault", { where: "ending expired messages", cause });
    }
    const below = "the archive is not available: connect ECONNREFUSED 10.0.0.1:27017";
    expect(lines()).toEqual([
      expect.objectContaining({ level: "warn", msg: "request failed", cause: below }),
      expect.objectContaining({ level: "warn", where: "ending expired messages", reason: below }),
    ]);
    expect(lines().some((line) => "err" in line)).toBe(false);
    clock.advance(1_000);
    refuse();
    expect(lines().at(-1)).toMatchObject({ msg: "request failed", suppressed: 99 });
  });

  test("a service that is away is said to be so once, and not again by all that fails for it", () => {
    const { telemetry, clock, lines } = useTelemetry("info");
    const cause = new Error("connect ECONNREFUSED 10.0.0.1:6379");
    const fail = () => telemetry.emit("dependency.failed", { dependency: "redis", what: "publish", cause });
    fail();
    fail();
    telemetry.emit("dependency.turned", { dependency: "redis", away: true, cause });
    for (let second = 0; second < 10; second++) {
      clock.advance(1_000);
      fail();
    }
    telemetry.emit("dependency.turned", { dependency: "redis", away: false, cause: undefined });
    fail();
    expect(lines().map(({ level, msg }) => [level, msg])).toEqual([
      ["warn", "a service failed"],
      ["error", "a service is away: what needs it is refused"],
      ["info", "a service is there again"],
      ["warn", "a service failed"],
    ]);
  });

  test("a document that the archive refuses is told with its room and seq", () => {
    const { telemetry, lines } = useTelemetry("info");
    const cause = new Error("Document failed validation");
    telemetry.emit("archive.refused", { collection: "events", tenantId: "acme", roomId: "r", seq: 7, cause });
    expect(lines()).toEqual([
      expect.objectContaining({ level: "error", tenantId: "acme", roomId: "r", seq: 7, reason: cause.message }),
    ]);
  });

  test("are no longer logged once that is ended", () => {
    const { telemetry, end, lines } = useTelemetry();
    end();
    telemetry.emit("fault", { where: "here", cause: new Error("x") });
    expect(lines()).toEqual([]);
  });
});
