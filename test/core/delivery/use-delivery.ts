// A core with rooms, and what a service asks of it.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { onTestFinished } from "vitest";
import type { Caller } from "../../../src/core/room/calls.js";
import { TailRequestSchema, type TailResponse } from "../../../src/gen/trunkline/v1/delivery_pb.js";
import type { Identity } from "../../../src/ports/token-verifier.js";
import { identity, settle, type TestCore } from "../use-core.js";

type TailInit = Partial<Exclude<MessageInitShape<typeof TailRequestSchema>, { $typeName: string }>>;

/** A backend service of the tenant. */
export function service(differing: Partial<Identity> = {}): Caller {
  return { identity: identity("bot", { grants: new Set(["service"]), ...differing }), deviceId: "" };
}

/** A tail that is read as it comes, until `pause`. */
export class TestTail {
  readonly responses: TailResponse[] = [];
  /** What it ended with; "done": by itself. */
  ended: unknown;
  readonly abort = new AbortController();
  #gate: PromiseWithResolvers<void> | undefined;

  constructor(core: TestCore, request: TailInit, caller: Caller) {
    const stream = core.core.delivery.tail(caller, create(TailRequestSchema, request), this.abort.signal);
    this.#run(stream).then(
      () => {
        this.ended = "done";
      },
      (error: unknown) => {
        this.ended = error;
      },
    );
  }

  async #run(stream: AsyncIterable<TailResponse>): Promise<void> {
    for await (const response of stream) {
      this.responses.push(response);
      await this.#gate?.promise;
    }
  }

  /** Takes no more after what it has. */
  pause(): void {
    this.#gate = Promise.withResolvers<void>();
  }

  resume(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  /** The cursor after what was read. */
  get cursor(): string {
    return this.responses.at(-1)?.cursor ?? "";
  }

  /** Room and seq of every event that was read, in order. */
  get places(): readonly string[] {
    return this.responses.flatMap(({ roomId, events }) => events.map(({ position }) => `${roomId} ${position?.seq}`));
  }
}

export async function useTail(core: TestCore, request: TailInit = {}, caller = service()): Promise<TestTail> {
  const tail = new TestTail(core, request, caller);
  onTestFinished(() => tail.abort.abort());
  await settle();
  return tail;
}
