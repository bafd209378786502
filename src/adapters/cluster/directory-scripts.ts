// The session directory's scripts in Redis, and the keys they touch: all of one user's are in one hash slot.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Cluster } from "ioredis";
import type { RedisCommands } from "./redis.js";

/** Users of a tenant are spread over so many parts, so that no tenant is one slot's. */
export const PARTS = 16;

const SHARED = readScript("presence");
const KEYS = 3;

const SCRIPTS = {
  connect: readScript("connect"),
  disconnect: readScript("disconnect"),
  choose: readScript("choose"),
  endGrace: readScript("end-grace"),
  forgetNode: readScript("forget-node"),
  tell: readScript("tell"),
} as const;

export type DirectoryScript = keyof typeof SCRIPTS;

/** Where a user of a tenant is kept. */
export interface UserPlace {
  readonly tenantId: string;
  readonly userId: string;
  /** Of the tenant: a part with its hash slot. */
  readonly tag: string;
}

export class DirectoryScripts {
  readonly #redis: RedisCommands;
  readonly #prefix: string;
  readonly #digests: Readonly<Record<DirectoryScript, string>>;

  constructor(redis: RedisCommands, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#digests = {
      connect: digestOf("connect"),
      disconnect: digestOf("disconnect"),
      choose: digestOf("choose"),
      endGrace: digestOf("endGrace"),
      forgetNode: digestOf("forgetNode"),
      tell: digestOf("tell"),
    };
  }

  place(tenantId: string, userId: string): UserPlace {
    return { tenantId, userId, tag: `${tenantId}/${partOf(userId)}` };
  }

  /** Of all parts of a tenant. */
  tags(tenantId: string): readonly string[] {
    return Array.from({ length: PARTS }, (_, part) => `${tenantId}/${part}`);
  }

  userKey({ tag, userId }: UserPlace): string {
    return `${this.#prefix}:{${tag}}:user:${userId}`;
  }

  onlineKey(tag: string): string {
    return `${this.#prefix}:{${tag}}:online`;
  }

  nodeKey(tag: string, nodeId: string): string {
    return `${this.#prefix}:{${tag}}:node:${nodeId}`;
  }

  channel({ tag, userId }: UserPlace): string {
    return `${this.#prefix}:{${tag}}:changed:${userId}`;
  }

  /** Runs a script about a user and the entries of a node. Commands of one connection are done in the order of the calls. */
  run(
    script: DirectoryScript,
    place: UserPlace,
    nodeId: string,
    nowMs: number,
    ...own: (string | number)[]
  ): Promise<unknown> {
    const keys = [this.userKey(place), this.onlineKey(place.tag), this.nodeKey(place.tag, nodeId)];
    const all = [...keys, place.userId, Math.floor(nowMs), this.channel(place), ...own];
    return this.#redis.evalsha(this.#digests[script], KEYS, ...all).catch((error: unknown) => {
      // Redis has lost its scripts: whoever comes later is behind this one again.
      if (!String(error).includes("NOSCRIPT")) throw error;
      return this.#redis.eval(textOf(script), KEYS, ...all);
    });
  }

  /** Makes the scripts known, so that no call has to be repeated, and come out of its order. */
  async load(): Promise<void> {
    // Every node of a Redis Cluster has its own.
    const nodes = this.#redis instanceof Cluster ? this.#redis.nodes("master") : [this.#redis];
    const texts = Object.keys(SCRIPTS).map((script) => textOf(script as DirectoryScript));
    await Promise.all(nodes.flatMap((node) => texts.map((text) => node.script("LOAD", text))));
  }
}

function partOf(userId: string): number {
  return createHash("sha256").update(userId).digest().readUInt8(0) % PARTS;
}

function readScript(name: string): string {
  return readFileSync(new URL(`lua/${name}.lua`, import.meta.url), "utf8");
}

function textOf(script: DirectoryScript): string {
  return `${SHARED}\n${SCRIPTS[script]}`;
}

function digestOf(script: DirectoryScript): string {
  return createHash("sha1").update(textOf(script)).digest("hex");
}
