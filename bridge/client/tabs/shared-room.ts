// A room that several tabs read over one subscription. Whoever subscribes moves it to their position: the server replays from there, and those
// who are further drop what they have. Where it has moved past what others wait for, it is moved back.

import type { ClientFrame, Position, RoomEvents, ServerFrame, Subscribe, Subscribed } from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";
import { type Seat, sendAll } from "./seat.js";

/** From the welcome to the outcome of a room of the hello. */
const OUTCOME_DEADLINE_MS = 30_000;

export interface SharedRoomContext {
  readonly platform: Pick<Platform, "after">;
  readonly request: (frame: ClientFrame, answered: (frame: ServerFrame) => void) => Promise<unknown>;
  /** Tells a tab why what it has asked for was not done. */
  readonly refuse: (seat: Seat, ref: number, roomId: string, error: unknown) => void;
  /** Nobody reads it, and nothing is under way. */
  readonly empty: (room: SharedRoom) => void;
}

export class SharedRoom {
  readonly id: string;
  readonly #context: SharedRoomContext;
  /** Those that hear its events. */
  readonly #readers = new Set<Seat>();
  /** Those that want to know of its presence. */
  readonly #watchers = new Set<Seat>();
  /** Of the last event of this connection, or where its first follows. Undefined: there is no subscription. */
  #reached: Position | undefined;
  /** One thing at a time: the answers of several could not be told apart. */
  #busy = false;
  readonly #next: (() => void)[] = [];
  /** What the hello of the connection has stated, until its outcome is there. */
  #stated: { readonly after: Position | undefined; readonly seats: Set<Seat>; readonly timer: Timer } | undefined;

  constructor(id: string, context: SharedRoomContext) {
    this.id = id;
    this.#context = context;
  }

  /** The hello has stated it: the outcome follows. */
  state(after: Position | undefined): void {
    this.#busy = true;
    const timer = this.#context.platform.after(OUTCOME_DEADLINE_MS, () => this.#over());
    this.#stated = { after, seats: new Set(), timer };
  }

  /** A tab's hello has stated it. */
  join(seat: Seat, after: Position | undefined): void {
    const stated = this.#stated;
    if (stated !== undefined && same(stated.after, after)) stated.seats.add(seat);
    else this.subscribe(seat, 0, { roomId: this.id, ...(after && { after }) });
  }

