// Hears when a room ends whose members are another room's: nothing else of its events concerns who watches it.

import { RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { FanoutSubscription } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";

export class EndOfRoom {
  readonly #ref: RoomRef;
  readonly #deps: Pick<CoreDependencies, "archive" | "fanout">;
  readonly #ended: () => void;
  #subscription: FanoutSubscription | undefined;
  #seq = 0;
  #looking = false;
  #closed = false;

  /** `ended`: the room is no more. May be called more than once. */
  constructor(ref: RoomRef, deps: Pick<CoreDependencies, "archive" | "fanout">, ended: () => void) {
    this.#ref = ref;
    this.#deps = deps;
    this.#ended = ended;
  }

  /** Resolves once it hears. */
  async listen(): Promise<void> {
    if (this.#subscription !== undefined) return;
    const subscription = await this.#deps.fanout.subscribe(
      this.#ref,
      (events) => this.#receive(events),
      undefined,
      (top) => this.#missed(top),
    );
    if (this.#closed) subscription.close();
    else this.#subscription = subscription;
  }

  close(): void {
    this.#closed = true;
    this.#subscription?.close();
  }

  #receive(events: readonly EncodedEvent[]): void {
    for (const { seq, event } of events) {
      if (this.#seq > 0 && seq > this.#seq + 1) this.#missed(seq - 1);
      this.#seq = Math.max(this.#seq, seq);
      if (event.kind.case === "roomDeleted") this.#ended();
    }
  }

  /** Announcements may have been lost: the room may be no more. */
  #missed(top = Number.POSITIVE_INFINITY): void {
    if (top <= this.#seq || this.#looking) return;
    this.#looking = true;
    this.#top().then(
      (seq) => {
        this.#looking = false;
        this.#seq = Math.max(this.#seq, seq ?? 0);
        if (seq === undefined && !this.#closed) this.#ended();
      },
      () => {
        // Whatever is told next asks for it again.
        this.#looking = false;
      },
    );
  }

  /** How far the room has come; undefined: it was deleted. */
  async #top(): Promise<number | undefined> {
    const { room } = (await this.#deps.archive.room(this.#ref)) ?? {};
    return room === undefined || room.status === RoomStatus.DELETED ? undefined : (room.top?.seq ?? 0);
  }
}
