// What one node has to carry, as it says itself, and what it is told of this bridge. Asked for as long as the node takes links.

import { create } from "@bufbuild/protobuf";
import type { Client, ClientDuplexStream } from "@grpc/grpc-js";
import { LinkService } from "../../src/gen/trunkline/v1/link_pb.js";
import { type WeighDown, type WeighUp, WeighUpSchema } from "../../src/gen/trunkline/v1/weighing_pb.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import { serviceDefinition } from "../../src/rpc/definition.js";
import { bridgeMetadata } from "./passing.js";
import { type Pause, pauseBefore } from "./pause.js";

/** Before it is asked again, in milliseconds: a node of an older version cannot say. */
const AGAIN: Pause = { firstMs: 500, mostMs: 10_000 };

/** What a node has to carry. */
export type Weight = Pick<WeighDown, "clients" | "busy">;

/** What this bridge would bring to a node, and whether it is about to. */
export type Bringing = Pick<WeighUp, "clients" | "here">;

export interface WeighingOptions {
  readonly client: Client;
  /** What bridges show. */
  readonly secret: () => string;
  readonly clock: Clock;
  /** At least 0, less than 1. */
  readonly random: () => number;
  /** The node has said something, or cannot. */
  readonly onChanged: () => void;
}

export class Weighing {
  readonly #options: WeighingOptions;
  #call: ClientDuplexStream<WeighUp, WeighDown> | undefined;
  #again: Timer | undefined;
  #failures = 0;
  #weight: Weight | undefined;
  #answered = false;
  #bringing: Bringing = { clients: 0, here: false };

  constructor(options: WeighingOptions) {
    this.#options = options;
  }

  /** Undefined: it has not said, or cannot. */
  get weight(): Weight | undefined {
    return this.#weight;
  }

  /** Whether it has said what it has to carry, or that it cannot. */
  get answered(): boolean {
    return this.#answered;
  }

  /** The node takes links: it is asked until `stop`. */
  start(): void {
    this.stop();
    this.#open();
  }

  stop(): void {
    this.#again?.cancel();
    this.#call?.cancel();
    this.#call = undefined;
    this.#weight = undefined;
    this.#answered = false;
    this.#failures = 0;
  }

  tell(bringing: Bringing): void {
    const { clients, here } = this.#bringing;
    if (clients === bringing.clients && here === bringing.here) return;
    this.#bringing = bringing;
    this.#call?.write(create(WeighUpSchema, bringing));
  }

  #open(): void {
    const { client, secret, clock, random, onChanged } = this.#options;
    const { path, requestSerialize, responseDeserialize } = serviceDefinition(LinkService).weigh;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, bridgeMetadata(secret()));
    this.#call = call;
    call.on("data", ({ clients, busy }: WeighDown) => {
      if (this.#call !== call) return;
      this.#failures = 0;
      this.#weight = { clients, busy };
      this.#answered = true;
      onChanged();
    });
    const over = (): void => {
      if (this.#call !== call) return;
      this.#call = undefined;
      this.#weight = undefined;
      this.#answered = true;
      this.#again = clock.after(pauseBefore(this.#failures, AGAIN, random), () => this.#open());
      this.#failures += 1;
      onChanged();
    };
    call.on("error", over);
    call.on("end", () => {
      call.cancel();
      over();
    });
    call.write(create(WeighUpSchema, this.#bringing));
  }
}
