// A room as the application sees it.

import { Emitter, type Listener } from "../events.js";
import type {
  Actor,
  Body,
  Changed,
  ClientFrame,
  EditMessage,
  GetHistoryResponse,
  Markers,
  Position,
  Publish,
  Published,
  RoomEvent,
  ServerFrame,
  Signal,
  Subscribed,
} from "../gen/types.js";
import type { Outbox } from "../outbox/outbox.js";
import type { Sending } from "../outbox/sending.js";
import type { Marks } from "../people/marks.js";
import { RoomReceipts } from "../people/receipts.js";
import { RoomTyping } from "../people/typing.js";
import type { Platform } from "../platform.js";
import type { TimelineOptions } from "../timeline/snapshot.js";
import { Timeline } from "../timeline/timeline.js";
import { type FeedState, RoomFeed } from "./feed.js";
import { type IterationOptions, Iterations } from "./iterations.js";

export interface RoomEvents {
  /** A durable event of the room. Each once, in order, from the position opened at. */
  readonly event: RoomEvent;
  /** The room, the user's membership and everybody's markers, as of the beginning of a subscription. */
  readonly subscribed: Subscribed;
  readonly state: FeedState;
  /** What was said and is not kept: typing, and the application's own. */
  readonly signal: Signal;
  readonly markers: Markers;
  /** What waits to be sent has changed: see `Room.pending`. */
  readonly pending: readonly Sending[];
}

export interface SendOptions extends Omit<Publish, "roomId" | "clientMessageId" | "attempt" | "body"> {
  /** The application's own name for the message, unique for the user and the room. Default: one that nobody else has. */
  readonly clientMessageId?: string;
}

export interface ChangeOptions {
  /** The application's own key of the change, unique for the user and the room. Default: one that nobody else has. */
  readonly key?: string;
}

export interface EditOptions extends ChangeOptions, Pick<EditMessage, "baseVersion" | "mentions" | "metadata"> {}

export interface HistoryRequest {
  /** Messages before this `messageIndex`. Neither this nor `afterIndex`: the newest. */
  readonly beforeIndex?: number;
  readonly afterIndex?: number;
  /** At most; 50 unless said otherwise, 200 at most. */
  readonly limit?: number;
}

/** What a room needs of its client. */
export interface RoomContext {
  readonly platform: Platform;
  readonly request: (frame: ClientFrame, answered?: (frame: ServerFrame) => void) => Promise<ServerFrame>;
  readonly post: (frame: ClientFrame) => void;
  readonly live: () => boolean;
  readonly outbox: Outbox;
  /** The user that was last connected. */
  readonly self: () => Actor;
  readonly marks: Marks;
  readonly follower: RoomFollower;
  /** Somebody wants something of it. */
  readonly used: (room: Room) => void;
}

/** Hears what becomes of all rooms. */
export interface RoomFollower {
  /** A subscription begins. */
  subscribed(roomId: string, subscribed: Subscribed): void;
  /** The next event of the room. */
  happened(roomId: string, event: RoomEvent): void;
  /** The user has read the room up to there. */
  read(roomId: string, seq: number): void;
}

export class Room {
  readonly id: string;
  /** Who is typing: `room.typing.start()` with each key, `room.typing.users` are the others. */
  readonly typing: RoomTyping;
  /** How far everybody has come. What the application is given of the room is said to be received by itself. */
  readonly receipts: RoomReceipts;
  readonly #context: RoomContext;
  readonly #emitter = new Emitter<RoomEvents>();
  readonly #feed: RoomFeed;
  readonly #timelines = new Set<Timeline>();
  readonly #iterations: Iterations;
  /** By the application itself, not for a timeline or for who iterates. */
  #opened = false;
  #hadListeners = false;

