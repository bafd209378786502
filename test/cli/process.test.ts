// The program as its own process: signals, exit codes, what stands on its output.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test, vi } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const CLI = join(ROOT, "dist/src/cli.js");
const ANY_PORTS = ["--grpc-port", "0", "--bridge-port", "0", "--log-format", "json", "--no-page"];

function useDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "trunkline-cli-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts the program in a directory of its own; what is left of it is killed after the test. */
function start(args: readonly string[], directory: string, environment: Readonly<Record<string, string>> = {}) {
  if (!existsSync(CLI)) throw new Error(`${CLI} is missing: npm run build`);
  const { PATH } = process.env;
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: directory,
    env: { PATH, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const out: string[] = [];
  const err: string[] = [];
  const listening = Promise.withResolvers<Readonly<Record<string, unknown>>>();
  const lines = createInterface({ input: child.stdout });
  const said = (text: string) =>
    new Promise<string>((resolve) => lines.on("line", (line) => line.includes(text) && resolve(line)));
  lines.on("line", (line) => {
    out.push(line);
    if (line.includes('"msg":"listening"')) listening.resolve(JSON.parse(line));
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => err.push(text));
  const ended = once(child, "close").then(([code, signal]) => {
    listening.reject(new Error(`ended with ${code ?? signal}: ${err.join("")}`));
    return { code: code as number | null, out: out.join("\n"), err: err.join("") };
  });
  listening.promise.catch(() => {});
  return { child, listening: listening.promise, said, ended };
}

test("dev tells programs where it listens, serves there, and SIGTERM ends it with 0", async () => {
  const server = start(["dev", ...ANY_PORTS, "--metrics-port", "0"], useDirectory());
  const { grpc, bridge, metrics, auth, development, pid } = await server.listening;
  for (const address of [grpc, bridge, metrics, auth]) expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
  expect({ development, pid }).toEqual({ development: true, pid: server.child.pid });
  expect((await fetch(`http://${bridge}/health/live`)).status).toBe(200);
  expect(await (await fetch(`http://${metrics}/metrics`)).text()).toContain("trunkline_sessions 0");
  server.child.kill("SIGTERM");
  expect(await server.ended).toMatchObject({ code: 0, err: "" });
});

test.each(["json", "pretty"])(
  "what it says may have no reader any more: SIGTERM ends it with 0 (%s)",
  async (format) => {
    const server = start(["dev", ...ANY_PORTS, "--log-format", format], useDirectory());
    await server.said(format === "json" ? "listening" : "Stop with Ctrl-C");
    server.child.stdout.destroy();
    server.child.stderr.destroy();
    server.child.kill("SIGTERM");
    expect(await server.ended).toMatchObject({ code: 0 });
  },
);

test("a result that nobody reads to its end is no error", async () => {
  const config = start(["config", "--format", "markdown"], useDirectory());
  config.child.stdout.destroy();
  expect(await config.ended).toMatchObject({ code: 0, err: "" });
});

test("a node that waits for a service to start ends at once when it is told to", async () => {
  const away = { TRUNKLINE_REDIS_URL: "redis://127.0.0.1:1", TRUNKLINE_MONGODB_URL: "mongodb://127.0.0.1:1" };
  const secret = { TRUNKLINE_CLUSTER_SECRET: "correct-horse-battery-staple" };
  const services = [
    "--engine",
    "cluster",
    "--kafka-brokers",
    "127.0.0.1:1",
    "--start-deadline",
    "1h",
    "--peer-port",
    "0",
  ];
  const node = start(["serve", "--auth-address", "127.0.0.1:1", ...services, ...ANY_PORTS], useDirectory(), {
    ...away,
    ...secret,
  });
  await node.said("waiting for a service");
  node.child.kill("SIGTERM");
  const { code, out, err } = await node.ended;
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toContain("stopped while it was starting");
});

test("a second process on the same data is refused in one line, and the first goes on", async () => {
  const directory = useDirectory();
  const first = start(["dev", ...ANY_PORTS], directory);
  const { bridge } = await first.listening;
  const { code, err } = await start(["dev", ...ANY_PORTS], directory).ended;
  expect(code).toBe(3);
  expect(err).toMatch(new RegExp(`^trunkline: the data directory .* is in use by process ${first.child.pid}.*\n$`));
  expect((await fetch(`http://${bridge}/health/live`)).status).toBe(200);
});

test.each(["dev", "backup"])("%s says in one line that a directory cannot be made, or is a file", async (command) => {
  const directory = useDirectory();
  const file = join(directory, "file");
  writeFileSync(file, "");
  const inDirectory = (path: string) =>
    command === "dev" ? ["dev", ...ANY_PORTS, "--data-directory", path] : ["backup", path];
  if (command === "backup") {
    const server = start(["dev", ...ANY_PORTS], directory);
    await server.listening;
  }
  // No entry can be made in /proc; where there is none, in a file.
  const nowhere = existsSync("/proc/self") ? "/proc/trunkline" : join(file, "below");
  for (const path of [nowhere, file]) {
    const { code, err } = await start(inDirectory(path), directory).ended;
    expect(code).toBe(command === "dev" ? 3 : 1);
    expect(err).toMatch(/^trunkline: .*\n$/);
    expect(err).toContain(path);
  }
});

test.each(["grpc", "bridge", "metrics"])(
  "a %s port in use is named in one line, with the flag to choose another",
  async (which) => {
    const taken = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void taken.close());
    await once(taken, "listening");
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { code, err } = await start(["dev", ...ANY_PORTS, `--${which}-port`, String(port)], useDirectory()).ended;
    expect(code).toBe(3);
    expect(err).toBe(
      `trunkline: port ${port} of 127.0.0.1 is in use: stop what uses it, or choose another with --${which}-port (0: any)\n`,
    );
  },
);

test("a wrong flag ends with 2 before anything is created", async () => {
  const directory = useDirectory();
  const { code, err, out } = await start(["dev", "--host", "0.0.0.0"], directory).ended;
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain("loopback");
  expect(existsSync(join(directory, "trunkline-data"))).toBe(false);
});

test("token prints a token and nothing else, once there is a key", async () => {
  const directory = useDirectory();
  expect(await start(["token", "--user", "ann"], directory).ended).toMatchObject({ code: 2, out: "" });
  await start(["dev", ...ANY_PORTS], directory).listening;
  const { code, out, err } = await start(
    ["token", "--user", "ann", "--grants", "service,admin", "--ttl", "1h"],
    directory,
  ).ended;
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  const claims = JSON.parse(Buffer.from(out.split(".")[1] ?? "", "base64url").toString());
  expect(claims).toMatchObject({ sub: "ann", tenant: "demo", grants: ["service", "admin"] });
  expect(claims.exp - claims.iat).toBeCloseTo(3_600, 3);
});

test("a live store is copied, once per directory, and the copy can be started", async () => {
  const directory = useDirectory();
  await start(["dev", ...ANY_PORTS], directory).listening;
  expect(await start(["backup", "copy"], directory).ended).toMatchObject({ code: 0, err: "" });
  expect(await start(["backup", "copy"], directory).ended).toMatchObject({ code: 1, out: "" });
  const copy = start(["dev", ...ANY_PORTS, "--data-directory", "copy"], directory);
  await copy.listening;
  copy.child.kill("SIGTERM");
  expect(await copy.ended).toMatchObject({ code: 0 });
});

test("there is nothing to back up where there is no store", async () => {
  const { code, err } = await start(["backup", "copy"], useDirectory()).ended;
  expect(code).toBe(1);
  expect(err).toMatch(/^trunkline: .*trunkline-data holds no store\n$/);
});

test("serve without an auth service ends with 2; with one that is away it starts and is not ready", async () => {
  expect(await start(["serve"], useDirectory()).ended).toMatchObject({ code: 2, out: "" });
  const server = start(["serve", "--auth-address", "127.0.0.1:1", ...ANY_PORTS], useDirectory());
  const { bridge, development } = await server.listening;
  expect(development).toBe(false);
  expect((await fetch(`http://${bridge}/health/live`)).status).toBe(200);
  server.child.kill("SIGINT");
  expect(await server.ended).toMatchObject({ code: 0 });
});

test("auth and serve work together, and the secret is nowhere shown", async () => {
  const directory = useDirectory();
  const secret = "correct-horse-battery-staple-0123";
  const verbose = ["--log-format", "json", "--log-level", "trace"];
  const auth = start(["auth", "--auth-port", "0", ...verbose], directory, { TRUNKLINE_JWT_SECRET: secret });
  const { auth: address } = await auth.listening;
  const server = start(["serve", "--auth-address", String(address), ...ANY_PORTS, ...verbose], directory);
  const { bridge } = await server.listening;
  await vi.waitFor(async () => expect((await fetch(`http://${bridge}/health/ready`)).status).toBe(200), 10_000);
  for (const { child, ended } of [server, auth]) {
    child.kill("SIGTERM");
    const { code, out, err } = await ended;
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).not.toContain(secret);
  }
});

test("bridge starts without a server, is ready once it is linked to one, and SIGTERM ends it with 0", async () => {
  const secret = { TRUNKLINE_LINK_SECRET: "0123456789abcdef" };
  const server = start(["dev", ...ANY_PORTS], useDirectory(), secret);
  const { grpc } = await server.listening;
  const places = ["--bridge-port", "0", "--metrics-port", "0", "--log-format", "json"];
  const edge = start(["bridge", "--backbone", `127.0.0.1:1,${grpc}`, ...places], useDirectory(), secret);
  const { bridge, metrics, backbone, pid } = await edge.listening;
  expect({ backbone, pid }).toEqual({ backbone: ["127.0.0.1:1", grpc], pid: edge.child.pid });
  const ready = async (): Promise<unknown> => await (await fetch(`http://${bridge}/health/ready`)).json();
  const limits = ["server 1 of 2 cannot be reached"];
  await vi.waitFor(async () => expect(await ready()).toEqual({ ready: true, reasons: [], limits }), {
    timeout: 20_000,
  });
  expect(await (await fetch(`http://${metrics}/metrics`)).text()).toContain("trunkline_links 1");
  edge.child.kill("SIGTERM");
  expect(await edge.ended).toMatchObject({ code: 0, err: "" });
});
