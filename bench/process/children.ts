// The processes a benchmark starts, and the only ones it ends.

import { type ChildProcess, fork, type Serializable, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const READY_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 10_000;

export interface Child {
  readonly pid: number;
  /** Resolves when it has ended, whoever has ended it. */
  readonly exited: Promise<void>;
  /** Asks it to end, and ends it if it does not within 10 s. */
  stop(): Promise<void>;
}

export class Children {
  readonly #running = new Set<ChildProcess>();

  /** Starts a module that reports its port with `reportReady`. */
  async startPeer(
    module: string,
    execArgv: readonly string[],
    args: readonly string[] = [],
  ): Promise<Child & { readonly port: number }> {
    const child = this.#own(
      fork(module, [...args], { execArgv: [...execArgv], stdio: ["ignore", "ignore", "inherit", "ipc"] }),
    );
    const port = await withDeadline(firstMessage(child), READY_DEADLINE_MS, `${module} is not ready in time`);
    if (typeof port !== "object" || port === null || !("port" in port)) throw new Error(`${module} named no port`);
    return { ...this.#child(child), port: Number(port.port) };
  }

  /** Starts a program and waits until `ready` makes something of one of its lines of output. */
  async startProgram<T>(
    args: readonly string[],
    options: { readonly env: NodeJS.ProcessEnv; readonly cwd?: string },
    ready: (line: string) => T | undefined,
  ): Promise<Child & { readonly ready: T }> {
    const child = this.#own(spawn(process.execPath, [...args], { ...options, stdio: ["ignore", "pipe", "pipe"] }));
    const output: string[] = [];
    const found = Promise.withResolvers<T>();
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        const value = ready(line);
        if (value !== undefined) found.resolve(value);
        output.push(line);
        if (output.length > KEPT_LINES) output.shift();
      });
    }
    child.once("exit", (code, signal) =>
      found.reject(new Error(`the server ended (${code ?? signal}):\n${output.join("\n")}`)),
    );
    const value = await withDeadline(
      found.promise,
      READY_DEADLINE_MS,
      () => `the server is not ready in time:\n${output.join("\n")}`,
    );
    return { ...this.#child(child), ready: value };
  }

  /** Gives a new process of `module` one message and waits for the one it answers with. */
  async ask(module: string, message: Serializable, deadlineMs: number): Promise<unknown> {
    const child = this.#own(fork(module, [], { execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] }));
    try {
      child.send(message);
      return await withDeadline(firstMessage(child), deadlineMs, `no answer within ${deadlineMs} ms`);
    } finally {
      await this.#stop(child);
    }
  }

  /** Starts a process of `module` that answers every message with one, in order. */
  converse(module: string): Child & { ask(message: Serializable, deadlineMs: number): Promise<unknown> } {
    const child = this.#own(fork(module, [], { execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] }));
    return {
      ...this.#child(child),
      ask(message, deadlineMs) {
        const answer = firstMessage(child);
        child.send(message);
        return withDeadline(answer, deadlineMs, `no answer within ${deadlineMs} ms`);
      },
    };
  }

  /** Ends all that still run. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map((child) => this.#stop(child)));
  }

  /** Ends all that still run without waiting: for when this process itself must end. */
  killAll(): void {
    for (const child of this.#running) child.kill("SIGKILL");
  }

  #own<T extends ChildProcess>(child: T): T {
    this.#running.add(child);
    child.once("exit", () => this.#running.delete(child));
    return child;
  }

  #child(child: ChildProcess): Child {
    if (child.pid === undefined) throw new Error("the process did not start");
    const exited = new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve();
      else child.once("exit", () => resolve());
    });
    return { pid: child.pid, exited, stop: () => this.#stop(child) };
  }

  async #stop(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
    await exited;
    clearTimeout(timer);
  }
}

/** Lines of a server's output that are shown when it ends unasked. */
const KEPT_LINES = 40;

function firstMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null, signal: string | null) =>
      failed(new Error(`the process ended (${code ?? signal})`));
    const off = () => child.off("message", answered).off("error", failed).off("exit", ended);
    const answered = (message: unknown) => {
      off();
      resolve(message);
    };
    const failed = (error: Error) => {
      off();
      reject(error);
    };
    child.on("message", answered).on("error", failed).on("exit", ended);
  });
}

function withDeadline<T>(work: Promise<T>, ms: number, message: string | (() => string)): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(typeof message === "string" ? message : message())), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
