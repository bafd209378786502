// The connections over which a node listens to channels: one to each Redis node that has some of them, found by the slot that a channel is in.

import type { Redis } from "ioredis";
import { createNode, createRedis, opened, type RedisCommands } from "./redis.js";
import type { RedisAddress } from "./redis-address.js";
import { RedisSlotMap } from "./redis-slot-map.js";

export interface RedisLinksOptions {
  readonly address: RedisAddress;
  /** For where the slots of a Redis Cluster are. Its owner ends it. */
  readonly commands: RedisCommands;
  /** What the connections are for, as CLIENT LIST shows it. */
  readonly name: string;
  /** Longest wait for the first connection, in milliseconds. Default 5,000. */
  readonly deadlineMs?: number;
  /** A connection has failed; it is made again by itself. Or where the slots are could not be read. */
  readonly onFault: (cause: unknown) => void;
}

/** Who is told what becomes of the connections. None may throw. */
export interface LinkListener {
  /** It is there again: it has no subscriptions. */
  ready(link: Link): void;
  /** It is gone, and what it had subscribed to with it. */
  closed(link: Link): void;
  message(link: Link, channel: Buffer, message: Buffer): void;
  /** Slots may be elsewhere than they were. */
  moved(): void;
}

/** A connection to one Redis node. */
export interface Link {
  /** `host:port`; empty where there is but one. */
  readonly address: string;
  readonly redis: Redis;
  readonly opened: Promise<unknown>;
}

export class RedisLinks {
  readonly #options: RedisLinksOptions;
  readonly #listener: LinkListener;
  /** Undefined: it is no cluster. */
  readonly #map: RedisSlotMap | undefined;
  readonly #links = new Map<string, Link>();
  /** Those that are asked where a slot of theirs has gone. */
  readonly #asked = new Set<Link>();
  #isReading = false;

  constructor(options: RedisLinksOptions, listener: LinkListener) {
    this.#options = options;
    this.#listener = listener;
    this.#map = "cluster" in options.address ? new RedisSlotMap() : undefined;
  }

  /** Whether channels are spread over slots, and slots over nodes. */
  get isCluster(): boolean {
    return this.#map !== undefined;
  }

  get all(): readonly Link[] {
    return [...this.#links.values()];
  }

  /** Resolves once it is known where the slots are. */
  async learn(): Promise<void> {
    await this.#map?.learn(this.#options.commands);
  }

  /** Where the slot is; undefined: nobody serves it, as far as is known. */
  addressOf(slot: number): string | undefined {
    return this.#map === undefined ? "" : this.#map.nodeOf(slot);
  }

  /** The connection to where the slot is, which is made if there is none. Throws where nobody serves the slot. */
  to(slot: number): Link {
    const address = this.addressOf(slot);
    if (address === undefined) throw new Error(`nobody serves slot ${slot}`);
    return this.#links.get(address) ?? this.#connect(address);
  }

  /** Whether there is a way to the slot, or could be: not while the connection to where it is is down, since its return is what is waited for. */
  leadTo(slot: number): boolean {
    const address = this.addressOf(slot);
    const link = address === undefined ? undefined : this.#links.get(address);
    return address !== undefined && (link === undefined || link.redis.status === "ready");
  }

  /** A node has said who serves the slot now. */
  slotMoved(slot: number, address: string): void {
    this.#map?.moved(slot, address);
  }

  /** Reads anew where the slots are, unless that is under way. Never rejects. */
  async lookAgain(): Promise<void> {
    const { commands, onFault } = this.#options;
    if (this.#map === undefined || this.#isReading || commands.status !== "ready") return;
    this.#isReading = true;
    try {
      await this.#map.learn(commands);
      this.#listener.moved();
    } catch (cause) {
      onFault(cause);
    } finally {
      this.#isReading = false;
    }
  }

  /** Nothing is listened to over it any more. */
  end(link: Link): void {
    this.#links.delete(link.address);
    link.redis.disconnect();
  }

  stop(): void {
    for (const { redis } of this.#links.values()) redis.disconnect();
    this.#links.clear();
  }

  #connect(address: string): Link {
    const { address: given, name, deadlineMs, onFault } = this.#options;
    const redis = "cluster" in given ? createNode(given, address, name) : createRedis(given, name);
    const ready = opened(redis, { onError: onFault, ...(deadlineMs === undefined ? {} : { deadlineMs }) });
    const link: Link = { address, redis, opened: ready };
    this.#links.set(address, link);
    redis.on("smessageBuffer", (channel: Buffer, message: Buffer) => this.#listener.message(link, channel, message));
    ready.then(
      () => {
        redis.on("ready", () => this.#listener.ready(link));
        redis.on("close", () => this.#listener.closed(link));
        redis.on("moved", () => void this.#askAfter(link));
      },
      () => {
        if (this.#links.get(address) === link) this.#links.delete(address);
      },
    );
    return link;
  }

  /** A slot has left the node, which knows best where to. */
  async #askAfter(link: Link): Promise<void> {
    if (this.#asked.has(link) || this.#map === undefined) return;
    this.#asked.add(link);
    try {
      await this.#map.learn(link.redis, link.address.slice(0, link.address.lastIndexOf(":")));
      this.#listener.moved();
    } catch (cause) {
      this.#options.onFault(cause);
    } finally {
      this.#asked.delete(link);
    }
  }
}
