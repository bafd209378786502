// What several nodes announce to each other: each node hears itself at once, and the others over ways that lose, delay and repeat.

import type { EncodedEvent } from "../../src/ports/encoded-event.js";
import type { EncodedFrame } from "../../src/ports/encoded-frame.js";
import type {
  Fanout,
  FanoutListener,
  FanoutSubscription,
  GapListener,
  SignalListener,
} from "../../src/ports/fanout.js";
import type { RoomRef } from "../../src/ports/room-ref.js";
import { away, type Conditions } from "./ports.js";

/** What is said to a room. */
type Notice =
  | { readonly is: "events"; readonly events: readonly EncodedEvent[] }
  | { readonly is: "signal"; readonly frame: EncodedFrame }
  | { readonly is: "top"; readonly seq: number };

/** How often an owner says how far a room has come after its last event. */
const TOPS_SAID = 3;

/** What a node was not told of a room: its last event, and how far it has come since, so often. */
interface Missed {
  readonly room: RoomRef;
  readonly seq: number;
  readonly tops: number;
}

interface Subscription {
  readonly listener: FanoutListener;
  readonly onSignal: SignalListener | undefined;
  readonly onGap: GapListener | undefined;
}

interface Delayed {
  readonly to: BusNode;
  readonly room: RoomRef;
  readonly notices: Notice[];
}

export class Bus {
  readonly #conditions: Conditions;
  readonly #nodes = new Set<BusNode>();
  /** By sender, receiver and room: what one says to another about a room comes in order. */
  readonly #delayed = new Map<string, Delayed>();

  /** Of all nodes. */
  constructor(conditions: Conditions) {
    this.#conditions = conditions;
  }

  /** A node of a name of its own, and what holds its own answers back. */
  join(name: string, conditions: Conditions): BusNode {
    const node = new BusNode(name, this, conditions);
    this.#nodes.add(node);
    return node;
  }

  /** The node is dead. What it has said may still arrive. */
  end(node: BusNode): void {
    this.#nodes.delete(node);
    node.end();
  }

  /** Something is said by a node, or, without one, by nobody who is known here. */
  publish(from: BusNode | undefined, room: RoomRef, notice: Notice): void {
    for (const to of this.#nodes) if (to !== from) this.#send(from?.name ?? "", to, room, notice);
  }

  #send(from: string, to: BusNode, room: RoomRef, notice: Notice): void {
    const { chance, weather, coverage } = this.#conditions;
    if (to.isCut) {
      coverage.count("announcements lost with a connection");
      return;
    }
    if (chance.of(weather.announcementLost)) {
      coverage.count("announcements lost");
      if (notice.is === "top") coverage.count("tops lost");
      if (notice.is !== "signal") to.miss(room, notice);
      return;
    }
    const key = `${from}>${to.name} ${room.key}`;
    const waiting = this.#delayed.get(key);
    if (waiting === undefined && !chance.of(weather.announcementDelayed)) {
      this.#deliver(to, room, notice);
      return;
    }
    coverage.count("announcements delayed");
    const delayed = waiting ?? { to, room, notices: [] };
    this.#delayed.set(key, delayed);
    delayed.notices.push(notice);
  }

  /** What one node has said to another about one room arrives. Returns whether there was anything. */
  arrive(): boolean {
    for (const [key, { to, room, notices }] of this.#delayed) {
      this.#delayed.delete(key);
      for (const notice of notices) this.#deliver(to, room, notice);
      return true;
    }
    return false;
  }

  #deliver(to: BusNode, room: RoomRef, notice: Notice): void {
    const { chance, weather, coverage } = this.#conditions;
    if (!this.#nodes.has(to) || to.isCut) return;
    to.receive(room, notice);
    if (notice.is !== "events" || !chance.of(weather.announcementRepeated)) return;
    coverage.count("announcements repeated");
    to.receive(room, { is: "events", events: notice.events.slice(chance.below(notice.events.length)) });
  }
}

/** One node's fan-out. */
export class BusNode implements Fanout {
  readonly lossy = true;
  readonly name: string;
  readonly #missed = new Map<string, Missed>();
  readonly #bus: Bus;
  readonly #conditions: Conditions;
  readonly #rooms = new Map<string, Set<Subscription>>();
  #cut = false;
  #ended = false;

