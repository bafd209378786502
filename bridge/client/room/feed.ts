// A room's events for the application: each once, in order, whatever happens to connections. It knows the position of the last event that was
// handed on, asks for what comes after it, and fills what is missing before it goes on.

import { isFinal, type RefusedError } from "../error.js";
import type {
  ClientFrame,
  Position,
  ResetReason,
  RoomEvent,
  RoomPosition,
  ServerFrame,
  Subscribed,
  UnsubscribeReason,
} from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";
import { againMs } from "../session/verdict.js";

/** Whether the application hears of the room just now. */
export type FeedState =
  /** Nobody wants to. */
  | { readonly status: "off" }
  /** Left for as long as whoever iterates over its events does not take those that wait. */
  | { readonly status: "paused" }
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
  /** `answered` is called before anything that comes after the answer is told. */
  readonly request: (frame: ClientFrame, answered?: (frame: ServerFrame) => void) => Promise<ServerFrame>;
  readonly live: () => boolean;
}

/** Live events that are held while what came before them is fetched, at most; beyond, they are fetched too. */
const MAX_HELD = 5_000;
/** Events of one page. */
const PAGE = 1_000;
/** From the welcome to the outcome of a room of the hello. */
const OUTCOME_DEADLINE_MS = 30_000;
/** Before it is asked again whether the room may be read, where nobody can say just now. */
const UNAVAILABLE_MS = 1_000;

export class RoomFeed {
  readonly roomId: string;
  readonly #context: FeedContext;
  readonly #listener: FeedListener;
  #state: FeedState = { status: "off" };
  #position: Position | undefined;
  /** Events that came while older ones were fetched. */
  #held: RoomEvent[] = [];
  /** Counts what is wanted of the server: what belongs to an older wish is told apart. */
  #epoch = 0;
  /** The wish that the hello of this connection has stated, until that is answered. */
  #stated: number | undefined;
  /** Subscribed at the server, for this wish or an older one. */
  #joined = false;
  /** Until the answer to an unsubscribe. */
  #leaving = false;
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

  /** Whether it is to be subscribed to. */
  get wanted(): boolean {
    const { status } = this.#state;
    return status === "waiting" || status === "filling" || status === "live";
  }

