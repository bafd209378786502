// What a command line is answered with, before anything is started.

import { describe, expect, test } from "vitest";
import { authCommand } from "../../src/cli/auth.js";
import { backupCommand } from "../../src/cli/backup.js";
import { bridgeCommand } from "../../src/cli/bridge.js";
import { configCommand } from "../../src/cli/config.js";
import { deadLettersCommand } from "../../src/cli/dead-letters.js";
import { devCommand } from "../../src/cli/dev.js";
import { notificationsCommand } from "../../src/cli/notifications.js";
import { replayCommand } from "../../src/cli/replay.js";
import { runCommandLine } from "../../src/cli/run.js";
import { serveCommand } from "../../src/cli/serve.js";
import { tokenCommand } from "../../src/cli/token.js";
import { versionCommand } from "../../src/cli/version.js";
import { testTerminal } from "./test-terminal.js";

const COMMANDS = [
  devCommand,
  serveCommand,
  bridgeCommand,
  authCommand,
  tokenCommand,
  backupCommand,
  notificationsCommand,
  deadLettersCommand,
  replayCommand,
  configCommand,
  versionCommand,
];
const LONGEST_NAME = Math.max(...COMMANDS.map(({ name }) => name.length));

async function run(line: string, environment: Readonly<Record<string, string>> = {}) {
  const terminal = testTerminal({ environment });
  const code = await runCommandLine(COMMANDS, line.split(" ").filter(Boolean), terminal, "1.2.3");
  return { code, out: terminal.printed(), err: terminal.complained() };
}

describe("help", () => {
  test.each(["", "--help", "-h", "help"])("`trunkline %s` lists the commands", async (line) => {
    const { code, out } = await run(line);
    expect(code).toBe(0);
    for (const { name, summary } of COMMANDS) expect(out).toContain(`${name.padEnd(LONGEST_NAME)}  ${summary}`);
  });

  test.each(COMMANDS.map(({ name }) => name))(
    "`trunkline %s --help` fits a terminal and repeats itself under `help`",
    async (name) => {
      const { code, out } = await run(`${name} --help`);
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`^Usage: trunkline ${name}`));
      expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(110);
      expect((await run(`help ${name}`)).out).toBe(out);
    },
  );

  test("of a small command reads as it should", async () => {
    expect((await run("backup --help")).out).toMatchInlineSnapshot(`
      "Usage: trunkline backup DIR [--data-directory DIR]

      Copies the store, as of one moment, to an empty directory. The server may run meanwhile and does not
      wait: all that it had acknowledged before is in the copy.

      To restore a copy, stop the server and start it with the copy as its data directory. Clients that
      have seen events which the copy lacks are told to reload.

      Examples:
        trunkline backup ./backup-2030-01-01
        trunkline serve --data-directory ./backup-2030-01-01 …

      General:
        --config FILE  A JSON file of options, in camel case: {"grpcPort": 9090}. It weighs less than
                       variables and flags.

      Store:
        --data-directory DIR  Where everything is stored. One process at a time. [./trunkline-data]
      "
    `);
    expect((await run("token --help")).out).toMatchInlineSnapshot(`
      "Usage: trunkline token --user USER [options]

      Prints a token, and nothing else, signed with the development key in the data directory. Only a
      server started with \`trunkline dev\` on the same data directory accepts it.

      Examples:
        trunkline token --user ann
        trunkline token --user ann --tenant demo --name 'Ann Lee' --ttl 1h
        trunkline token --user orders --grants service

      Options:
        --user USER       Whom the token stands for. Required.
        --tenant TENANT   The user's tenant. [demo]
        --name NAME       The user's name for people. [the user]
        --ttl DURATION    How long it is valid, at most 31d. [12h]
        --grants GRANT,…  What its bearer may do beyond a user: service, admin.

      General:
        --config FILE  A JSON file of options, in camel case: {"grpcPort": 9090}. It weighs less than
                       variables and flags.

      Store:
        --data-directory DIR  Where everything is stored. One process at a time. [./trunkline-data]
      "
    `);
  });

  test("shows the default a command prefers, and no secret as a flag", async () => {
    expect((await run("dev --help")).out).toMatch(/--auth-port PORT [^[]*\[0\]/);
    expect((await run("auth --help")).out).toMatch(/--auth-port PORT [^[]*\[9091\]/);
    expect((await run("auth --help")).out).not.toContain("--jwt-secret");
  });
});

