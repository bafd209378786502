// A room's events for the application: each once, in order, whatever happens to connections. It knows the position of the last event that was
// handed on, asks for what comes after it, and fills what is missing before it goes on.

import { DisconnectedError, RefusedError } from "../error.js";
import type {
  ClientFrame,
  Position,
  ResetReason,
  RoomEvent,
  ServerFrame,
  Subscribed,
  UnsubscribeReason,
} from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";
import { backoffMs } from "../session/verdict.js";

/** Whether the application hears of the room just now. */
export type FeedState =
  /** Nobody wants to. */
  | { readonly status: "off" }
  /** Not connected, or not subscribed yet. */
  | { readonly status: "waiting" }
  /** Catching up with what was missed. */
  | { readonly status: "filling" }
  | { readonly status: "live" }
  /** The position cannot be continued from: load the history, then `open` from its `asOf`. */
  | { readonly status: "reset"; readonly reason: ResetReason }
  /** The room may not be read, or is gone. */
  | { readonly status: "lost"; readonly cause: RefusedError | UnsubscribeReason };

export interface FeedListener {
  /** The next event. Called once for each, in order. */
  event(event: RoomEvent): void;
  /** The room as it is at the beginning of a subscription. */
  subscribed(subscribed: Subscribed): void;
  stateChanged(state: FeedState): void;
}

export interface FeedContext {
  readonly platform: Pick<Platform, "after" | "random">;
  readonly request: (frame: ClientFrame) => Promise<ServerFrame>;
  readonly post: (frame: ClientFrame) => void;
  readonly live: () => boolean;
}

/** Live events that are held while what came before them is fetched, at most; beyond, they are fetched too. */
const MAX_HELD = 5_000;
/** Events of one page. */
const PAGE = 1_000;

export class RoomFeed {
  readonly roomId: string;
  readonly #context: FeedContext;
  readonly #listener: FeedListener;
  #state: FeedState = { status: "off" };
  #position: Position | undefined;
  /** Events that came while older ones were fetched. */
  #held: RoomEvent[] = [];
  /** Counts subscriptions: what belongs to an older one is told apart. */
  #epoch = 0;
  #failures = 0;
  #retry: Timer | undefined;

  constructor(roomId: string, context: FeedContext, listener: FeedListener) {
    this.roomId = roomId;
    this.#context = context;
    this.#listener = listener;
  }

  get state(): FeedState {
    return this.#state;
  }

  /** Of the last event that was handed on, or where the first is to follow. Undefined: from the time of subscribing on. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** Whether a hello is to state it. */
  get wanted(): boolean {
    const { status } = this.#state;
    return status === "waiting" || status === "filling" || status === "live";
  }

  /** Begins, or moves to another position: the next event is the one after it. */
  open(after?: Position): void {
    if (after !== undefined) this.#position = after;
    this.#restart();
    this.subscribe();
  }

  close(): void {
    if (this.wanted) this.#context.post({ unsubscribe: { roomId: this.roomId } });
    this.#stop({ status: "off" });
  }