  /** Begins, or moves to another position: the next event is the one after it. */
  open(after?: Position): void {
    if (after === undefined && this.wanted) return;
    if (after !== undefined) this.#position = after;
    if (this.#state.status === "paused") return;
    this.#restart();
    this.#subscribe();
  }

  close(): void {
    this.#leave("off");
  }

  /** Leaves the room for a while. */
  pause(): void {
    if (this.wanted) this.#leave("paused");
  }

  /** Comes back after `pause`. */
  resume(): void {
    if (this.#state.status !== "paused") return;
    this.#restart();
    this.#subscribe();
  }

  // — what the connection says —

  /** The hello that is being sent states it: what it says there. */
  stated(): RoomPosition {
    this.#stated = this.#epoch;
    return this.#subscription();
  }

  /** Welcome: what the hello has stated is answered by a push, the rest is asked for now. */
  connected(): void {
    if (this.wanted && this.#stated === this.#epoch) {
      this.#retry = this.#context.platform.after(OUTCOME_DEADLINE_MS, () => this.#subscribe());
    } else if (this.wanted) this.#subscribe();
    else if (this.#stated !== undefined) this.#unsubscribe();
  }

  /** The connection is gone: what the next one brings is asked for from the position. */
  disconnected(): void {
    this.#stated = undefined;
    this.#joined = false;
    if (this.wanted) this.#restart();
  }

  /** A push: how the subscription begins that the hello has stated, or that the one there was has ended. */
  subscribed(subscribed: Subscribed): void {
    const { reset } = subscribed;
    if (this.#answersHello(subscribed.reset === undefined)) this.#begin(subscribed);
    else if (reset !== undefined && this.#following) this.#reset(reset.reason);
  }

  /** A push: the room of the hello is refused. */
  refused(error: RefusedError): void {
    if (this.#answersHello(false)) this.#failed(error);
  }

  unsubscribed(reason: UnsubscribeReason): void {
    // Otherwise it speaks of a subscription whose place another one takes: that one's answer says what holds.
    if (!this.#following) return;
    this.#joined = false;
    if (reason === "UNSUBSCRIBE_REASON_UNAVAILABLE") this.#again(undefined, UNAVAILABLE_MS);
    else this.#stop({ status: "lost", cause: reason });
  }

  // — subscribing —

  get #following(): boolean {
    const { status } = this.#state;
    return status === "filling" || status === "live";
  }

  #subscription(): RoomPosition {
    return { roomId: this.roomId, ...(this.#position && { after: this.#position }) };
  }

  #subscribe(): void {
    if (!this.wanted || !this.#context.live()) return;
    // What the hello has stated is overtaken.
    this.#stated = undefined;
    const epoch = this.#epoch;
    const answered = ({ subscribed }: ServerFrame): void => {
      this.#joined = subscribed !== undefined && subscribed.reset === undefined;
      if (subscribed !== undefined && epoch === this.#epoch) this.#begin(subscribed);
    };
    this.#context.request({ subscribe: this.#subscription() }, answered).catch((error: unknown) => {
      if (epoch === this.#epoch) this.#failed(error);
    });
  }

  #unsubscribe(): void {
    this.#stated = undefined;
    this.#joined = false;
    if (!this.#context.live()) return;
    this.#leaving = true;
    const left = (): void => {
      this.#leaving = false;
    };
    // In its turn, or it would overtake a subscription that is still to be asked for. Where it is refused, the next event asks for it again.
    this.#context.request({ unsubscribe: { roomId: this.roomId } }).then(left, left);
  }

  #leave(status: "off" | "paused"): void {
    // What a hello on its way has stated is left once that is answered: see `connected`.
    if ((this.wanted || this.#joined) && this.#context.live()) this.#unsubscribe();
    this.#stop({ status });
  }

  /** Whether a push is the answer to the hello, and that is still what is wanted. */
  #answersHello(joined: boolean): boolean {
    const stated = this.#stated;
    if (stated === undefined) return false;
    this.#stated = undefined;
    this.#joined = joined;
    return stated === this.#epoch;
  }

  #begin(subscribed: Subscribed): void {
    this.#restart();
    const { top = {}, gap, reset } = subscribed;
    if (reset !== undefined) {
      this.#reset(reset.reason);
      return;
    }
    this.#position ??= top;
    const epoch = this.#epoch;
    this.#listener.subscribed(subscribed);
    // A listener may have left, or gone elsewhere.
    if (epoch !== this.#epoch) return;
    if (gap === undefined) this.#live();
    else this.#fill(gap.toSeq ?? 0);
  }

  #reset(reason: ResetReason = "RESET_REASON_UNSPECIFIED"): void {
    this.#joined = false;
    this.#stop({ status: "reset", reason });
  }

  /** What was asked of the room was refused, or not answered in time. */
  #failed(error: unknown): void {
    // `connected` asks again.
    if (!this.#context.live()) return;
    if (isFinal(error)) {
      if (this.#joined) this.#unsubscribe();
      this.#stop({ status: "lost", cause: error });
    } else this.#again(error);
  }

  #again(error?: unknown, leastMs = 0): void {
    this.#restart();
    const { platform } = this.#context;
    const delayMs = Math.max(leastMs, againMs(error, this.#failures++, platform));
    this.#retry = platform.after(delayMs, () => this.#subscribe());
  }

  // — events —

  events(events: readonly RoomEvent[]): void {
    if (this.#state.status === "filling") this.#hold(events);
    else if (this.#state.status === "live") this.#handOn(events);
    else if (!this.wanted && !this.#leaving) this.#unsubscribe();
  }

  /** Those that follow. Of what was missed before them all is fetched first. */
  #handOn(events: readonly RoomEvent[]): void {
    const epoch = this.#epoch;
    for (const event of events) {
      const seq = event.position?.seq ?? 0;
      const reached = this.#position?.seq ?? 0;
      if (seq <= reached) continue;
      if (seq > reached + 1) {
        this.#held = events.slice(events.indexOf(event));
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
      if (epoch === this.#epoch) this.#failed(error);
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
        this.#again();
        return;
      }
    }
    const held = this.#held;
    this.#held = [];
    this.#live();
    if (epoch === this.#epoch) this.#handOn(held);
  }

  #live(): void {
    this.#failures = 0;
    this.#become({ status: "live" });
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
