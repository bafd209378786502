// The hub: the rooms that this node's sessions read, and when their events are written.

import type { Timer } from "../../ports/clock.js";
import type { EncodedFrame } from "../../ports/encoded-frame.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { Places } from "../limit/places.js";
import { isInbox } from "../room/inbox.js";
import { rootOf } from "../room/sub-room.js";
import { knownEvents } from "../subscription/known.js";
import { Doubts, type TopOf } from "./doubts.js";
import { type FeedDependencies, RoomFeed } from "./feed.js";
import { RootWatch } from "./root-watch.js";
import { CollectingWindow } from "./window.js";

/** Events per archive read while a session catches up. */
const PAGE_EVENTS = 500;

export class Hub {
  readonly #deps: CoreDependencies;
  readonly #feedDeps: FeedDependencies;
  readonly #feeds = new Map<string, RoomFeed>();
  /** Rooms that others, which are read, are under. */
  readonly #roots = new Map<string, RootWatch>();
  readonly #window: CollectingWindow;
  /** Feeds that collect, in the order their windows end. */
  #collecting = new Set<RoomFeed>();
  #timer: Timer | undefined;
  #due: RoomFeed[] = [];
  readonly #doubts: Doubts;

  constructor(deps: CoreDependencies, topOf: TopOf) {
    this.#deps = deps;
    this.#doubts = new Doubts(deps.clock, topOf);
    this.#window = new CollectingWindow(deps.clock, deps.load, deps.telemetry);
    const reads = new Places(deps.limits.replayReads);
    this.#feedDeps = {
      ringBytes: deps.limits.ringBytes,
      recoveryPage: PAGE_EVENTS,
      read: (ref, from, to, limit, maxBytes) =>
        reads.run(() => knownEvents(deps, deps.archive.events(ref, { from, to, limit, maxBytes }))),
      schedule: (feed) => this.#schedule(feed),
      flushed: (events, recipients) => deps.telemetry.emit("fanout.flushed", { events, recipients }),
    };
  }

  start(): void {
    this.#window.start();
  }

  stop(): void {
    this.#window.stop();
    this.#timer?.cancel();
    this.#doubts.stop();
    for (const feed of this.#feeds.values()) feed.subscription?.close();
    this.#feeds.clear();
    for (const root of this.#roots.values()) root.close();
    this.#roots.clear();
  }

  /** The room's feed, made on first use. The caller joins it before it waits for anything. */
  feed(ref: RoomRef): RoomFeed {
    let feed = this.#feeds.get(ref.key);
    if (feed === undefined) {
      feed = new RoomFeed(ref, this.#feedDeps, this.#root(rootOf(ref)));
      feed.root?.join(feed);
      this.#feeds.set(ref.key, feed);
    }
    return feed;
  }

  /** Resolves once announcements reach the feed. */
  async listen(feed: RoomFeed): Promise<void> {
    feed.listening ??= this.#subscribe(feed);
    if (feed.root === undefined) await feed.listening;
    else await Promise.all([feed.listening, feed.root.listen()]);
  }

  async #subscribe(feed: RoomFeed): Promise<void> {
    try {
      const { fanout } = this.#deps;
      // What is said to an inbox reaches the user's sessions by their channel: who also reads it would be told twice.
      const onSignal = isInbox(feed.ref) ? undefined : (frame: EncodedFrame): void => feed.signal(frame);
      const onGap = (top: number | undefined): void => {
        if (top === undefined) this.#doubts.add(feed);
        else feed.hear(top);
      };
      const subscription = await fanout.subscribe(feed.ref, (events) => feed.receive(events), onSignal, onGap);
      if (this.#feeds.get(feed.ref.key) === feed) feed.subscription = subscription;
      else subscription.close();
    } catch (error) {
      feed.listening = undefined;
      throw error;
    }
  }

  /** Forgets a feed that nobody reads. */
  release(feed: RoomFeed): void {
    if (feed.size > 0 || this.#feeds.get(feed.ref.key) !== feed) return;
    this.#feeds.delete(feed.ref.key);
    this.#doubts.forget(feed);
    feed.subscription?.close();
    const { root } = feed;
    if (root === undefined) return;
    root.leave(feed);
    if (!root.unread || this.#roots.get(root.ref.key) !== root) return;
    this.#roots.delete(root.ref.key);
    this.#doubts.forget(root);
    root.close();
  }

  /** The watch of the room that others are under, made on first use. */
  #root(ref: RoomRef | undefined): RootWatch | undefined {
    if (ref === undefined) return undefined;
    let root = this.#roots.get(ref.key);
    if (root === undefined) {
      const { fanout, archive } = this.#deps;
      const stored = async (of: RoomRef): Promise<number> => (await archive.room(of))?.appliedSeq ?? 0;
      root = new RootWatch(ref, { ...this.#feedDeps, fanout, stored, doubt: (of) => this.#doubts.add(of) });
      this.#roots.set(ref.key, root);
    }
    return root;
  }

  /** Writes what was collected, windows notwithstanding: for drain. */
  flush(): void {
    for (const feed of [...this.#collecting, ...this.#due]) this.#flush(feed);
    this.#collecting.clear();
  }

  #schedule(feed: RoomFeed): void {
    feed.scheduled = true;
    const waitMs = feed.flushedAtMs + this.#window.ms - this.#deps.clock.monotonic();
    if (waitMs <= 0) {
      if (this.#due.length === 0) this.#deps.clock.soon(() => this.#flushDue());
      this.#due.push(feed);
      return;
    }
    this.#collecting.add(feed);
    // One timer for all rooms: a window's end is rounded to the next tick of it.
    this.#timer ??= this.#deps.clock.after(waitMs, () => this.#flushCollected());
  }

  #flushDue(): void {
    const due = this.#due;
    this.#due = [];
    for (const feed of due) this.#flush(feed);
  }

  #flushCollected(): void {
    this.#timer = undefined;
    const nowMs = this.#deps.clock.monotonic();
    const windowMs = this.#window.ms;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const feed of this.#collecting) {
      const waitMs = feed.flushedAtMs + windowMs - nowMs;
      if (waitMs > 0.5) nextMs = Math.min(nextMs, waitMs);
      else {
        this.#collecting.delete(feed);
        this.#flush(feed);
      }
    }
    if (this.#collecting.size > 0) this.#timer = this.#deps.clock.after(nextMs, () => this.#flushCollected());
  }

  #flush(feed: RoomFeed): void {
    feed.scheduled = false;
    feed.flushedAtMs = this.#deps.clock.monotonic();
    feed.flush();
  }
}
