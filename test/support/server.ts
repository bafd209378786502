// A real server in its own process: started, killed, started again on the same data and ports.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll } from "vitest";
import { type Endpoints, isObject, type JsonObject, text } from "./client/index.js";
import { issuerOfKeyFile, type TokenIssuer } from "./token.js";

const CLI = fileURLToPath(new URL("../../dist/src/cli.js", import.meta.url));
/** A bound for the tests, not a claim about speed. */
const START_PATIENCE_MS = 30_000;
const STOP_PATIENCE_MS = 20_000;

/** No rate limits: tests send as fast as they can. */
export const UNLIMITED: { readonly [name: string]: string } = {
  TRUNKLINE_PUBLISH_RATE: "0",
  TRUNKLINE_EDIT_RATE: "0",
  TRUNKLINE_MARK_RATE: "0",
  TRUNKLINE_TYPING_RATE: "0",
  TRUNKLINE_SIGNAL_RATE: "0",
  TRUNKLINE_PRESENCE_RATE: "0",
  TRUNKLINE_READ_RATE: "0",
  TRUNKLINE_ADMINISTER_RATE: "0",
  TRUNKLINE_SETTINGS_RATE: "0",
  TRUNKLINE_SERVICE_RATE: "0",
  TRUNKLINE_FRAME_RATE: "0",
  TRUNKLINE_CONNECT_RATE: "0",
};

export interface ServerOptions {
  /** Kept by the caller. Absent: a new one, removed by `dispose`. */
  readonly dataDirectory?: string;
  /** TRUNKLINE_… variables beside those that every test server gets. */
  readonly environment?: { readonly [name: string]: string };
  /** What of the command line it is. Default "dev". */
  readonly command?: string;
}

/** One server, over all its processes. */
export class TestServer {
  readonly dataDirectory: string;
  readonly #temporary: string;
  readonly #environment: { readonly [name: string]: string };
  readonly #command: string;
  #child: ChildProcess | undefined;
  #listening: JsonObject = {};
  /** The last lines that were logged, for the report of a failed test. */
  readonly #lines: string[] = [];
  readonly #messages = new Map<string, number>();
  /** Lines logged at "error" or above, by all processes. */
  readonly faults: string[] = [];

  constructor(options: ServerOptions = {}) {
    this.#temporary = mkdtempSync(join(tmpdir(), "trunkline-test-"));
    this.dataDirectory = options.dataDirectory ?? join(this.#temporary, "data");
    this.#environment = { ...UNLIMITED, ...options.environment };
    this.#command = options.command ?? "dev";
  }

  get endpoints(): Endpoints {
    const bridge = text(this.#listening.bridge);
    return { grpc: text(this.#listening.grpc), ws: `ws://${bridge}/v1/connect`, http: `http://${bridge}` };
  }

  get issuer(): TokenIssuer {
    return issuerOfKeyFile(join(this.dataDirectory, "dev-key.json"));
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Memory the process has for itself, without the pages of the store's file, in bytes. Linux only. */
  anonymousBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  }

  /** How often this was logged, by all processes. */
  timesLogged(message: string): number {
    return this.#messages.get(message) ?? 0;
  }

  /** Starts a process, on the ports of the one before. Resolves once it says that it listens. */
  async start(): Promise<void> {
    if (!existsSync(CLI)) throw new Error(`${CLI} is missing: npm run build`);
    const child = spawn(process.execPath, [CLI, this.#command], {
      cwd: this.#temporary,
      env: { ...cleanEnvironment(), ...this.#environment, ...this.#places() },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject>();
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        const logged = this.#logged(line);
        if (logged?.msg === "listening") resolve(logged);
      });
    }
    const fail = (what: string): void => reject(new Error(`the server ${what}\n${this.#lines.join("\n")}`));
    const timer = setTimeout(() => fail("did not start in time"), START_PATIENCE_MS);
    const onExit = (code: number | null): void => fail(`ended with ${code} instead of starting`);
    child.once("exit", onExit);
    this.#listening = await promise.finally(() => clearTimeout(timer));
    child.off("exit", onExit);
  }

  /** SIGKILL: no goodbye, no flush. Resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM: leaves in order. Resolves with its exit code. */
  async stop(): Promise<number | null> {
    return await this.#end("SIGTERM");
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.#temporary, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return null;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const gone = once(child, "exit", { signal: AbortSignal.timeout(STOP_PATIENCE_MS) });
    child.kill(signal);
    await gone;
    return child.exitCode;
  }

  #places(): { readonly [name: string]: string } {
    const portOf = (address: string): string => /:(\d+)$/.exec(address)?.[1] ?? "0";
    return {
      TRUNKLINE_DATA_DIRECTORY: this.dataDirectory,
      TRUNKLINE_GRPC_PORT: portOf(text(this.#listening.grpc)),
      TRUNKLINE_BRIDGE_PORT: portOf(text(this.#listening.bridge)),
      TRUNKLINE_LOG_FORMAT: "json",
      TRUNKLINE_LOG_LEVEL: "info",
    };
  }

  #logged(line: string): JsonObject | undefined {
    this.#lines.push(line);
    if (this.#lines.length > 40) this.#lines.shift();
    let logged: unknown;
    try {
      logged = JSON.parse(line);
    } catch {
      return undefined;
    }
    if (!isObject(logged)) return undefined;
    this.#messages.set(text(logged.msg), this.timesLogged(text(logged.msg)) + 1);
    const level = logged.level;
    if (level === "error" || level === "fatal" || (typeof level === "number" && level >= 50)) this.faults.push(line);
    return logged;
  }
}

/** A started server for the tests of a file. */
export function useServer(options: ServerOptions = {}): TestServer {
  const server = new TestServer(options);
  beforeAll(() => server.start(), START_PATIENCE_MS);
  afterAll(() => server.dispose(), STOP_PATIENCE_MS);
  return server;
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TRUNKLINE_")));
}
