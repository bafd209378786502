// A wire that devices of one node share: what a bridge does with what the node tells its relays, late and in order.

import type { Relayed, Resumable, SharedWire } from "../../src/core/session/port.js";
import type { Chance } from "./chance.js";
import { ENCODING, type Link } from "./link.js";
import type { SimulatedClock } from "./time.js";

/** How often it takes no more, by what it is told, and for how long at most, in milliseconds. */
const FULL = 0.01;
const FULL_MS = 300;
/** What the bridge says arrives within so many milliseconds. */
const ANSWER_MS = 200;

interface Attached {
  readonly relay: number;
  readonly relayed: Relayed;
}

export interface SharedWireOptions {
  readonly chance: Chance;
  /** Its own. */
  readonly clock: SimulatedClock;
  readonly reached: (state: "events relayed" | "sessions let go by a relay" | "wires that took no more") => void;
  readonly violated: (cause: unknown) => void;
}

export class SimulatedWire implements SharedWire {
  readonly encoding = ENCODING;
  readonly #options: SharedWireOptions;
  readonly #links: Link[] = [];
  readonly #attached = new Map<number, Attached>();
  /** By relay, the last event that it was told. */
  readonly #sent = new Map<number, number>();
  #waiting = new Set<Resumable>();
  #full = false;
  #lastRelay = 0;
  #lastAttachment = 0;
  /** What the bridge has said arrives in order. */
  #arrivesAtMs = 0;

  constructor(options: SharedWireOptions) {
    this.#options = options;
  }

  /** A connection over it. Returns its number. */
  join(link: Link): number {
    return this.#links.push(link) - 1;
  }

  /** The node is gone. */
  end(): void {
    this.#options.clock.end();
  }

  get full(): boolean {
    return this.#full;
  }

  wait(waiting: Resumable): void {
    this.#waiting.add(waiting);
  }

  openRelay(): number {
    return ++this.#lastRelay;
  }

  relay(relay: number, frame: Uint8Array, sent: number): void {
    const { chance, reached } = this.#options;
    const before = this.#sent.get(relay) ?? 0;
    for (const [attachment, each] of this.#attached) {
      const link = this.#links[each.relayed.session];
      if (each.relay !== relay || link === undefined) continue;
      if (!link.blocked) {
        link.write([frame]);
        if (sent > 0) reached("events relayed");
      } else if (sent > 0) {
        reached("sessions let go by a relay");
        this.#leave(attachment, each, before);
      }
    }
    if (sent > 0) this.#sent.set(relay, sent);
    if (!this.#full && chance.of(FULL)) this.#fill();
  }

  attach(relayed: Relayed, relay: number, sent: number): number {
    this.#sent.set(relay, sent);
    this.#attached.set(++this.#lastAttachment, { relay, relayed });
    return this.#lastAttachment;
  }

  detach(attachment: number): void {
    const attached = this.#attached.get(attachment);
    if (attached !== undefined) this.#leave(attachment, attached, this.#sent.get(attached.relay) ?? 0);
  }

  #leave(attachment: number, { relayed }: Attached, sent: number): void {
    const { chance, clock, violated } = this.#options;
    this.#attached.delete(attachment);
    this.#arrivesAtMs = Math.max(this.#arrivesAtMs, clock.monotonic() + chance.below(ANSWER_MS));
    clock.after(this.#arrivesAtMs - clock.monotonic(), () => {
      if (this.#links[relayed.session]?.open && !relayed.left(sent))
        violated(new Error("a session got more than its relay was told"));
    });
  }

  #fill(): void {
    const { chance, clock, reached } = this.#options;
    reached("wires that took no more");
    this.#full = true;
    clock.after(chance.below(FULL_MS), () => {
      this.#full = false;
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const each of waiting) each.resume();
    });
  }
}
