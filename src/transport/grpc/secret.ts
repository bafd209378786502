// Secrets that callers share with this process, shown as `authorization: <scheme> <secret>`: any of several, so that one can be changed while
// callers show either.

import { createHash, timingSafeEqual } from "node:crypto";
import type { Metadata } from "@grpc/grpc-js";

export class SharedSecrets {
  readonly #scheme: string;
  #digests: readonly Buffer[];

  constructor(scheme: string, secrets: string | readonly string[]) {
    this.#scheme = scheme;
    this.#digests = this.#digestsOf(secrets);
  }

  /** From now on these are taken, and no others. */
  replace(secrets: string | readonly string[]): void {
    this.#digests = this.#digestsOf(secrets);
  }

  /** Compared as digests, with all of them: neither length nor contents, nor which it is, can be told from the time it takes. */
  isShownIn(metadata: Metadata): boolean {
    const value = metadata.get("authorization")[0];
    if (typeof value !== "string") return false;
    const shown = digest(value);
    let found = false;
    for (const each of this.#digests) found = timingSafeEqual(shown, each) || found;
    return found;
  }

  #digestsOf(secrets: string | readonly string[]): readonly Buffer[] {
    return [secrets].flat().map((secret) => digest(`${this.#scheme} ${secret}`));
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
