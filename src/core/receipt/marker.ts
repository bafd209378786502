// How far one user has come in one room, and when: never goes back, whatever is said in which order.

import { create } from "@bufbuild/protobuf";
import { type MarkerDocument, MarkerDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import { MarkerSchema, type Marker as WireMarker } from "../../gen/trunkline/v1/message_pb.js";

/** Steps kept of a marker; what was covered before them has the time of the earliest. */
export const MAX_STEPS = 32;

export interface Progress {
  readonly deliveredSeq: number;
  readonly readSeq: number;
  /** message_index of the last message at or before `readSeq`. */
  readonly readIndex: number;
}

interface Step {
  readonly deliveredSeq: number;
  readonly readSeq: number;
  /** Wall clock. */
  readonly atMs: number;
}

/** When a place was come past; undefined: it was not. Milliseconds since 1970. */
export interface Passed {
  readonly deliveredAtMs: number | undefined;
  readonly readAtMs: number | undefined;
}

const NO_STEPS: readonly Step[] = [];

export class Marker implements Progress {
  readonly userId: string;
  deliveredSeq = 0;
  readSeq = 0;
  readIndex = 0;
  /** How often it has moved, at least. */
  revision = 0;
  #leap: number;
  /** The oldest first. Replaced, never changed. */
  #steps: readonly Step[] = NO_STEPS;

  /** `leap`: how many revisions the next move skips, beside what it counts itself. */
  constructor(userId: string, document?: MarkerDocument, leap = 0) {
    this.userId = userId;
    this.#leap = leap;
    if (document === undefined) return;
    this.deliveredSeq = document.deliveredSeq;
    this.readSeq = document.readSeq;
    this.readIndex = document.readMessageIndex;
    this.revision = document.revision;
    const { stepAtMs, stepDeliveredSeqs, stepReadSeqs } = document;
    this.#steps = stepAtMs.map((atMs, index) => {
      return { deliveredSeq: stepDeliveredSeqs[index] ?? 0, readSeq: stepReadSeqs[index] ?? 0, atMs };
    });
  }

  /** Returns whether it has moved. With `joinStep` the move is part of the last step. */
  advance(to: Progress, atMs: number, joinStep: boolean): boolean {
    const readSeq = Math.max(this.readSeq, to.readSeq);
    // What is read has been received.
    const deliveredSeq = Math.max(this.deliveredSeq, to.deliveredSeq, readSeq);
    if (deliveredSeq === this.deliveredSeq && readSeq === this.readSeq) return false;
    if (to.readSeq > this.readSeq) this.readIndex = Math.max(this.readIndex, to.readIndex);
    this.deliveredSeq = deliveredSeq;
    this.readSeq = readSeq;
    this.revision += 1 + this.#leap;
    this.#leap = 0;
    const before = joinStep ? this.#steps.slice(0, -1) : this.#steps;
    this.#steps = [...before, { deliveredSeq, readSeq, atMs }].slice(-MAX_STEPS);
    return true;
  }

  /** When the event at `seq` was received and read. */
  passed(seq: number): Passed {
    return {
      deliveredAtMs: this.#steps.find((step) => step.deliveredSeq >= seq)?.atMs,
      readAtMs: this.#steps.find((step) => step.readSeq >= seq)?.atMs,
    };
  }

  /** As it is told. `hidden`: without what was read. */
  wire(hidden: boolean): WireMarker {
    const { userId, deliveredSeq, readSeq, readIndex } = this;
    if (hidden) return create(MarkerSchema, { userId, deliveredSeq });
    return create(MarkerSchema, { userId, deliveredSeq, readSeq, readMessageIndex: readIndex });
  }

  document(): MarkerDocument {
    return create(MarkerDocumentSchema, {
      userId: this.userId,
      deliveredSeq: this.deliveredSeq,
      readSeq: this.readSeq,
      readMessageIndex: this.readIndex,
      revision: this.revision,
      stepDeliveredSeqs: this.#steps.map(({ deliveredSeq }) => deliveredSeq),
      stepReadSeqs: this.#steps.map(({ readSeq }) => readSeq),
      stepAtMs: this.#steps.map(({ atMs }) => atMs),
    });
  }
}
