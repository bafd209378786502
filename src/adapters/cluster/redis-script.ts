// A script of one key that Redis may have to be told anew.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { RedisCommands } from "./redis.js";

const KEYS = 1;

export class RedisScript {
  readonly #text: string;
  readonly #digest: string;

  /** `name`: of a file beside the others. */
  constructor(name: string) {
    this.#text = readFileSync(new URL(`lua/${name}.lua`, import.meta.url), "utf8");
    this.#digest = createHash("sha1").update(this.#text).digest("hex");
  }

  /** Rejects with Redis's error. */
  async run(redis: RedisCommands, key: string, ...args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await redis.evalsha(this.#digest, KEYS, key, ...args);
    } catch (error) {
      // Redis has lost its scripts.
      if (!String(error).includes("NOSCRIPT")) throw error;
      return await redis.eval(this.#text, KEYS, key, ...args);
    }
  }
}
