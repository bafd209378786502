// A target of events that remembers what it took, and takes nothing while it is told not to.

import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { EventBatch, EventSink } from "../../../src/ports/event-sink.js";

export class RecordingTarget implements EventSink {
  /** Batches taken, in order. */
  readonly batches: EventBatch[] = [];
  /** How often something was handed over, taken or not. */
  tries = 0;
  /** Whether a batch is not taken. */
  refuses: (batch: EventBatch) => boolean = () => false;
  /** Whether a batch is taken and the answer is lost. */
  losesAnswer: (batch: EventBatch) => boolean = () => false;
  /** Batches wait for it before they are answered. */
  hold: Promise<void> | undefined;

  async deliver(batch: EventBatch): Promise<void> {
    this.tries++;
    await this.hold;
    if (this.refuses(batch)) throw new TrunklineError(ErrorCode.UNAVAILABLE, "the target does not take it");
    this.batches.push(batch);
    if (this.losesAnswer(batch)) throw new TrunklineError(ErrorCode.UNAVAILABLE, "the answer was lost");
  }

  /** Seqs of a room that were taken, in order, repeats too. */
  seqs(roomId: string): number[] {
    return this.batches.flatMap(({ rooms }) =>
      rooms.filter(({ room }) => room.roomId === roomId).flatMap(({ events }) => events.map(({ seq }) => seq)),
    );
  }

  /** Texts of messages that were taken, in order, repeats too. */
  get texts(): string[] {
    return this.batches.flatMap(({ rooms }) =>
      rooms.flatMap(({ events }) =>
        events.flatMap(({ event: { kind } }) => {
          const body = kind.case === "messageCreated" ? kind.value.body?.kind : undefined;
          return body?.case === "text" ? [body.value] : [];
        }),
      ),
    );
  }
}

export function holds(batch: EventBatch, roomId: string): boolean {
  return batch.rooms.some(({ room }) => room.roomId === roomId);
}
