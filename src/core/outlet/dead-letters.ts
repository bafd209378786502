// What an outlet has given up, and tries once more when it is asked to: each at the node that has the room's shard.

import { create } from "@bufbuild/protobuf";
import { type DeadLetterDocument, DeadLetterDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import type { Timer } from "../../ports/clock.js";
import type { OutletStore } from "../../ports/outlet-store.js";
import type { CoreDependencies } from "../core.js";

/** Between two looks at what is to be tried once more, in milliseconds: asked for by hand, from outside the process. */
const LOOK_MS = 5_000;
/** Dead letters tried in one look. */
const TRIED_AT_ONCE = 100;
const MAX_REASON_LENGTH = 500;
/** Characters that milliseconds since 1970 take in base 36, for three thousand years. */
const TIME_LENGTH = 9;

export class DeadLetters {
  readonly #deps: CoreDependencies;
  readonly #store: OutletStore;
  readonly #outlet: string;
  readonly #handOver: (letter: DeadLetterDocument) => Promise<void>;
  readonly #shards: () => readonly number[];
  #timer: Timer | undefined;
  #stopped = false;

  constructor(
    deps: CoreDependencies,
    store: OutletStore,
    outlet: string,
    handOver: (letter: DeadLetterDocument) => Promise<void>,
    shards: () => readonly number[],
  ) {
    this.#deps = deps;
    this.#store = store;
    this.#outlet = outlet;
    this.#handOver = handOver;
    this.#shards = shards;
  }

  start(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.after(LOOK_MS, () => {
      this.#look().finally(() => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Keeps a letter that has neither id nor reason yet. */
  async bury(letter: DeadLetterDocument, cause: unknown): Promise<void> {
    const atMs = this.#deps.clock.now();
    const { tenantId, roomId, firstSeq, tries } = letter;
    const time = Math.floor(atMs).toString(36).padStart(TIME_LENGTH, "0");
    const letterId = `${time}-${this.#deps.ids.digest(`${tenantId}/${roomId}/${firstSeq}`)}`;
    await this.#store.bury(
      this.#outlet,
      create(DeadLetterDocumentSchema, { ...letter, letterId, atMs, reason: reasonOf(cause) }),
    );
    this.#deps.telemetry.emit("outlet.buried", { outlet: this.#outlet, roomId, tries, cause });
  }

  /** Never rejects: what could not be looked at is looked at again. */
  async #look(): Promise<void> {
    try {
      for (const letterId of await this.#store.retries(this.#outlet, this.#shards(), TRIED_AT_ONCE)) {
        const letter = await this.#store.deadLetter(this.#outlet, letterId);
        if (this.#stopped) return;
        if (letter === undefined) await this.#store.forget(this.#outlet, letterId);
        else await this.#try(letter);
      }
    } catch (cause) {
      if (!this.#stopped) this.#deps.telemetry.emit("fault", { where: `dead letters of ${this.#outlet}`, cause });
    }
  }

  async #try(letter: DeadLetterDocument): Promise<void> {
    const { letterId } = letter;
    const tries = letter.tries + 1;
    try {
      await this.#handOver(letter);
    } catch (cause) {
      if (this.#stopped) return;
      this.#deps.telemetry.emit("outlet.failed", { outlet: this.#outlet, tries, cause });
      await this.#store.bury(
        this.#outlet,
        create(DeadLetterDocumentSchema, { ...letter, tries, reason: reasonOf(cause) }),
      );
      await this.#store.retried(this.#outlet, letterId);
      return;
    }
    await this.#store.forget(this.#outlet, letterId);
  }
}

function reasonOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, MAX_REASON_LENGTH);
}