  constructor(name: string, bus: Bus, conditions: Conditions) {
    this.name = name;
    this.#bus = bus;
    this.#conditions = conditions;
  }

  /** Whether its connection is broken. */
  get isCut(): boolean {
    return this.#cut;
  }

  /** Rooms of which it has not been told the last event, nor how far they have come as often as their owner says so. */
  get lost(): ReadonlyMap<string, RoomRef> {
    return new Map([...this.#missed].filter(([, { tops }]) => tops >= TOPS_SAID).map(([key, { room }]) => [key, room]));
  }

  /** What was lost until now is nobody's business any more. */
  forget(): void {
    this.#missed.clear();
  }

  /** How many are subscribed. */
  get subscriptions(): number {
    return [...this.#rooms.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** The connection breaks: what is said from now on is lost. */
  cut(): void {
    this.#cut = true;
  }

  /** It is there again, and whoever listens is told that something may be missing. */
  mend(): void {
    if (!this.#cut) return;
    this.#cut = false;
    for (const subscriptions of [...this.#rooms.values()])
      for (const { onGap } of [...subscriptions]) onGap?.(undefined);
  }

  end(): void {
    this.#ended = true;
    this.#rooms.clear();
    this.#missed.clear();
  }

  miss(room: RoomRef, notice: Exclude<Notice, { is: "signal" }>): void {
    if (!this.#rooms.has(room.key)) return;
    const seq = seqOf(notice);
    const missed = this.#missed.get(room.key);
    if (notice.is === "events") this.#missed.set(room.key, { room, seq: Math.max(seq, missed?.seq ?? 0), tops: 0 });
    else if (missed !== undefined && seq >= missed.seq)
      this.#missed.set(room.key, { ...missed, tops: missed.tops + 1 });
  }

  receive(room: RoomRef, notice: Notice): void {
    const subscriptions = this.#rooms.get(room.key);
    if (subscriptions === undefined) return;
    const missed = this.#missed.get(room.key);
    if (missed !== undefined && notice.is !== "signal" && seqOf(notice) >= missed.seq) {
      if (notice.is === "top") this.#conditions.coverage.count("rooms told of by a top alone");
      this.#missed.delete(room.key);
    }
    for (const subscription of [...subscriptions]) {
      if (!subscriptions.has(subscription)) continue;
      if (notice.is === "events") subscription.listener(notice.events);
      else if (notice.is === "signal") subscription.onSignal?.(notice.frame);
      else subscription.onGap?.(notice.seq);
    }
  }

  announce(room: RoomRef, events: readonly EncodedEvent[]): void {
    this.#say(room, { is: "events", events });
  }

  signal(room: RoomRef, frame: EncodedFrame): void {
    this.#say(room, { is: "signal", frame });
  }

  top(room: RoomRef, seq: number): boolean {
    this.#say(room, { is: "top", seq });
    return !this.#cut;
  }

  #say(room: RoomRef, notice: Notice): void {
    if (this.#ended) return;
    this.receive(room, notice);
    if (!this.#cut) this.#bus.publish(this, room, notice);
  }

  async subscribe(
    room: RoomRef,
    listener: FanoutListener,
    onSignal?: SignalListener,
    onGap?: GapListener,
  ): Promise<FanoutSubscription> {
    const { chance, weather, coverage, gates } = this.#conditions;
    if (chance.of(weather.readHeld)) await gates.hold();
    if (this.#cut || chance.of(weather.subscribeFails)) {
      coverage.count("fan-out subscriptions refused");
      throw away("the fan-out");
    }
    if (this.#ended) return { close: () => {} };
    const subscriptions = this.#rooms.get(room.key) ?? new Set();
    this.#rooms.set(room.key, subscriptions);
    const subscription = { listener, onSignal, onGap };
    subscriptions.add(subscription);
    return {
      close: () => {
        subscriptions.delete(subscription);
        if (subscriptions.size > 0 || this.#rooms.get(room.key) !== subscriptions) return;
        this.#rooms.delete(room.key);
        this.#missed.delete(room.key);
      },
    };
  }
}

function seqOf(notice: Exclude<Notice, { is: "signal" }>): number {
  return notice.is === "top" ? notice.seq : (notice.events.at(-1)?.seq ?? 0);
}