describe("a command line that is wrong", () => {
  test.each<[string, string]>([
    ["sevre", "unknown command sevre: did you mean serve?\n`trunkline --help` lists the commands"],
    ["dev --grpc-prot 1", "unknown flag --grpc-prot: did you mean --grpc-port?"],
    ["dev -x", "unknown flag -x"],
    ["dev --grpc-port", "--grpc-port needs a value"],
    ["dev --grpc-port --bridge-port 1", "--grpc-port needs a value"],
    ["dev --grpc-port x", '--grpc-port: must be a whole number from 0 to 65535 ("x")'],
    ["dev now", "trunkline dev does not take the argument now"],
    ["dev --auth-address h:1", "trunkline dev does not take --auth-address"],
    [
      "auth --jwt-secret x",
      "--jwt-secret is not a flag, because others on this machine can see flags: set TRUNKLINE_JWT_SECRET instead",
    ],
    ["backup", "trunkline backup needs DIR"],
    ["token", "trunkline token needs --user USER"],
    [
      "token --user u --ttl soon --data-directory /nonexistent",
      "there is no development key in /nonexistent: start `trunkline dev` first, or name its --data-directory",
    ],
    ["config --format xml", "--format: must be one of text, json, env, markdown"],
    [
      "serve",
      "trunkline serve needs an auth service, which says whom a token stands for: give its address with --auth-address HOST:PORT.\n`trunkline auth` is a ready one for JWTs; `trunkline dev` needs none",
    ],
    [
      "serve --auth-address h:1 --grpc-tls-cert /nonexistent",
      "--grpc-tls-cert: ENOENT: no such file or directory, open '/nonexistent'",
    ],
    ["serve --auth-address h:1 --grpc-tls-cert /dev/null", "--grpc-tls-cert and --grpc-tls-key go together"],
    ["serve --auth-address h:1 --grpc-tls-client-ca /dev/null", "--grpc-tls-client-ca needs --grpc-tls-cert"],
    [
      "auth",
      "trunkline auth needs to know what tokens are signed with: --jwks-url, --jwt-keys or TRUNKLINE_JWT_SECRET",
    ],
    [
      "dev --host 0.0.0.0",
      "trunkline dev gives tokens to whoever asks, so it listens on loopback addresses only, not on --host 0.0.0.0.\nFor others to connect, use trunkline serve with an auth service",
    ],
    [
      "dev --metrics-host ::",
      "trunkline dev gives tokens to whoever asks, so it listens on loopback addresses only, not on --metrics-host ::.\nFor others to connect, use trunkline serve with an auth service",
    ],
  ])("`trunkline %s` says what is wrong and ends with 2", async (line, complaint) => {
    expect(await run(line)).toEqual({ code: 2, out: "", err: `trunkline: ${complaint}\n` });
  });

  test("has each of its problems told", async () => {
    const { code, err } = await run("config --shards 0", { TRUNKLINE_SHRADS: "1", TRUNKLINE_PAGE: "perhaps" });
    expect(code).toBe(2);
    expect(err.trimEnd().split("\n")).toHaveLength(3);
  });
});

describe("flags", () => {
  const shown = async (line: string) => {
    const { out, err } = await run(`config --format json ${line}`);
    expect(err).toBe("");
    return JSON.parse(out);
  };

  test("take their value after a space or =", async () => {
    expect((await shown("--grpc-port 1 --bridge-port=2")).grpcPort.value).toBe(1);
    expect((await shown("--grpc-port 1 --bridge-port=2")).bridgePort.value).toBe(2);
  });

  test("that are switches can be turned on and off", async () => {
    expect((await shown("--page")).page).toEqual({ value: true, origin: "--page" });
    expect((await shown("--no-page")).page).toEqual({ value: false, origin: "--page" });
    expect((await shown("--page=false")).page.value).toBe(false);
  });

  test("of lists add up", async () => {
    const { allowedOrigins } = await shown("--allowed-origins https://a,https://b --allowed-origins https://c");
    expect(allowedOrigins.value).toEqual(["https://a", "https://b", "https://c"]);
  });

  test("given twice: the last one counts", async () => {
    expect((await shown("--grpc-port 1 --grpc-port 2")).grpcPort.value).toBe(2);
  });
});

describe("config", () => {
  test("masks secrets", async () => {
    const secret = "correct-horse-battery-staple-0123";
    const { out } = await run("config", { TRUNKLINE_JWT_SECRET: secret });
    expect(out).not.toContain(secret);
    expect(out).toMatch(/^jwtSecret +\*{8} +TRUNKLINE_JWT_SECRET$/m);
  });
});

describe("version", () => {
  test.each(["version", "--version", "-v"])("`trunkline %s` prints it", async (line) => {
    expect((await run(line)).out).toMatch(/^trunkline \d+\.\d+\.\d+ \(Node \d+\.\d+\.\d+\)\n$/);
  });
});

test("a node of a cluster is refused a data directory, which it would not use", async () => {
  const flags = "--engine cluster --auth-address 127.0.0.1:1";
  const { code, err } = await run(`serve ${flags} --data-directory /var/lib/trunkline`);
  expect({ code, err }).toEqual({
    code: 2,
    err: expect.stringMatching(/^trunkline: --data-directory is of the embedded store/),
  });
});

describe("bridge", () => {
  const LINK = { TRUNKLINE_LINK_SECRET: "0123456789abcdef" };

  test.each([
    ["bridge", LINK, "trunkline bridge needs the gRPC address of a server: --backbone HOST:PORT"],
    ["bridge --backbone 127.0.0.1:9090", {}, "trunkline bridge needs what it shows the server: TRUNKLINE_LINK_SECRET"],
    ["bridge --backbone 127.0.0.1:9090", { TRUNKLINE_LINK_SECRET: "short" }, "must have at least 16 characters"],
    ["bridge --backbone nowhere", LINK, "--backbone: must be HOST:PORT"],
    ["bridge --backbone a:1 --backbone-client-cert x", LINK, "--backbone-client-cert: ENOENT"],
  ])("`%s` with %o says what is missing", async (line, environment, expected) => {
    const { code, err } = await run(line, environment);
    expect(code).toBe(2);
    expect(err).toContain(expected);
  });
});
