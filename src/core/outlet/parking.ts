// What an outlet could not hand over: kept durably, tried again with growing waits, and given up in the end. Each node does so for the rooms
// of its shards.

import { create } from "@bufbuild/protobuf";
import { type ParkedDocument, ParkedDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import type { Timer } from "../../ports/clock.js";
import type { OutletStore } from "../../ports/outlet-store.js";
import { roomRef } from "../../ports/room-ref.js";
import { shardOf } from "../../ports/shard.js";
import { TermOver } from "../../ports/term.js";
import type { CoreDependencies } from "../core.js";
import type { Holding } from "./outlet.js";

/** First wait before another try, in milliseconds; doubled up to the last. */
const TRY_FIRST_MS = 1_000;
const TRY_LAST_MS = 300_000;
/** Waits differ by up to this part, so that what failed together is not tried together. */
const SPREAD = 0.25;
/** Parked items that are tried at once. */
const TRIES_AT_ONCE = 8;
/** Between two looks at a store that is away, in milliseconds. */
const STORE_RETRY_MS = 1_000;

/** What became of a try. */
export type Tried =
  /** All of it is done. */
  | { readonly is: "done" }
  /** Some of it is done: the rest is to be tried after so many milliseconds. */
  | { readonly is: "more"; readonly document: ParkedDocument; readonly waitMs: number };

export interface ParkingOptions {
  readonly outlet: string;
  /** Parked items, at most: with so many, `full` asks whoever parks to wait. */
  readonly places: number;
  readonly giveUpAfterMs: number;
  /** One try. A rejection is a failure. What is done may have been released already, so that nothing comes between. */
  attempt(document: ParkedDocument): Promise<Tried>;
  /** It has failed for long enough. Returns what is left to be tried; undefined: nothing. A rejection: tried again. */
  giveUp(document: ParkedDocument, cause: unknown): Promise<ParkedDocument | undefined>;
}

/** A shard while it is this node's. */
interface Held {
  readonly holding: Holding;
  over: boolean;
}

interface Item {
  readonly held: Held;
  document: ParkedDocument;
  dueMs: number;
  busy: boolean;
}

interface Released {
  readonly held: Held;
  readonly document: ParkedDocument;
}

export class Parking {
  readonly #deps: CoreDependencies;
  readonly #store: OutletStore;
  readonly #options: ParkingOptions;
  readonly #items = new Map<string, Item>();
  readonly #held = new Map<number, Held>();
  #trying = 0;
  #timer: Timer | undefined;
  #timerDueMs = 0;
  /** What is on its way to the store. */
  readonly #parking = new Set<string>();
  /** Those that the store still keeps, because it was away. */
  #released: Released[] = [];
  #unparkTimer: Timer | undefined;
  #stopped = false;

  constructor(deps: CoreDependencies, store: OutletStore, options: ParkingOptions) {
    this.#deps = deps;
    this.#store = store;
    this.#options = options;
  }

  /** Takes up what was parked of a shard. Rejects when it cannot be read, and where a later term has begun. */
  takeUp({ shard, term }: Holding): Promise<readonly ParkedDocument[]> {
    return this.#store.takeUp(this.#options.outlet, shard, term);
  }

  /** The shard is this node's: begins with what was taken up of it. */
  opened(holding: Holding, kept: readonly ParkedDocument[]): void {
    const held: Held = { holding, over: false };
    this.#held.set(holding.shard, held);
    for (const document of kept) this.#keep(held, document, 0);
    this.#tell();
    this.#arm();
  }

  /** The shard is another node's: what is being tried may be done, and nobody hears of it. */
  released(shard: number): void {
    const held = this.#held.get(shard);
    if (held === undefined) return;
    held.over = true;
    this.#held.delete(shard);
    for (const [key, item] of this.#items) if (item.held === held) this.#items.delete(key);
    this.#released = this.#released.filter((each) => !each.held.over);
    this.#tell();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#unparkTimer?.cancel();
    for (const held of this.#held.values()) held.over = true;
    this.#held.clear();
  }

  /** The shards whose rooms it looks after. */
  get shards(): readonly number[] {
    return [...this.#held.keys()];
  }

  /** Whether it looks after the room. */
  holds(roomKey: string): boolean {
    return this.#held.has(shardOf(roomKey, this.#deps.log.shards));
  }

  /** Whether this, and not what came after it, is parked. */
  isParked(document: ParkedDocument): boolean {
    return this.#items.get(keyOf(document))?.document === document;
  }

  has(tenantId: string, roomId: string, userId = ""): boolean {
    return this.#items.has(keyOf({ tenantId, roomId, userId }));
  }

  get full(): boolean {
    return this.#items.size >= this.#options.places;
  }

  /** Resolves once it is kept. Not of what is parked already. `waitMs`: until it is tried. Rejects where it does not hold the room. */
  async park(document: ParkedDocument, waitMs = this.#waitMs(document)): Promise<void> {
    const held = this.#heldOf(document);
    if (held === undefined) throw new Error("the room's shard is another node's");
    const key = keyOf(document);
    this.#parking.add(key);
    try {
      await this.#store.park(this.#options.outlet, document, held.holding.term);
    } catch (cause) {
      this.#isOvertaken(held, cause);
      throw cause;
    } finally {
      this.#parking.delete(key);
    }
    // Whoever has the shard now finds it, or the event itself.
    if (held.over) return;
    this.#keep(held, document, waitMs);
    this.#tell();
    this.#armFor(this.#deps.clock.monotonic() + waitMs);
  }

  /** It is done: from now on it is not there. Should the store not hear of that, it comes back with the next start. */
  release(document: ParkedDocument): void {
    const item = this.#items.get(keyOf(document));
    if (item?.document !== document) return;
    this.#items.delete(keyOf(document));
    this.#tell();
    this.#unpark({ held: item.held, document });
  }

  #heldOf({ tenantId, roomId }: ParkedDocument): Held | undefined {
    return this.#held.get(shardOf(roomRef(tenantId, roomId).key, this.#deps.log.shards));
  }

  /** Whether it failed because a later term has begun: then the shard is released. */
  #isOvertaken(held: Held, cause: unknown): boolean {
    if (!(cause instanceof TermOver)) return false;
    if (!held.over) held.holding.overtaken();
    return true;
  }

  #unpark(released: Released): void {
    const { held, document } = released;
    this.#store.unpark(this.#options.outlet, document, held.holding.term).catch((cause: unknown) => {
      if (held.over) return;
      this.#fault(cause);
      this.#released.push(released);
      this.#unparkTimer ??= this.#deps.clock.after(STORE_RETRY_MS, () => {
        this.#unparkTimer = undefined;
        // What was parked again meanwhile, or may be by now, stands in its place.
        const due = this.#released.filter((each) => {
          const key = keyOf(each.document);
          return !this.#items.has(key) && !this.#parking.has(key);
        });
        this.#released = [];
        for (const each of due) this.#unpark(each);
      });
    });
  }

  #keep(held: Held, document: ParkedDocument, waitMs: number): void {
    const dueMs = this.#deps.clock.monotonic() + waitMs;
    this.#items.set(keyOf(document), { held, document, dueMs, busy: false });
  }

  #arm(): void {
    if (this.#stopped || this.#trying >= TRIES_AT_ONCE) return;
    let next = Number.POSITIVE_INFINITY;
    for (const { busy, dueMs } of this.#items.values()) if (!busy) next = Math.min(next, dueMs);
    if (next < Number.POSITIVE_INFINITY) this.#armFor(next);
  }

  #armFor(dueMs: number): void {
    if (this.#stopped || this.#trying >= TRIES_AT_ONCE) return;
    if (this.#timer !== undefined && this.#timerDueMs <= dueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = this.#deps.clock.after(Math.max(dueMs - this.#deps.clock.monotonic(), 0), () => {
      this.#timer = undefined;
      this.#tryDue();
    });
  }

  #tryDue(): void {
    const nowMs = this.#deps.clock.monotonic();
    for (const item of this.#items.values()) {
      if (this.#trying >= TRIES_AT_ONCE || this.#stopped) return;
      if (item.busy || item.dueMs > nowMs) continue;
      item.busy = true;
      this.#trying++;
      this.#try(item).finally(() => {
        item.busy = false;
        this.#trying--;
        this.#arm();
      });
    }
    this.#arm();
  }

  /** Never rejects. */
  async #try(item: Item): Promise<void> {
    try {
      const tried = await this.#attempt(item);
      if (item.held.over) return;
      if (tried.is === "done") {
        this.release(item.document);
        return;
      }
      const { document, waitMs } = tried;
      const { outlet } = this.#options;
      if (document !== item.document) await this.#store.park(outlet, document, item.held.holding.term);
      item.document = document;
      item.dueMs = this.#deps.clock.monotonic() + waitMs;
    } catch (cause) {
      if (item.held.over || this.#isOvertaken(item.held, cause)) return;
      this.#fault(cause);
      item.dueMs = this.#deps.clock.monotonic() + STORE_RETRY_MS;
    }
  }

  async #attempt({ held, document }: Item): Promise<Tried> {
    try {
      return await this.#options.attempt(document);
    } catch (cause) {
      if (held.over) return { is: "done" };
      const { outlet, giveUpAfterMs } = this.#options;
      const tries = document.tries + 1;
      this.#deps.telemetry.emit("outlet.failed", { outlet, tries, cause });
      const failed = create(ParkedDocumentSchema, { ...document, tries });
      if (this.#deps.clock.now() - document.sinceMs < giveUpAfterMs) {
        return { is: "more", document: failed, waitMs: this.#waitMs(failed) };
      }
      const rest = await this.#options.giveUp(failed, cause);
      return rest === undefined ? { is: "done" } : { is: "more", document: rest, waitMs: 0 };
    }
  }

  /** Spread by what it is and how often it was tried, so that a simulation repeats it. */
  #waitMs(document: ParkedDocument): number {
    const { tries } = document;
    const waitMs = Math.min(TRY_FIRST_MS * 2 ** Math.max(tries - 1, 0), TRY_LAST_MS);
    const chance = this.#deps.ids.digest(`${keyOf(document)}/${tries}`).charCodeAt(0) / 128;
    return Math.round(waitMs * (1 - SPREAD * chance));
  }

  #fault(cause: unknown): void {
    this.#deps.telemetry.emit("fault", { where: `outlet ${this.#options.outlet}`, cause });
  }

  #tell(): void {
    this.#deps.telemetry.emit("outlet.parked", { outlet: this.#options.outlet, parked: this.#items.size });
  }
}

function keyOf({ tenantId, roomId, userId }: Pick<ParkedDocument, "tenantId" | "roomId" | "userId">): string {
  return `${tenantId}/${roomId}/${userId}`;
}
