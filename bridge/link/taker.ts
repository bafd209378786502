// The stream over which a node hands a bridge what others pass for its sessions. Lost, it is made anew for as long as the link is there.

import { create } from "@bufbuild/protobuf";
import type { Client, ClientDuplexStream } from "@grpc/grpc-js";
import type { BatchTaker } from "../../src/core/cluster/passing-port.js";
import { wireError } from "../../src/core/session/frames.js";
import { LinkService } from "../../src/gen/trunkline/v1/link_pb.js";
import { type TakeBatch, type TakeDown, type TakeUp, TakeUpSchema } from "../../src/gen/trunkline/v1/passing_pb.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import { TrunklineError } from "../../src/ports/error.js";
import { serviceDefinition } from "../../src/rpc/definition.js";
import { bridgeMetadata } from "./passing.js";
import { type Pause, pauseBefore } from "./pause.js";

/** From the stream's beginning to the node's welcome, in milliseconds. */
const WELCOME_DEADLINE_MS = 5_000;
/** Before a stream is made anew, in milliseconds. */
const AGAIN: Pause = { firstMs: 100, mostMs: 5_000 };

export interface TakerOptions {
  readonly client: Client;
  /** What bridges show. */
  readonly secret: () => string;
  /** What tells this bridge from every other. */
  readonly name: string;
  readonly clock: Clock;
  /** At least 0, less than 1. */
  readonly random: () => number;
  readonly take: BatchTaker;
  /** The node has said, for the first time, where the bridge's sessions are, or cannot be asked. Called once. */
  readonly onSettled: () => void;
  /** The stream was lost, for this cause. */
  readonly onFailed: (cause: unknown) => void;
}

type Call = ClientDuplexStream<TakeUp, TakeDown>;

export class Taker {
  readonly #options: TakerOptions;
  #call: Call | undefined;
  #timer: Timer | undefined;
  #failures = 0;
  #settled = false;
  #closed = false;
  #place = "";

  constructor(options: TakerOptions) {
    this.#options = options;
    this.#open();
  }

  /** What keys of sessions name. Empty: the node has never said. */
  get place(): string {
    return this.#place;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#call?.cancel();
  }

  #open(): void {
    const { client, secret, name, clock } = this.#options;
    const { path, requestSerialize, responseDeserialize } = serviceDefinition(LinkService).take;
    const call: Call = client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      bridgeMetadata(secret()),
    );
    this.#call = call;
    this.#timer = clock.after(WELCOME_DEADLINE_MS, () => this.#lost(call, new Error("no welcome came in time")));
    call.on("data", (down: TakeDown) => this.#read(call, down));
    call.on("error", (cause: unknown) => this.#lost(call, cause));
    call.on("end", () => this.#lost(call, undefined));
    call.write(create(TakeUpSchema, { item: { case: "hello", value: { bridge: name } } }));
  }

  #read(call: Call, { item }: TakeDown): void {
    if (this.#call !== call || this.#closed) return;
    switch (item.case) {
      case "welcome":
        this.#timer?.cancel();
        this.#failures = 0;
        this.#place = item.value.place;
        this.#settle();
        return;
      case "batch":
        void this.#answer(call, item.value);
        return;
      case undefined:
        this.#lost(call, new Error("what the node says is not known"));
    }
  }

  async #answer(call: Call, { id, batch }: TakeBatch): Promise<void> {
    let refusal: TrunklineError | undefined;
    try {
      if (batch === undefined) throw TrunklineError.invalid("batch", "is missing");
      await this.#options.take(batch);
    } catch (error) {
      refusal = TrunklineError.from(error);
    }
    if (this.#call !== call || this.#closed) return;
    const value = { id, ...(refusal === undefined ? {} : { refusal: wireError(refusal) }) };
    call.write(create(TakeUpSchema, { item: { case: "answer", value } }));
  }

  #lost(call: Call, cause: unknown): void {
    if (this.#call !== call || this.#closed) return;
    const { clock, random, onFailed } = this.#options;
    this.#call = undefined;
    call.cancel();
    this.#timer?.cancel();
    this.#timer = clock.after(pauseBefore(this.#failures, AGAIN, random), () => this.#open());
    // Told once, not with every try.
    if (cause !== undefined && this.#failures === 0) onFailed(cause);
    this.#failures += 1;
    this.#settle();
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#options.onSettled();
  }
}