  /** @param ref 0: it was stated in the tab's hello, and the outcome is a push. */
  subscribe(seat: Seat, ref: number, subscribe: Subscribe): void {
    this.#inTurn(() => {
      if (seat.gone) return;
      if (subscribe.presence) this.#watchers.add(seat);
      this.#ask({ subscribe: { ...subscribe, presence: this.#watchers.size > 0 } }, seat, ref, ({ subscribed }) => {
        if (subscribed === undefined) return;
        const before = this.#reached;
        const begun = this.#begun(subscribed, subscribe.after);
        if (begun && !seat.gone) this.#readers.add(seat);
        else this.#remove(seat);
        seat.send({ ...(ref !== 0 && { replyTo: ref }), subscribed });
        if (before !== undefined && (!begun || seqOf(this.#reached) > seqOf(before))) this.#moveBack(seat, before);
      });
    });
  }

  unsubscribe(seat: Seat, ref: number): void {
    this.#inTurn(() => {
      this.#remove(seat);
      if (ref !== 0) {
        seat.send({ replyTo: ref, unsubscribed: { roomId: this.id, reason: "UNSUBSCRIBE_REASON_REQUESTED" } });
      }
      this.#leave();
    });
  }

  /** The tab has gone. */
  left(seat: Seat): void {
    if (!this.#readers.has(seat) && !this.#stated?.seats.has(seat)) return;
    this.#stated?.seats.delete(seat);
    this.#remove(seat);
    if (this.#readers.size === 0) this.#inTurn(() => this.#leave());
  }

  reads(seat: Seat): boolean {
    return this.#readers.has(seat);
  }

  // — what the server says —

  events({ events = [] }: RoomEvents, frame: ServerFrame): void {
    this.#reached = events.at(-1)?.position ?? this.#reached;
    sendAll(this.#readers, frame);
  }

  /** A push: the outcome of what the hello has stated, or the end of a subscription. */
  subscribed(subscribed: Subscribed): void {
    const stated = this.#stated;
    if (stated !== undefined) {
      const begun = this.#begun(subscribed, stated.after);
      for (const seat of stated.seats) {
        if (begun) this.#readers.add(seat);
        seat.send({ subscribed });
      }
      this.#over();
    } else if (subscribed.reset !== undefined) this.#ended({ subscribed });
  }

  refused(frame: ServerFrame): void {
    for (const seat of this.#stated?.seats ?? []) seat.send(frame);
    this.#over();
  }

  unsubscribed(frame: ServerFrame): void {
    this.#ended(frame);
    if (!this.#busy) this.#over();
  }

  /** The connection is gone. */
  end(): void {
    this.#stated?.timer.cancel();
  }

  // — inside —

  /** Returns false where there is no subscription now. */
  #begun({ top = {}, gap, reset, replaying }: Subscribed, after: Position | undefined): boolean {
    if (reset !== undefined) this.#reached = undefined;
    else if (gap !== undefined) this.#reached = gap.toSeq === top.seq ? top : { seq: gap.toSeq ?? 0 };
    else this.#reached = replaying === undefined ? top : (after ?? {});
    return reset === undefined;
  }

  /** Others have not heard yet what lies between: they go on from there, and who has just come drops it. */
  #moveBack(newest: Seat, to: Position): void {
    const others = [...this.#readers].filter((seat) => seat !== newest);
    if (others.length === 0) return;
    // As if the server could not say: they ask again, from their own positions.
    const again = (): void => {
      for (const seat of others) {
        this.#readers.delete(seat);
        seat.send({ unsubscribed: { roomId: this.id, reason: "UNSUBSCRIBE_REASON_UNAVAILABLE" } });
      }
    };
    this.#next.unshift(() => {
      const subscribe = { roomId: this.id, after: to, presence: this.#watchers.size > 0 };
      this.#ask({ subscribe }, undefined, 0, ({ subscribed = {} }) => {
        if (!this.#begun(subscribed, to)) this.#ended({ subscribed });
        else if (subscribed.gap !== undefined) again();
      });
    });
  }

  #ask(frame: ClientFrame, seat: Seat | undefined, ref: number, answered: (frame: ServerFrame) => void): void {
    this.#busy = true;
    this.#context.request(frame, answered).then(
      () => this.#over(),
      (error: unknown) => {
        if (seat !== undefined) {
          if (!this.#readers.has(seat)) this.#watchers.delete(seat);
          this.#context.refuse(seat, ref, this.id, error);
        }
        this.#over();
      },
    );
  }

  #inTurn(run: () => void): void {
    this.#next.push(run);
    if (!this.#busy) this.#over();
  }

  /** What was under way is done: the next, if there is one. */
  #over(): void {
    this.#busy = false;
    this.#stated?.timer.cancel();
    this.#stated = undefined;
    while (!this.#busy) {
      const next = this.#next.shift();
      if (next === undefined) break;
      next();
    }
    if (this.#busy) return;
    if (this.#readers.size > 0) return;
    if (this.#reached === undefined) this.#context.empty(this);
    else this.#leave();
  }

  #leave(): void {
    if (this.#readers.size > 0 || this.#reached === undefined) return;
    this.#reached = undefined;
    this.#ask({ unsubscribe: { roomId: this.id } }, undefined, 0, () => {});
  }

  /** There is no subscription any more. */
  #ended(frame: ServerFrame): void {
    this.#reached = undefined;
    for (const seat of this.#readers) seat.send(frame);
    this.#readers.clear();
    this.#watchers.clear();
  }

  #remove(seat: Seat): void {
    this.#readers.delete(seat);
    this.#watchers.delete(seat);
  }
}

function seqOf(position: Position | undefined): number {
  return position?.seq ?? 0;
}

function same(one: Position | undefined, other: Position | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return seqOf(one) === seqOf(other) && (one.tag ?? 0) === (other.tag ?? 0);
}
