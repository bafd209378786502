// A program that tests need: started on a free port in a directory of its own, ended with the tests, told apart from its failures.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

const POLL_MS = 50;
const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 5_000;
/** How much of what a program says is kept, for when it fails. */
const KEPT_OUTPUT = 8_192;

export const run = promisify(execFile);

/** Where a program is; undefined: nowhere in PATH. */
export async function find(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await run("sh", ["-c", `command -v ${program}`]);
    return stdout.trim();
  } catch {
    return undefined;
  }
}

/** Below the ports that systems give to connections: nobody takes one by chance while its program is away. */
const LASTING_PORTS = { least: 15_000, most: 32_000 };

/** A port nobody listens to, for a program that is to come back to it. */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const { least, most } = LASTING_PORTS;
    const port = least + Math.floor(Math.random() * (most - least));
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** A port nobody listens to just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("the listener has no port");
  return address.port;
}

/** A new directory for one program's data. */
export function temporaryDirectory(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `trunkline-${name}-`));
}

export interface Program {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly directory: string;
  /** It is up when this port takes connections. */
  readonly port: number;
  readonly env?: NodeJS.ProcessEnv;
}

/** A running program. Its directory is its caller's. */
export class ServiceProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #output = "";
  #exited = false;

  private constructor(child: ChildProcess) {
    this.#child = child;
    // Who runs the tests may end without ending what it has started.
    const kill = (): void => {
      child.kill("SIGKILL");
    };
    process.once("exit", kill);
    this.#ended = new Promise((resolve) => {
      const ended = (): void => {
        process.removeListener("exit", kill);
        this.#exited = true;
        resolve();
      };
      child.once("exit", ended);
      child.once("error", (error) => {
        this.#keep(error.message);
        ended();
      });
    });
    child.stdout?.on("data", (bytes: Buffer) => this.#keep(bytes.toString()));
    child.stderr?.on("data", (bytes: Buffer) => this.#keep(bytes.toString()));
  }

  /** Resolves once the program takes connections; rejects with what it said where it does not. */
  static async start(program: Program): Promise<ServiceProcess> {
    const child = spawn(program.command, program.arguments, {
      cwd: program.directory,
      env: { ...process.env, ...program.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const service = new ServiceProcess(child);
    const deadline = Date.now() + START_DEADLINE_MS;
    while (!(await listens(program.port))) {
      if (service.#exited || Date.now() > deadline) {
        const what = service.#exited ? "ended" : `did not listen within ${START_DEADLINE_MS} ms`;
        await service.stop("SIGKILL");
        throw new Error(`${program.command} ${what}:\n${service.#output}`);
      }
      await pause(POLL_MS);
    }
    return service;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends a signal and waits until the program has ended; one that does not heed it is killed. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    if (!this.#exited) this.#child.kill(signal);
    await Promise.race([this.#ended, pause(STOP_DEADLINE_MS)]);
    if (this.#exited) return;
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** SIGSTOP and SIGCONT: the program stands still. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  #keep(text: string): void {
    this.#output = (this.#output + text).slice(-KEPT_OUTPUT);
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Removes a program's directory, after its end. */
export function removeDirectory(directory: string): Promise<void> {
  return rm(directory, { recursive: true, force: true });
}
