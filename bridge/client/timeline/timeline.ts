// A room's messages for display, kept as they stand: the newest page and as many before it as were asked for, what events make of them, and at the
// end what this client is sending.

import { isFinal } from "../error.js";
import type { Listener } from "../events.js";
import type { Actor, GetHistoryResponse, Position, Published, RoomEvent } from "../gen/types.js";
import type { Sending } from "../outbox/sending.js";
import { Changes } from "../people/changes.js";
import type { Platform, Timer } from "../platform.js";
import type { FeedState } from "../room/feed.js";
import { againMs } from "../session/verdict.js";
import { Messages } from "./messages.js";
import { isWanted, requireSeamless } from "./page.js";
import { echoOf, isMessage, type TimelineMessage, type TimelineOptions, type TimelineSnapshot } from "./snapshot.js";

/** What a timeline needs of its room. */
export interface TimelineContext {
  readonly roomId: string;
  readonly platform: Pick<Platform, "after" | "random">;
  readonly history: (request: {
    readonly beforeIndex?: number;
    readonly limit?: number;
  }) => Promise<GetHistoryResponse>;
  readonly live: () => boolean;
  /** Whose client it is. */
  readonly self: () => Actor;
  readonly pending: () => readonly Sending[];
  readonly state: () => FeedState;
  readonly position: () => Position | undefined;
  readonly open: (after: Position) => void;
  /** It is not wanted any more. */
  readonly closed: () => void;
}

/** Between two snapshots that listeners are told of: a frame. */
const FRAME_MS = 16;
/** Pages asked for in a row because nothing of them is to be shown. */
const MAX_EMPTY_PAGES = 50;
/** Messages that are stored and whose events have not come, at most. */
const MAX_STORED = 200;

export class Timeline {
  readonly #context: TimelineContext;
  readonly #limit: number | undefined;
  readonly #max: number;
  readonly #messages: Messages;
  readonly #changes: Changes<TimelineSnapshot>;
  /** Of each message, so that it is the same object as long as it has not changed. */
  readonly #views = new WeakMap<object, TimelineMessage>();
  /** Those of the room that `older` has asked for. */
  #paged = 0;
  #sendings: readonly Sending<Published>[] = [];
  /** For each page that is asked for the events that came meanwhile. */
  readonly #logs = new Set<RoomEvent[]>();
  #first = true;
  #atStart = false;
  #before = 0;
  #error: TimelineSnapshot["error"];
  #older: Promise<void> | undefined;
  #epoch = 0;
  #loading = false;
  #failures = 0;
  #retry: Timer | undefined;
  #snapshot: TimelineSnapshot | undefined;

  /** @internal */
  constructor({ limit, max = 1_000 }: TimelineOptions, context: TimelineContext) {
    this.#context = context;
    this.#limit = limit;
    this.#max = max;
    this.#messages = new Messages(context.roomId);
    this.#changes = new Changes(context.platform, () => this.snapshot, FRAME_MS);
    this.pendingChanged();
    this.reload();
  }

