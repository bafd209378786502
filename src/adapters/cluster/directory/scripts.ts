// The session directory's scripts in Redis: each changes what is kept of one user.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Cluster } from "ioredis";
import type { RedisCommands } from "../redis.js";
import type { DirectoryKeys, UserPlace } from "./keys.js";

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

export class DirectoryScripts {
  readonly #redis: RedisCommands;
  readonly #keys: DirectoryKeys;
  readonly #digests: Readonly<Record<DirectoryScript, string>>;

  constructor(redis: RedisCommands, keys: DirectoryKeys) {
    this.#redis = redis;
    this.#keys = keys;
    this.#digests = {
      connect: digestOf("connect"),
      disconnect: digestOf("disconnect"),
      choose: digestOf("choose"),
      endGrace: digestOf("endGrace"),
      forgetNode: digestOf("forgetNode"),
      tell: digestOf("tell"),
    };
  }

  /** Runs a script about a user and the entries of a node. Commands of one connection are done in the order of the calls. */
  run(
    script: DirectoryScript,
    place: UserPlace,
    nodeId: string,
    nowMs: number,
    ...own: (string | number)[]
  ): Promise<unknown> {
    const keys = [this.#keys.user(place), this.#keys.online(place.tag), this.#keys.usersOf(nodeId, place.tag)];
    const all = [...keys, place.userId, Math.floor(nowMs), this.#keys.changed(place), ...own];
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

function readScript(name: string): string {
  return readFileSync(new URL(`../lua/${name}.lua`, import.meta.url), "utf8");
}

function textOf(script: DirectoryScript): string {
  return `${SHARED}\n${SCRIPTS[script]}`;
}

function digestOf(script: DirectoryScript): string {
  return createHash("sha1").update(textOf(script)).digest("hex");
}
