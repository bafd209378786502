// Where a value comes from, and what is said of one that cannot be used.

import { describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/core/limit/limits.js";
import { limitsOf } from "../../../src/ops/config/limit-options.js";
import { type Given, problems, resolve } from "./config-input.js";

describe("precedence", () => {
  const all: Required<Pick<Given, "flags" | "environment" | "dotEnv" | "file" | "defaults">> = {
    flags: { grpcPort: "1" },
    environment: { TRUNKLINE_GRPC_PORT: "2" },
    dotEnv: "TRUNKLINE_GRPC_PORT=3",
    file: { grpcPort: 4 },
    defaults: { grpcPort: 5 },
  };
  const { environment, dotEnv, file, defaults } = all;

  test.each<[string, Given, number, RegExp]>([
    ["a flag beats everything", all, 1, /^--grpc-port$/],
    ["the environment beats .env", { environment, dotEnv, file, defaults }, 2, /^TRUNKLINE_GRPC_PORT$/],
    [".env beats the file", { dotEnv, file, defaults }, 3, /^TRUNKLINE_GRPC_PORT in \.env$/],
    ["the file beats the command's default", { file, defaults }, 4, /trunkline\.json$/],
    ["the command's default beats the declared one", { defaults }, 5, /^default$/],
    ["the declared default is what remains", {}, 9090, /^default$/],
  ])("%s", (_, given, value, origin) => {
    const { config, origins } = resolve(given);
    expect(config.grpcPort).toBe(value);
    expect(origins.grpcPort).toMatch(origin);
  });

  test("an empty variable counts as not set", () => {
    expect(resolve({ environment: { TRUNKLINE_GRPC_PORT: "" }, dotEnv: "TRUNKLINE_GRPC_PORT=3" }).config.grpcPort).toBe(
      3,
    );
  });

  test("the file may be named by a variable", () => {
    expect(problems({ environment: { TRUNKLINE_CONFIG: "/nowhere.json" } })).toEqual([
      "/nowhere.json: there is no such file",
    ]);
  });
});

describe("values", () => {
  test.each<[string, Given, unknown]>([
    ["a size with a unit", { flags: { maxFrameBytes: "1MiB" } }, 1024 * 1024],
    ["a bare size", { flags: { maxFrameBytes: "2048" } }, 2048],
    ["a size from a file", { file: { maxFrameBytes: 4096 } }, 4096],
    ["a duration with a unit", { flags: { retention: "30d" } }, 30 * 86_400_000],
    ["a fraction of a unit", { flags: { retention: "1.5s" } }, 1_500],
    ["a rate with a burst", { flags: { frameRate: "50/80" } }, { perSecond: 50, burst: 80 }],
    ["a rate without one", { flags: { frameRate: "50" } }, { perSecond: 50, burst: 100 }],
    ["no limit", { flags: { frameRate: "0" } }, { perSecond: 0, burst: 0 }],
    ["a rate from a file", { file: { frameRate: { perSecond: 1, burst: 2 } } }, { perSecond: 1, burst: 2 }],
    [
      "a list of a variable",
      { environment: { TRUNKLINE_ALLOWED_ORIGINS: "https://a, https://b" } },
      ["https://a", "https://b"],
    ],
    ["a list from a file", { file: { allowedOrigins: ["https://a"] } }, ["https://a"]],
    ["a switch", { flags: { page: true } }, true],
    ["a switch of a variable", { environment: { TRUNKLINE_PAGE: "yes" } }, true],
    ["a switch turned off", { flags: { page: "false" }, defaults: { page: true } }, false],
  ])("%s is understood", (_, given, value) => {
    const { config, origins } = resolve(given);
    const [key] = Object.entries(origins).find(([name, origin]) => origin !== "default" && name !== "config") ?? [];
    expect(config[key as keyof typeof config]).toEqual(value);
  });

  test("the limits are the core's unless stated otherwise", () => {
    expect(limitsOf(resolve({}).config)).toEqual(DEFAULT_LIMITS);
    const { config } = resolve({ flags: { pingInterval: "5s", frameRate: "0" } });
    expect(limitsOf(config)).toEqual({
      ...DEFAULT_LIMITS,
      pingIntervalMs: 5_000,
      frameRate: { perSecond: 0, burst: 0 },
    });
  });
});

describe("problems", () => {
  test.each<[string, Given, string]>([
    [
      "a port out of range",
      { flags: { grpcPort: "70000" } },
      '--grpc-port: must be a whole number from 0 to 65535 ("70000")',
    ],
    [
      "a port that is no number",
      { environment: { TRUNKLINE_GRPC_PORT: "http" } },
      'TRUNKLINE_GRPC_PORT: must be a whole number from 0 to 65535 ("http")',
    ],
    [
      "a value of .env",
      { dotEnv: "TRUNKLINE_SHARDS=0" },
      'TRUNKLINE_SHARDS in .env: must be a whole number from 1 to 4096 ("0")',
    ],
    [
      "a value of the wrong type in a file",
      { file: { shards: [] } },
      "FILE: shards: must be a whole number from 1 to 4096 ([])",
    ],
    [
      "a choice that is none",
      { flags: { logLevel: "loud" } },
      '--log-level: must be one of trace, debug, info, warn, error, silent ("loud")',
    ],
    [
      "some choices of which one is none",
      { environment: { TRUNKLINE_PUBLISH_HOOK_ROOMS: "group, lobby" } },
      'TRUNKLINE_PUBLISH_HOOK_ROOMS: must be some of direct, group, channel, inbox ("group, lobby")',
    ],
    [
      "a hook's deadline above the most",
      { flags: { accessHookDeadline: "11s" } },
      '--access-hook-deadline: must be at most 10s ("11s")',
    ],
    [
      "a duration of unknown unit",
      { flags: { retention: "3 weeks" } },
      '--retention: must be a duration such as 250ms, 10s, 5m, 2h or 30d ("3 weeks")',
    ],
    ["a size below the least", { flags: { maxFrameBytes: "1" } }, '--max-frame-bytes: must be at least 1KiB ("1")'],
    ["a size above the most", { flags: { maxFrameBytes: "4GiB" } }, '--max-frame-bytes: must be at most 1GiB ("4GiB")'],
    ["a duration above the most", { flags: { pingInterval: "50d" } }, '--ping-interval: must be at most 1d ("50d")'],
    [
      "a time to keep events that no clock reaches",
      { flags: { retention: "99999999d" } },
      '--retention: must be at most 36500d ("99999999d")',
    ],
    [
      "a rate without its burst",
      { flags: { frameRate: "5/0" } },
      '--frame-rate: must be a rate such as 50 (a second), 50/100 (a second / at once) or 0 (no limit) ("5/0")',
    ],
    ["an empty text", { flags: { host: " " } }, '--host: must not be empty (" ")'],
    [
      "a switch that is neither",
      { environment: { TRUNKLINE_PAGE: "maybe" } },
      'TRUNKLINE_PAGE: must be true or false ("maybe")',
    ],
    [
      "an unknown variable",
      { environment: { TRUNKLINE_GRPC_PROT: "1" } },
      "unknown variable TRUNKLINE_GRPC_PROT: did you mean TRUNKLINE_GRPC_PORT?",
    ],
    [
      "an unknown variable of .env",
      { dotEnv: "TRUNKLINE_XYZZY_PLUGH_FROTZ_OZMOO=1" },
      "unknown variable TRUNKLINE_XYZZY_PLUGH_FROTZ_OZMOO in .env",
    ],
    ["an unknown key of a file", { file: { grpcport: 1 } }, "FILE: unknown option grpcport: did you mean grpcPort?"],
    ["a file that names another file", { file: { config: "x" } }, "FILE: config: a file cannot name another file"],
    ["a file that is no object", { file: "[]" }, "FILE: must be a JSON object of options"],
  ])("%s is named", (_, given, problem) => {
    expect(problems(given)).toEqual([problem]);
  });

  test("a file that is no JSON is named", () => {
    expect(problems({ file: "{" })[0]).toMatch(/^FILE: is not JSON: /);
  });

  test("all are reported at once", () => {
    expect(
      problems({ flags: { grpcPort: "x" }, environment: { TRUNKLINE_NOPE: "1" }, file: { shards: 0 } }),
    ).toHaveLength(3);
  });

  test("a secret's value is not repeated", () => {
    expect(problems({ file: { jwtSecret: 12345 } })).toEqual(["FILE: jwtSecret: must be text"]);
  });
});

describe("variables that are not settings", () => {
  test.each([
    ["TRUNKLINE_TOKEN", "what the examples' clients show"],
    ["TRUNKLINE_TEST_PYTHON", "/usr/bin/python3"],
    ["TRUNKLINE_SERVICE_HOST", "10.0.0.1"],
    ["TRUNKLINE_GRPC_SERVICE_PORT_GRPC", "9090"],
    ["TRUNKLINE_PORT", "tcp://10.0.0.1:9090"],
    ["TRUNKLINE_PORT_9090_TCP_ADDR", "10.0.0.1"],
    ["TRUNKLINE_GRPC_PORT", "tcp://10.0.0.1:9090"],
  ])("%s=%s, as test tools and Kubernetes set it, is left alone", (name, value) => {
    expect(resolve({ environment: { [name]: value } }).config.grpcPort).toBe(9090);
  });
});
