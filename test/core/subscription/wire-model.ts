// A wire that readers share, and its other end: hands each what its relays are told, and lets go of who reads too slowly.

import type { FrameEncoding, Relayed, Resumable, SharedWire } from "../../../src/core/session/port.js";
import { Relays } from "../../../src/core/subscription/relays.js";
import { StoppedClock } from "../../support/stopped-clock.js";

/** Who is at a relay. */
export interface WireReader {
  /** Takes a frame with these events; none: a signal. Returns false where it reads too slowly to take it. */
  relayed(seqs: readonly number[]): boolean;
}

interface Attached {
  readonly relay: number;
  readonly reader: WireReader;
  readonly relayed: Relayed;
}

export class WireModel implements SharedWire {
  readonly clock = new StoppedClock();
  readonly relays = new Relays(this.clock);
  /** Frames that were put on it. */
  frames = 0;
  /** Attachments and their ends that were put on it. */
  changes = 0;
  #full = false;
  readonly #readers: WireReader[] = [];
  readonly #seqs = new WeakMap<Uint8Array, readonly number[]>();
  readonly #sent = new Map<number, number>();
  readonly #attached = new Map<number, Attached>();
  #waiting = new Set<Resumable>();
  /** What the other end has said and this one not heard yet: who has left, and what it had got. */
  #left: { readonly attachment: number; readonly relayed: Relayed; readonly sent: number }[] = [];
  /** Attachments that this end has not ended. */
  readonly #open = new Set<number>();
  #lastRelay = 0;
  #lastAttachment = 0;

  readonly encoding: FrameEncoding = {
    name: "model",
    frame: () => this.#encoded([]),
    roomEvents: (_, events) => this.#encoded(events.map(({ seq }) => seq)),
  };

  get full(): boolean {
    return this.#full;
  }

  set full(full: boolean) {
    this.#full = full;
    if (full) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const each of waiting) each.resume();
  }

  /** Attachments that have not ended. */
  get attached(): number {
    return this.#open.size;
  }

  /** Returns the reader's number. */
  join(reader: WireReader): number {
    return this.#readers.push(reader) - 1;
  }

  wait(waiting: Resumable): void {
    this.#waiting.add(waiting);
  }

  openRelay(): number {
    return ++this.#lastRelay;
  }

  relay(relay: number, frame: Uint8Array, sent: number): void {
    this.frames++;
    const before = this.#sent.get(relay) ?? 0;
    for (const [attachment, each] of this.#attached) {
      if (each.relay !== relay || each.reader.relayed(this.#seqs.get(frame) ?? []) || sent === 0) continue;
      this.#attached.delete(attachment);
      this.#left.push({ attachment, relayed: each.relayed, sent: before });
    }
    if (sent > 0) this.#sent.set(relay, sent);
  }

  attach(relayed: Relayed, relay: number, sent: number): number {
    this.changes++;
    const reader = this.#readers[relayed.session];
    if (reader === undefined) throw new Error("no such session");
    const known = this.#sent.get(relay) ?? sent;
    if (known !== sent) throw new Error(`attached at ${sent} to a relay at ${known}`);
    this.#sent.set(relay, sent);
    this.#attached.set(++this.#lastAttachment, { relay, reader, relayed });
    this.#open.add(this.#lastAttachment);
    return this.#lastAttachment;
  }

  detach(attachment: number): void {
    this.changes++;
    this.#open.delete(attachment);
    const attached = this.#attached.get(attachment);
    if (attached === undefined) return;
    this.#attached.delete(attachment);
    const { relay, relayed } = attached;
    this.#left.push({ attachment, relayed, sent: this.#sent.get(relay) ?? 0 });
  }

  /** What the other end has said arrives. */
  hear(): void {
    const left = this.#left;
    this.#left = [];
    for (const { attachment, relayed, sent } of left) {
      this.#open.delete(attachment);
      if (!relayed.left(sent)) throw new Error("it cannot have got so much");
    }
  }

  #encoded(seqs: readonly number[]): Uint8Array {
    const bytes = new Uint8Array(1);
    this.#seqs.set(bytes, seqs);
    return bytes;
  }
}
