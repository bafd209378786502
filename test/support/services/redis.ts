// A Redis of the tests' own.

import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Redis } from "ioredis";
import { find, lastingPort, removeDirectory, ServiceProcess, temporaryDirectory } from "./process.js";
import type { RunningService } from "./service.js";

/** A redis-server of its own directory, without persistence. */
export class RedisServer {
  readonly port: number;
  readonly #directory: string;
  readonly #process: ServiceProcess;

  private constructor(port: number, directory: string, process: ServiceProcess) {
    this.port = port;
    this.#directory = directory;
    this.#process = process;
  }

  /** Resolves once it takes connections. `settings` come before all others, as redis-server takes them. */
  static async start(command: string, settings: readonly string[] = [], port?: number): Promise<RedisServer> {
    const directory = await temporaryDirectory("redis");
    const at = port ?? (await lastingPort());
    const quiet = ["--loglevel", "warning", "--logfile", join(directory, "redis.log")];
    const own = ["--port", `${at}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", directory];
    const process = await ServiceProcess.start({
      command,
      arguments: [...settings, ...own, ...quiet],
      directory,
      port: at,
    });
    return new RedisServer(at, directory, process);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  pause(): void {
    this.#process.pause();
  }

  resume(): void {
    this.#process.resume();
  }

  async stop(signal?: "SIGKILL"): Promise<void> {
    await this.#process.stop(signal);
    await removeDirectory(this.#directory);
  }
}

export interface RunningRedis extends RunningService {
  /** host:port */
  readonly address: string;
  /** SIGKILL, and on the same port again: with nothing, or with what it held when the last snapshot was taken. */
  kill(): Promise<void>;
  restart(holding: "nothing" | "snapshot"): Promise<void>;
  /** Keeps what it holds now for a restart. */
  snapshot(): Promise<void>;
  /** Removes all that it holds. */
  empty(): Promise<void>;
}

const DUMP = "dump.rdb";
const SNAPSHOT = "snapshot.rdb";

/** Starts redis-server; it keeps nothing by itself. Undefined: it is not installed. */
export async function startRedis(): Promise<RunningRedis | undefined> {
  const command = await find("redis-server");
  if (command === undefined) return undefined;
  const directory = await temporaryDirectory("redis");
  const port = await lastingPort();
  const quiet = ["--loglevel", "warning", "--logfile", join(directory, "redis.log")];
  const kept = ["--save", "", "--appendonly", "no", "--dbfilename", DUMP];
  const program = {
    command,
    arguments: ["--port", `${port}`, "--bind", "127.0.0.1", ...kept, ...quiet],
    directory,
    port,
  };
  let service = await ServiceProcess.start(program);
  return {
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return service.pid;
    },
    address: `127.0.0.1:${port}`,
    kill: () => service.stop("SIGKILL"),
    restart: async (holding) => {
      if (holding === "nothing") await rm(join(directory, DUMP), { force: true });
      else await copyFile(join(directory, SNAPSHOT), join(directory, DUMP));
      service = await ServiceProcess.start(program);
    },
    snapshot: async () => {
      await ask(port, (redis) => redis.save());
      await copyFile(join(directory, DUMP), join(directory, SNAPSHOT));
    },
    empty: () => ask(port, (redis) => redis.flushall()),
    stop: async () => {
      await service.stop();
      await removeDirectory(directory);
    },
  };
}

async function ask(port: number, question: (redis: Redis) => Promise<unknown>): Promise<void> {
  const redis = new Redis({ port, host: "127.0.0.1", lazyConnect: true, retryStrategy: () => null });
  try {
    await redis.connect();
    await question(redis);
  } finally {
    redis.disconnect();
  }
}
