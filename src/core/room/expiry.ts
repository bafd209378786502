// Ends messages whose time is over: each end is a command like any other, so that everybody sees it in the room's order.

import type { Timer } from "../../ports/clock.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import type { Caller } from "./calls.js";
import type { Command } from "./command.js";
import { systemOf } from "./inbox.js";

/** How late the end may be announced; reads leave out what has expired at once. */
const INTERVAL_MS = 1_000;
/** Messages ended in one go: the next go follows when these are durable. */
const BATCH = 500;

export class Expiry {
  readonly #deps: CoreDependencies;
  readonly #submit: (ref: RoomRef, caller: Caller, command: Command) => Promise<unknown>;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: CoreDependencies, submit: (ref: RoomRef, caller: Caller, command: Command) => Promise<unknown>) {
    this.#deps = deps;
    this.#submit = submit;
  }

  start(): void {
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.after(INTERVAL_MS, () => {
      // What fails is found again: it stays in the archive's index until it has ended.
      this.#run()
        .catch((cause: unknown) => this.#deps.telemetry.emit("fault", { where: "ending expired messages", cause }))
        .finally(() => this.#schedule());
    });
  }

  async #run(): Promise<void> {
    for (;;) {
      const expired = await this.#deps.archive.expired(this.#deps.clock.now(), BATCH);
      const ends = await Promise.allSettled(expired.map(({ room, messageId }) => this.#end(room, messageId)));
      const failed = ends.find((end) => end.status === "rejected");
      if (failed !== undefined) throw failed.reason;
      if (this.#stopped || expired.length < BATCH) return;
    }
  }

  #end(ref: RoomRef, messageId: string): Promise<unknown> {
    const key = `~expired.${messageId}`;
    return this.#submit(ref, systemOf(ref), { kind: "deleteMessage", key, attempt: 1, messageId, expired: true });
  }
}
