// A backend service that follows the tenant's events, as docs/protocol.md tells to: it remembers a cursor and goes on from it.

import { create } from "@bufbuild/protobuf";
import type { Core } from "../../src/core/core.js";
import type { Caller } from "../../src/core/room/calls.js";
import { TailRequestSchema, type TailResponse } from "../../src/gen/trunkline/v1/delivery_pb.js";
import type { Timer } from "../../src/ports/clock.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { Chance } from "./chance.js";
import type { Coverage } from "./coverage.js";
import type { TailRecords } from "./tail-records.js";
import type { SimulatedClock } from "./time.js";
import type { Trace } from "./trace.js";
import { Violation } from "./violation.js";

export interface TailReaderOptions {
  readonly name: string;
  readonly caller: Caller;
  readonly records: TailRecords;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly trace: Trace;
  readonly clock: SimulatedClock;
  /** One that can be asked; each time another, perhaps. */
  readonly core: () => Core | undefined;
  /** Takes in what the log has got. */
  readonly absorb: () => void;
  readonly violated: (cause: unknown) => void;
}

const RETRY_MS = 1_000;

export class TailReader {
  readonly name: string;
  readonly #options: TailReaderOptions;
  /** Of the last response dealt with that was remembered; empty: begins anew. */
  #cursor = "";
  /** Whether the store is an older one than that which the cursor is of. */
  #restored = false;
  #stream: AbortController | undefined;
  #core: Core | undefined;
  #pause: PromiseWithResolvers<void> | undefined;
  #retry: Timer | undefined;

  constructor(options: TailReaderOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get connected(): boolean {
    return this.#stream !== undefined;
  }

  get paused(): boolean {
    return this.#pause !== undefined;
  }

  connect(): void {
    const { core, caller, trace, coverage } = this.#options;
    if (this.#stream !== undefined) return;
    const node = core();
    if (node === undefined) return;
    this.#core = node;
    this.#retry?.cancel();
    const stream = new AbortController();
    this.#stream = stream;
    if (this.#cursor !== "") coverage.count("tails resumed");
    const responses = node.delivery.tail(caller, create(TailRequestSchema, { cursor: this.#cursor }), stream.signal);
    this.#read(stream, responses).then(
      () => {},
      (cause: unknown) => {
        if (this.#stream !== stream) return;
        this.#stream = undefined;
        trace.note(`${this.name} ended ${String(cause)}`);
        this.#ended(cause);
      },
    );
  }

  /** Takes nothing more until `resume`. */
  pause(): void {
    this.#pause ??= Promise.withResolvers<void>();
  }

  resume(): void {
    this.#pause?.resolve();
    this.#pause = undefined;
  }

  /** The connection is gone, or the reader dies. */
  cut(): void {
    this.#retry?.cancel();
    this.#stream?.abort();
    this.#stream = undefined;
    this.resume();
  }

  /** A process has died. */
  lost(core: Core): void {
    if (this.#core === core) this.cut();
  }

  /** An older state of the store was put back. */
  restored(): void {
    this.#restored = true;
  }

  async #read(stream: AbortController, responses: AsyncIterable<TailResponse>): Promise<void> {
    let first = true;
    for await (const response of responses) {
      await this.#pause?.promise;
      if (this.#stream !== stream) return;
      this.#take(response, first);
      first = false;
    }
  }

  #take({ roomId, events, cursor }: TailResponse, first: boolean): void {
    const { records, absorb, caller, chance, coverage, trace } = this.#options;
    const { tenantId } = caller.identity;
    absorb();
    if (first) {
      if (this.#cursor === "") records.begins(this.name, tenantId);
      else records.goesOn(this.name);
      this.#cursor = cursor;
      this.#restored = false;
      return;
    }
    trace.note(`${this.name} ← ${events.length} of ${roomId}`);
    const news = records.told(this.name, `${tenantId}/${roomId}`, events);
    if (news.length > 0) coverage.count("tails told");
    if (news.length < events.length) coverage.count("tails told again");
    // Not each is remembered before the reader dies.
    if (chance.of(0.7)) this.#cursor = cursor;
  }

  #ended(cause: unknown): void {
    const { coverage, clock, violated } = this.#options;
    const { code, field } = TrunklineError.from(cause);
    if (code === ErrorCode.INVALID_ARGUMENT && field === "cursor") {
      if (!this.#restored)
        violated(new Violation("wrong outcome", `${this.name}: its cursor was refused without a cause`));
      coverage.count("tails refused after a restore");
      this.#cursor = "";
    } else if (code !== ErrorCode.UNAVAILABLE) violated(cause);
    this.#retry = clock.after(RETRY_MS, () => this.connect());
  }
}
