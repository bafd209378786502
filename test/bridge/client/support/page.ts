// A page that a test holds in its hands: its timers may be frozen, its network may go, and what it leaves behind is counted.

import type { Platform, Reachability, Timer, Wire, WireListener } from "../../../../bridge/client/platform.js";
import type { Link, Network } from "./network.js";

const STARTED_AT_MS = Date.UTC(2026, 0, 1);

export class Page implements Platform {
  readonly #network: Network;
  readonly #random: () => number;
  readonly #watchers = new Set<() => void>();
  readonly #timers = new Set<Timer>();
  /** What would have happened while it was frozen. */
  #missed: { readonly kind: "timer" | "network"; readonly run: () => void }[] = [];
  #ids = 0;
  #online = true;
  #frozen = false;
  /** Added to the wall clock alone. */
  skewMs = 0;
  readonly links: Link[] = [];
  /** Wires that were dialled while another one was held. */
  twice = 0;
  /** Told of what the network does to it, before the client is. */
  witness: {
    dialled?(): void;
    sent?(data: string): void;
    received?(data: string | ArrayBuffer): void;
    closed?(code: number): void;
  } = {};

  constructor(network: Network, random: () => number = () => 0.5) {
    this.#network = network;
    this.#random = random;
  }

  now(): number {
    return STARTED_AT_MS + this.#network.world.nowMs + this.skewMs;
  }

  monotonic(): number {
    return this.#network.world.nowMs;
  }

  after(ms: number, action: () => void): Timer {
    const timer: Timer = {
      cancel: () => {
        this.#timers.delete(timer);
        scheduled.cancel();
      },
    };
    const due = (): void => {
      if (this.#timers.delete(timer)) action();
    };
    const scheduled = this.#network.world.after(ms, () => this.#task("timer", due));
    this.#timers.add(timer);
    return timer;
  }

  random(): number {
    return this.#random();
  }

  id(): string {
    return `page-${++this.#ids}`;
  }

  readonly dial = (url: string, _subprotocol: string, listener: WireListener): Wire => {
    if (this.held > 0) this.twice++;
    this.witness.dialled?.();
    const link = this.#network.connect(url, {
      opened: () => this.#task("network", () => listener.opened()),
      received: (data) =>
        this.#task("network", () => {
          if (link.leftWith === undefined) this.witness.received?.(data);
          listener.received(data);
        }),
      closed: (code) =>
        this.#task("network", () => {
          if (link.leftWith === undefined) this.witness.closed?.(code);
          listener.closed(code);
        }),
    });
    link.onSent = (data) => this.witness.sent?.(data);
    this.links.push(link);
    return link;
  };

  get reachability(): Reachability {
    const isOnline = (): boolean => this.#online;
    return {
      get online() {
        return isOnline();
      },
      watch: (listener) => {
        this.#watchers.add(listener);
        return () => this.#watchers.delete(listener);
      },
    };
  }

  /** The same as an object of functions. */
  get parts(): Platform {
    const { dial, reachability } = this;
    return {
      now: () => this.now(),
      monotonic: () => this.monotonic(),
      after: (ms, action) => this.after(ms, action),
      random: () => this.random(),
      id: () => this.id(),
      dial,
      reachability,
    };
  }

  // — the test's —

  /** The system says that there is a network, or none. */
  reach(online: boolean): void {
    this.#online = online;
    this.#tell();
  }

  /** Hidden, and its timers stand still. */
  freeze(): void {
    this.#frozen = true;
  }

  /** Shown again; what was missed happens now, timers first or what the network brought first. */
  thaw(first: "timer" | "network" = "network"): void {
    this.#frozen = false;
    const missed = this.#missed;
    this.#missed = [];
    this.#tell();
    const [before, after] = [missed.filter(({ kind }) => kind === first), missed.filter(({ kind }) => kind !== first)];
    for (const { run } of [...before, ...after]) run();
  }

  /** Shown again after having been away for a moment. */
  show(): void {
    this.#tell();
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Wires that it holds for open. */
  get held(): number {
    return this.links.filter(({ held }) => held).length;
  }

  get link(): Link {
    const link = this.links.at(-1);
    if (link === undefined) throw new Error("nothing was dialled");
    return link;
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  #task(kind: "timer" | "network", run: () => void): void {
    if (this.#frozen) this.#missed.push({ kind, run });
    else run();
  }
}