  constructor(id: string, context: RoomContext) {
    this.id = id;
    this.#context = context;
    this.typing = new RoomTyping(id, context);
    this.receipts = new RoomReceipts(id, context);
    this.#feed = new RoomFeed(id, context, {
      event: (event) => {
        context.outbox.seen(id, event);
        this.receipts.happened(event);
        if (event.messageCreated !== undefined) this.typing.said(event.actor?.userId ?? "");
        context.follower.happened(id, event);
        if (!this.listened) return;
        for (const timeline of this.#timelines) timeline.event(event);
        this.#emitter.emit("event", event);
        this.#iterations.event(event);
        this.receipts.reached("delivered", event.position);
      },
      subscribed: (subscribed) => {
        this.receipts.subscribed(subscribed);
        context.follower.subscribed(id, subscribed);
        this.#emitter.emit("subscribed", subscribed);
      },
      stateChanged: (state) => {
        if (state.status !== "live" && state.status !== "filling") this.typing.left();
        if (state.status === "reset") this.receipts.reset();
        for (const timeline of this.#timelines) timeline.stateChanged(state);
        this.#emitter.emit("state", state);
        this.#iterations.stateChanged(state);
      },
    });
    this.#iterations = new Iterations(
      () => this.#feed,
      () => this.#left(),
    );
  }

  get state(): FeedState {
    return this.#feed.state;
  }

  /** Of the last event that the application was given. Keep it together with what was made of the event, or after that. */
  get position(): Position | undefined {
    return this.#feed.position;
  }

  on<Name extends keyof RoomEvents>(name: Name, listener: Listener<RoomEvents[Name]>): () => void {
    this.#hadListeners = true;
    this.#context.used(this);
    return this.#emitter.on(name, listener);
  }

  /**
   * Receives the room's events: those after `after`; without it, those from now on, or from where it was closed. Of a room that is open already it
   * changes the position, for everybody who listens, where there is one.
   */
  open({ after }: { readonly after?: Position } = {}): void {
    this.#opened = true;
    this.#openAt(after);
  }

  /** No longer receives the room's events. Whoever iterates over them is given those that wait, and no more. */
  close(): void {
    this.#opened = false;
    this.#feed.close();
  }

  /**
   * Opens the room, and gives its events in order: `for await (const event of room.events()) …`. While somebody has a thousand, or `ahead`, that
   * they have not taken, the room is left for everybody who listens to it; once they are taken it goes on where it was. What is to be kept is `event.position`: that
   * of the room is ahead by those that wait. Whoever leaves the loop closes the room, if they are the last one and nobody has opened it otherwise.
   * Ends when the room is closed or gone; throws where the position cannot be continued from, and where the room may not be read.
   */
  events({ after, ahead }: IterationOptions = {}): AsyncIterableIterator<RoomEvent> {
    const queue = this.#iterations.begin(ahead);
    this.#openAt(after);
    return queue;
  }

  #openAt(after: Position | undefined): void {
    this.#context.used(this);
    // Whoever goes on from there has it.
    this.receipts.reached("delivered", after);
    this.#feed.open(after);
  }

  /** A timeline or somebody who iterated wants it no longer. */
  #left(): void {
    if (!this.#opened && !this.#iterations.any && this.#timelines.size === 0) this.close();
  }

  /** Messages as they stand now, in rising order; `asOf` is where to `open` the room to miss nothing that comes after them. */
  async history({ beforeIndex, afterIndex, limit }: HistoryRequest = {}): Promise<GetHistoryResponse> {
    const getHistory = { roomId: this.id, beforeIndex, afterIndex, limit };
    const { callResult } = await this.#context.request({ call: { getHistory } });
    return callResult?.getHistory ?? {};
  }

  /**
   * The room's messages for display: the newest, older ones as they are asked for, everything that changes, and what is being sent. Opens the room, if it
   * is not open. `close` it when it is shown no longer.
   */
  timeline(options: TimelineOptions = {}): Timeline {
    const timeline: Timeline = new Timeline(options, {
      ...this.#context,
      roomId: this.id,
      history: (request) => this.history(request),
      pending: () => this.pending,
      state: () => this.state,
      position: () => this.position,
      open: (after) => this.#openAt(after),
      closed: () => {
        this.#timelines.delete(timeline);
        this.#left();
      },
    });
    this.#timelines.add(timeline);
    return timeline;
  }

  /**
   * Sends a message. It is kept, also over a reload, and sent again under the same `clientMessageId` until the server has answered: it is stored once,
   * after what was sent to the room before. Await it for where it is stored; it rejects with `RefusedError` when it will never be, with
   * `GivenUpError` when it has waited too long or too much waits.
   * @param content The text, or the body. With `forward` in the options an empty one.
   */
  send(content: string | Body, { clientMessageId, ...options }: SendOptions = {}): Sending<Published> {
    const body = typeof content === "string" ? { text: content } : content;
    this.typing.sent();
    return this.#change(clientMessageId, (key) => ({
      publish: { roomId: this.id, clientMessageId: key, ...(options.forward === undefined && { body }), ...options },
    }));
  }

  /** Replaces what a message says, as `send` sends one. A stale `baseVersion` is refused with `ERROR_CODE_CONFLICT`. */
  edit(messageId: string, content: string | Body, { key, ...options }: EditOptions = {}): Sending<Changed> {
    const body = typeof content === "string" ? { text: content } : content;
    return this.#change(key, (key) => ({ editMessage: { roomId: this.id, messageId, key, body, ...options } }));
  }

  /** Deletes a message for everybody, as `send` sends one. */
  delete(messageId: string, { key }: ChangeOptions = {}): Sending<Changed> {
    return this.#change(key, (key) => ({ deleteMessage: { roomId: this.id, messageId, key } }));
  }

  /** Sets a reaction, or takes it back, as `send` sends a message. @param emoji Or a short code, ≤ 64 bytes. */
  react(messageId: string, emoji: string, on = true, { key }: ChangeOptions = {}): Sending<Changed> {
    return this.#change(key, (key) => ({ react: { roomId: this.id, messageId, key, emoji, on } }));
  }

  /**
   * The user has read the room up to `position`, of an event or a message; without it, all that the application was given. Said within a second,
   * once for several; going back does nothing. Open or not, and also while there is no connection: it is then said with the next one.
   */
  markRead(position = this.position): void {
    this.receipts.reached("read", position);
    this.#context.follower.read(this.id, position?.seq ?? 0);
  }

  /** What was asked for and the server has not answered yet, in order, with the messages that have failed and were neither retried nor discarded. */
  get pending(): readonly Sending[] {
    return this.#context.outbox.pending(this.id);
  }

  #change<T>(given: string | undefined, frameOf: (key: string) => ClientFrame): Sending<T> {
    const { outbox, platform } = this.#context;
    const key = given ?? platform.id();
    return outbox.add<T>(this.id, key, frameOf(key), given !== undefined);
  }

  // — for the client —

  /** @internal */
  welcomed(): void {
    this.#feed.connected();
    for (const timeline of this.#timelines) timeline.welcomed();
  }

  /** @internal */
  pendingChanged(): void {
    for (const timeline of this.#timelines) timeline.pendingChanged();
    if (this.#emitter.has("pending")) this.#emitter.emit("pending", this.pending);
  }

  /** Somebody listens to it, or it was opened for its own sake. @internal */
  get wanted(): boolean {
    const heard = this.listened || this.#emitter.any || this.typing.listened || this.receipts.listened;
    return heard || (this.#opened && !this.#hadListeners);
  }

  /** Nobody wants it. @internal */
  leave(): void {
    if (this.#feed.wanted) this.close();
  }

  /** Somebody is given its events. @internal */
  get listened(): boolean {
    return this.#emitter.has("event") || this.#timelines.size > 0 || this.#iterations.any;
  }

  /** @internal */
  get feed(): RoomFeed {
    return this.#feed;
  }

  /** @internal */
  received({ roomEvents, signals, markers }: ServerFrame): void {
    if (roomEvents?.events !== undefined) this.#feed.events(roomEvents.events);
    for (const signal of signals?.signals ?? []) {
      this.typing.signalled(signal);
      this.#emitter.emit("signal", signal);
    }
    if (markers === undefined) return;
    this.receipts.told(markers.markers ?? []);
    this.#emitter.emit("markers", markers);
  }
}