  get snapshot(): TimelineSnapshot {
    this.#snapshot ??= {
      messages: this.#shown(),
      loading: this.#loading || this.#older !== undefined,
      atStart: this.#atStart,
      error: this.#error,
    };
    return this.#snapshot;
  }

  get messages(): readonly TimelineMessage[] {
    return this.snapshot.messages;
  }

  get loading(): boolean {
    return this.snapshot.loading;
  }

  get atStart(): boolean {
    return this.snapshot.atStart;
  }

  get error(): TimelineSnapshot["error"] {
    return this.snapshot.error;
  }

  /** Calls `listener` after changes, at most once a frame; returns what ends that. */
  onChange(listener: Listener<TimelineSnapshot>): () => void {
    return this.#changes.on(listener);
  }

  /**
   * Loads a page more of what came before. Asked for again meanwhile it is the same page. Resolves where there is nothing older, too, and where all
   * is being loaded; rejects with RefusedError or DisconnectedError, and may be asked for again.
   */
  older(): Promise<void> {
    if (this.#atStart || this.#loading) return Promise.resolve();
    this.#older ??= this.#page(this.#epoch).finally(() => {
      this.#older = undefined;
      this.#changed();
    });
    this.#changed();
    return this.#older;
  }

  /** Loads it anew. What was there is shown until then. */
  reload(): void {
    this.#epoch++;
    this.#retry?.cancel();
    this.#error = undefined;
    this.#loading = true;
    this.#changed();
    if (this.#context.live()) void this.#load(this.#epoch);
  }

  /** Lets the oldest go, so that no more than `most` are held, as when the user is back at the end; default a page. Not while one is loaded. */
  trim(most = this.#limit ?? 50): void {
    this.#paged = 0;
    this.#cut(Math.max(most, 1));
    this.#changed();
  }

  /** Leaves one out, as one that the user has hidden. */
  hide(messageId: string): void {
    this.#messages.remove(messageId);
    this.#changed();
  }

  /** Ends it. Where the room was opened for it, and no other timeline is left, the room is closed. */
  close(): void {
    this.#epoch++;
    this.#retry?.cancel();
    this.#changes.end();
    this.#context.closed();
  }

  // — for the room —

  /** @internal */
  welcomed(): void {
    if (this.#loading) this.reload();
  }

  /** @internal */
  event(event: RoomEvent): void {
    for (const log of this.#logs) log.push(event);
    if (this.#first) return;
    const seq = event.position?.seq ?? 0;
    // The room was opened further on than where the timeline stands.
    if (seq > this.#messages.seq + 1 && !this.#loading) this.reload();
    this.#messages.apply(event);
    if (event.messageCreated !== undefined) this.#cut(this.#max + this.#paged);
    this.#changed();
  }

  /** @internal */
  stateChanged(state: FeedState): void {
    if (state.status === "reset") this.reload();
    else if (state.status === "lost") {
      this.#error = state.cause;
      this.#changed();
    } else if (state.status === "live" && this.#error !== undefined) {
      this.#error = undefined;
      this.#changed();
    }
  }

  /** @internal */
  pendingChanged(): void {
    const pending = this.#context.pending().filter(isMessage);
    // Those that are stored are shown until their events come.
    const stored = this.#sendings.filter(({ state }) => state === "stored");
    this.#sendings = [...stored.slice(-MAX_STORED), ...pending];
    this.#changed();
  }

  // — pages —

  /** Never rejects. */
  async #load(epoch: number): Promise<void> {
    const { history, position, open, state } = this.#context;
    const log: RoomEvent[] = [];
    this.#logs.add(log);
    try {
      const page = await history(this.#limited());
      if (epoch !== this.#epoch) return;
      const wanted = isWanted(state());
      if (wanted) requireSeamless(page, log, position());
      const { messages = [], asOf = {} } = page;
      this.#messages.begin(messages, asOf.seq ?? 0);
      this.#bounds(page);
      this.#paged = 0;
      this.#first = false;
      this.#loading = false;
      this.#failures = 0;
      for (const event of log) this.#messages.apply(event);
      this.#changed();
      if (!wanted || position() === undefined) open(asOf);
      // All of a page may be hidden from the user.
      if (messages.length === 0) this.older().catch(() => {});
    } catch (error) {
      if (epoch === this.#epoch) this.#failed(error, epoch);
    } finally {
      this.#logs.delete(log);
    }
  }

  #failed(error: unknown, epoch: number): void {
    const { platform, live } = this.#context;
    if (isFinal(error)) {
      this.#error = error;
      this.#loading = false;
      this.#changed();
    } else if (live()) {
      this.#retry = platform.after(againMs(error, ++this.#failures, platform), () => {
        if (live()) void this.#load(epoch);
      });
    }
    // Otherwise it goes on with the next connection.
  }

  async #page(epoch: number): Promise<void> {
    const { history, position } = this.#context;
    const log: RoomEvent[] = [];
    this.#logs.add(log);
    try {
      for (let left = MAX_EMPTY_PAGES; left > 0 && !this.#atStart; left--) {
        const page = await history({ ...this.#limited(), beforeIndex: this.#before });
        if (epoch !== this.#epoch) return;
        requireSeamless(page, log, position());
        const { messages = [], asOf } = page;
        const count = this.#messages.count;
        this.#messages.prepend(messages, asOf?.seq ?? 0);
        this.#paged += this.#messages.count - count;
        this.#bounds(page);
        for (const event of log) this.#messages.apply(event);
        if (messages.length > 0) return;
      }
    } finally {
      this.#logs.delete(log);
    }
  }

  #limited(): { readonly limit?: number } {
    return this.#limit === undefined ? {} : { limit: this.#limit };
  }

  #bounds({ more = false, nextIndex = 0 }: GetHistoryResponse): void {
    this.#atStart = !more || nextIndex <= 1;
    this.#before = nextIndex;
  }

  #cut(most: number): void {
    // What a page is put before stays.
    if (this.#messages.count <= most || this.#older !== undefined) return;
    this.#messages.trim(most);
    this.#atStart = false;
    this.#before = this.#messages.firstIndex;
  }

  // — what is shown —

  #shown(): readonly TimelineMessage[] {
    const { userId } = this.#context.self();
    const own = new Set<string>();
    const messages = this.#messages.all.map((message) => {
      const mine = message.clientMessageId !== undefined && message.sender?.userId === userId;
      if (mine) own.add(message.clientMessageId ?? "");
      const key = mine ? `~${message.clientMessageId}` : (message.messageId ?? "");
      return this.#view(message, () => ({ ...message, key }));
    });
    this.#sendings = this.#sendings.filter((sending) => !own.has(sending.key) && !this.#isPast(sending));
    return [...messages, ...this.#sendings.map((sending) => echoOf(sending, this.#context.self()))];
  }

  /** It is stored at a place that was shown already: it has been deleted since, or hidden. */
  #isPast({ answer }: Sending<Published>): boolean {
    return !this.#first && answer !== undefined && (answer.position?.seq ?? 0) <= this.#messages.seq;
  }

  #view(of: object, make: () => TimelineMessage): TimelineMessage {
    let view = this.#views.get(of);
    if (view === undefined) {
      view = make();
      this.#views.set(of, view);
    }
    return view;
  }

  #changed(): void {
    this.#snapshot = undefined;
    this.#changes.changed();
  }
}
