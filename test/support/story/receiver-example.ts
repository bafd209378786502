// The example receiver of webhooks, as it stands: started, killed, started again on the same port with the same state.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { isObject, type JsonObject, number } from "../client/index.js";

const SCRIPT = fileURLToPath(new URL("../../../examples/webhook/receiver.mjs", import.meta.url));
/** A bound for the tests, not a claim about speed. */
const PATIENCE_MS = 20_000;

export class ReceiverExample {
  /** Every line it has printed, by all processes. */
  readonly lines: JsonObject[] = [];
  readonly directory = mkdtempSync(join(tmpdir(), "trunkline-receiver-"));
  #child: ChildProcess | undefined;
  #port = 0;
  #heard: (() => void)[] = [];

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** `secrets`: those it accepts. */
  async start(...secrets: readonly string[]): Promise<void> {
    const child = spawn(process.execPath, [SCRIPT, String(this.#port), join(this.directory, "state")], {
      env: { ...process.env, WEBHOOK_SECRETS: secrets.join() },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    child.once("exit", (code) => reject(new Error(`the receiver ended with ${code}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const said: unknown = JSON.parse(line);
      if (!isObject(said)) return;
      if ("listening" in said) resolve(number(said.listening));
      else this.lines.push(said);
      const heard = this.#heard;
      this.#heard = [];
      for (const tell of heard) tell();
    });
    this.#port = await promise;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Resolves once it has printed as many lines, with all of them. */
  async printed(count: number): Promise<readonly JsonObject[]> {
    const late = AbortSignal.timeout(PATIENCE_MS);
    while (this.lines.length < count) {
      const heard = new Promise<void>((resolve) => this.#heard.push(resolve));
      const over = new Promise<never>((_, reject) => {
        late.addEventListener("abort", () => reject(new Error(`printed ${JSON.stringify(this.lines)}`)), {
          once: true,
        });
      });
      await Promise.race([heard, over]);
    }
    return this.lines;
  }
}