  /** Asks to be subscribed, where that was not said in the hello. */
  subscribe(): void {
    if (!this.wanted || !this.#context.live()) return;
    const epoch = this.#epoch;
    const subscribe = { roomId: this.roomId, ...(this.#position && { after: this.#position }) };
    // What it is answered with arrives as a push.
    this.#context.request({ subscribe }).catch((error: unknown) => {
      if (epoch === this.#epoch) this.refused(error);
    });
  }

  /** The connection is gone: what it brings next is asked for from the position. */
  disconnected(): void {
    if (this.wanted) this.#restart();
  }

  /** The subscription was refused. */
  refused(error: unknown): void {
    if (!this.wanted || error instanceof DisconnectedError) return;
    if (error instanceof RefusedError && !error.retryable) this.#stop({ status: "lost", cause: error });
    else this.#again(error instanceof RefusedError ? error.retryAfterMs : undefined);
  }

  subscribed(frame: Subscribed): void {
    if (!this.wanted) return;
    this.#restart();
    this.#failures = 0;
    const { top = {}, gap, reset } = frame;
    if (reset !== undefined) {
      this.#stop({ status: "reset", reason: reset.reason ?? "RESET_REASON_UNSPECIFIED" });
      return;
    }
    this.#position ??= top;
    this.#listener.subscribed(frame);
    // A listener may have left.
    if (!this.wanted) return;
    if (gap === undefined) this.#become({ status: "live" });
    else this.#fill(gap.toSeq ?? 0);
  }

  unsubscribed(reason: UnsubscribeReason): void {
    if (!this.wanted || reason === "UNSUBSCRIBE_REASON_REQUESTED") return;
    if (reason === "UNSUBSCRIBE_REASON_UNAVAILABLE") this.#again(undefined);
    else this.#stop({ status: "lost", cause: reason });
  }

  events(events: readonly RoomEvent[]): void {
    if (this.#state.status === "filling") this.#hold(events);
    else if (this.#state.status === "live") this.#handOn(events);
  }

  /** Those that follow. Of what was missed before them all is fetched first. */
  #handOn(events: readonly RoomEvent[]): void {
    const epoch = this.#epoch;
    for (const [index, event] of events.entries()) {
      const seq = event.position?.seq ?? 0;
      const reached = this.#position?.seq ?? 0;
      if (seq <= reached) continue;
      if (seq > reached + 1) {
        this.#held = events.slice(index);
        this.#fill(seq - 1);
        return;
      }
      this.#position = event.position;
      this.#listener.event(event);
      // A listener may have left, or gone elsewhere.
      if (epoch !== this.#epoch) return;
    }
  }

  #hold(events: readonly RoomEvent[]): void {
    if (this.#held.length + events.length <= MAX_HELD) this.#held.push(...events);
    // What is dropped is missed when the others are handed on, and fetched then.
    else this.#held = [...this.#held.slice(-1), ...events.slice(-1)];
  }

  #fill(toSeq: number): void {
    this.#become({ status: "filling" });
    const epoch = this.#epoch;
    this.#page(epoch, toSeq).catch((error: unknown) => {
      if (epoch === this.#epoch) this.refused(error);
    });
  }

  async #page(epoch: number, toSeq: number): Promise<void> {
    for (;;) {
      const fromSeq = (this.#position?.seq ?? 0) + 1;
      if (fromSeq > toSeq) break;
      const getEvents = { roomId: this.roomId, fromSeq, toSeq, limit: PAGE };
      const { callResult } = await this.#context.request({ call: { getEvents } });
      if (epoch !== this.#epoch) return;
      const events = callResult?.getEvents?.events ?? [];
      for (const event of events) {
        const seq = event.position?.seq ?? 0;
        if (seq <= (this.#position?.seq ?? 0)) continue;
        if (seq !== (this.#position?.seq ?? 0) + 1) break;
        this.#position = event.position;
        this.#listener.event(event);
        if (epoch !== this.#epoch) return;
      }
      if ((this.#position?.seq ?? 0) < fromSeq) {
        // They are no longer kept: subscribing from here is told so.
        this.#again(undefined);
        return;
      }
    }
    const held = this.#held;
    this.#held = [];
    this.#become({ status: "live" });
    if (epoch === this.#epoch) this.#handOn(held);
  }

  #again(afterMs: number | undefined): void {
    this.#restart();
    const { platform } = this.#context;
    const delayMs = Math.max(afterMs ?? 0, backoffMs(++this.#failures, platform.random));
    this.#retry = platform.after(delayMs, () => this.subscribe());
  }

  #restart(): void {
    this.#stop({ status: "waiting" });
  }

  #stop(state: FeedState): void {
    this.#epoch++;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#held = [];
    this.#become(state);
  }

  #become(state: FeedState): void {
    if (this.#state.status === state.status && state.status !== "lost" && state.status !== "reset") return;
    this.#state = state;
    this.#listener.stateChanged(state);
  }
}
