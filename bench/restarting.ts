// A server under test that is started again, on the same port and with the same data, once it has left.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Children } from "./process/children.js";
import { cpuMicros } from "./process/proc.js";
import { type Running, startNode } from "./servers.js";
import type { PeerTarget, Target, TrunklineTarget } from "./target.js";

export interface Restarting<T> {
  readonly target: T;
  /** From the end of the first process until the second was ready; NaN until then. */
  readonly downMs: number;
  /** The most CPU that a server used in any half second since the first was ready, in cores. */
  readonly cpuMost: number;
  /** Rejects where the second did not start. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

const SAMPLE_MS = 500;
const SOCKET_IO = fileURLToPath(new URL("./peer/socket-io-restarting.js", import.meta.url));

export async function restartingTrunkline(children: Children, profile?: string): Promise<Restarting<TrunklineTarget>> {
  const data = await mkdtemp(join(tmpdir(), "trunkline-bench-"));
  const server = await restarting(
    (port) => startNode(children, data, {}, profile, port),
    ({ webPort }) => webPort,
  );
  const stop = server.stop.bind(server);
  return Object.assign(server, {
    async stop() {
      await stop();
      await rm(data, { recursive: true, force: true });
    },
  });
}

export function restartingPeer(children: Children): Promise<Restarting<PeerTarget>> {
  return restarting(
    async (port) => {
      const child = await children.startPeer(SOCKET_IO, [], [String(port)]);
      return {
        target: { kind: "socket.io", pid: child.pid, port: child.port },
        stop: child.stop,
        exited: child.exited,
      };
    },
    ({ port }) => port,
  );
}

type Ending<T> = Running<T> & { readonly exited: Promise<void> };

async function restarting<T extends Target>(
  start: (port: number) => Promise<Ending<T>>,
  portOf: (target: T) => number,
): Promise<Restarting<T>> {
  const first = await start(0);
  return new RestartingServer(first, () => start(portOf(first.target)));
}

class RestartingServer<T extends Target> implements Restarting<T> {
  readonly target: T;
  readonly failed: Promise<never>;
  downMs = Number.NaN;
  cpuMost = 0;
  #running: Ending<T>;
  #again: Promise<void>;
  #stopping = false;
  readonly #sampler: NodeJS.Timeout;

  constructor(first: Ending<T>, start: () => Promise<Ending<T>>) {
    this.target = first.target;
    this.#running = first;
    this.#sampler = this.#sampleCpu();
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    // Whoever does not wait for it has an outcome already.
    promise.catch(() => undefined);
    this.#again = first.exited.then(async () => {
      if (this.#stopping) return;
      const goneAt = performance.now();
      this.#running = await start();
      this.downMs = performance.now() - goneAt;
    });
    this.#again.catch(reject);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#sampler);
    await this.#running.stop();
    await this.#again.catch(() => undefined);
    await this.#running.stop();
  }

  #sampleCpu(): NodeJS.Timeout {
    let pid = 0;
    let before = 0;
    let at = performance.now();
    return setInterval(() => {
      const now = performance.now();
      const used = cpuOf(this.#running.target.pid);
      if (used !== undefined && this.#running.target.pid === pid) {
        this.cpuMost = Math.max(this.cpuMost, (used - before) / 1_000 / (now - at));
      }
      pid = this.#running.target.pid;
      before = used ?? 0;
      at = now;
    }, SAMPLE_MS);
  }
}

/** Undefined: it has ended. */
function cpuOf(pid: number): number | undefined {
  try {
    return cpuMicros(pid);
  } catch {
    return undefined;
  }
}
