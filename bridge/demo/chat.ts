// One user in one room: joins it, keeps its log complete over every interruption, and sends.

import { RoomLog } from "./log.js";
import { Outbox } from "./outbox.js";
import { Session, type SessionState } from "./session.js";
import { OwnTyping, Typists } from "./typing.js";
import {
  type ClientFrame,
  DisconnectedError,
  RefusedError,
  randomId,
  type ServerFrame,
  type Subscribed,
} from "./wire.js";

export interface ChatOptions {
  readonly url: string;
  readonly userId: string;
  readonly displayName: string;
  readonly roomId: string;
  readonly deviceId: () => string;
  readonly nextAttempt: () => number;
  readonly token: (fresh: boolean) => Promise<string>;
  readonly onState: (state: SessionState) => void;
  /** Lines, pending messages, members or who is typing have changed. */
  readonly onChange: () => void;
}

const HISTORY_PAGE = 50;
const EVENTS_PAGE = 500;
/** When to try again what was refused for now without saying for how long. */
const RETRY_MS = 1_000;

export class Chat {
  readonly log = new RoomLog();
  readonly outbox: Outbox;
  readonly typists: Typists;
  readonly #ownTyping: OwnTyping;
  readonly #options: ChatOptions;
  readonly #session: Session;
  /** `before_index` of the next older page; undefined: there is none. */
  #earlier: number | undefined;
  #memberCount = 0;
  /** The room answers: what is pending can be sent. */
  #subscribedNow = false;
  #sending = false;
  #filling = false;

  constructor(options: ChatOptions) {
    this.#options = options;
    this.outbox = new Outbox(`pending ${options.userId} ${options.roomId}`);
    const { roomId, displayName, deviceId } = options;
    this.typists = new Typists(options.userId, options.onChange);
    this.#ownTyping = new OwnTyping((typing) => this.#session.post({ typing: { roomId, typing } }));
    this.#session = new Session({
      url: options.url,
      token: options.token,
      device: () => ({ deviceId: deviceId(), name: `${displayName}’s browser` }),
      nextAttempt: options.nextAttempt,
      rooms: () => (this.log.position === undefined ? [] : [{ roomId, after: this.log.position }]),
      onState: (state) => {
        this.typists.clear();
        options.onState(state);
      },
      onLive: () => this.#live(),
      onPush: (frame) => this.#receive(frame),
    });
  }

  /** How many members the room had when last heard. 0: unknown. */
  get memberCount(): number {
    return this.#memberCount;
  }

  get hasEarlier(): boolean {
    return this.#earlier !== undefined;
  }

  get #ready(): boolean {
    return this.#session.live && this.#subscribedNow;
  }

  connect(): void {
    this.#session.connect();
  }

  close(): void {
    this.typists.clear();
    this.#session.close();
  }

  /** The user has changed what they are about to send. */
  typed(text: string): void {
    this.#ownTyping.changed(text);
  }

  send(text: string): void {
    this.#ownTyping.forget();
    this.outbox.add(randomId(), text);
    this.#options.onChange();
    void this.#flush();
  }

  /** Loads the page of messages before those known. */
  async loadEarlier(): Promise<void> {
    const beforeIndex = this.#earlier;
    if (beforeIndex === undefined) return;
    await this.#attempt(async () => {
      const { roomId } = this.#options;
      const page = await this.#call({ getHistory: { roomId, limit: HISTORY_PAGE, beforeIndex } });
      this.log.addHistory(page.getHistory?.messages ?? []);
      this.#earlier = page.getHistory?.more ? page.getHistory.nextIndex : undefined;
      this.#options.onChange();
    });
  }

  /** Connected: a room that was stated in Hello is answered by a push, any other must be entered. */
  #live(): void {
    this.#subscribedNow = false;
    this.#ownTyping.forget();
    if (this.log.position === undefined) void this.#attempt(() => this.#enter());
  }

  #receive(frame: ServerFrame): void {
    const { roomId } = this.#options;
    if (frame.roomEvents?.roomId === roomId) this.#addEvents(frame.roomEvents.events ?? []);
    else if (frame.signals?.roomId === roomId) this.typists.hear(frame.signals.signals ?? []);
    else if (frame.subscribed?.roomId === roomId) this.#subscribed(frame.subscribed);
    else if (frame.unsubscribed?.roomId === roomId) this.#unsubscribed(frame.unsubscribed.reason);
    // The answer to a room stated in Hello: the way back is the way in.
    else if (frame.error !== undefined) void this.#attempt(() => this.#enter());
  }

  async #enter(): Promise<void> {
    await this.#join();
    await this.#reload();
  }

  /** Joins the room, or makes it where there is none. Somebody else may make it in between: then it can be joined. */
  async #join(): Promise<void> {
    const { roomId } = this.#options;
    try {
      await this.#call({ joinRoom: { roomId, key: randomId() } });
    } catch (error) {
      if (!isRefusal(error, "NOT_FOUND")) throw error;
      try {
        const room = { roomId, kind: "ROOM_KIND_GROUP", joinRule: "JOIN_RULE_OPEN", name: roomId };
        await this.#call({ createRoom: { ...room, key: randomId() } });
      } catch (raced) {
        if (!isRefusal(raced, "ALREADY_EXISTS")) throw raced;
        await this.#call({ joinRoom: { roomId, key: randomId() } });
      }
    }
  }

  /** Begins again from the newest page of history, and subscribes from what it shows. */
  async #reload(): Promise<void> {
    const { roomId, onChange } = this.#options;
    const { getHistory } = await this.#call({ getHistory: { roomId, limit: HISTORY_PAGE } });
    const asOf = getHistory?.asOf ?? {};
    this.log.restart(getHistory?.messages ?? [], asOf);
    this.#earlier = getHistory?.more ? getHistory.nextIndex : undefined;
    this.#settle();
    onChange();
    const { subscribed } = await this.#session.request({ subscribe: { roomId, after: asOf } });
    if (subscribed !== undefined) this.#subscribed(subscribed);
  }

  #subscribed({ room, gap, reset }: Subscribed): void {
    this.#memberCount = room?.memberCount ?? 0;
    this.#options.onChange();
    if (reset !== undefined) {
      void this.#attempt(() => this.#reload());
      return;
    }
    this.#subscribedNow = true;
    void this.#flush();
    if (gap !== undefined) void this.#attempt(() => this.#fill(gap.toSeq ?? 0));
  }

  #unsubscribed(reason: string | undefined): void {
    if (reason !== "UNSUBSCRIBE_REASON_UNAVAILABLE") this.#end("you are no longer a member of this room");
    // Nobody could say whether the user may read on: the way back is that after a reset.
    else setTimeout(() => void this.#attempt(() => this.#reload()), RETRY_MS);
  }

  #addEvents(events: Parameters<RoomLog["add"]>[0]): void {
    this.log.add(events);
    for (const { actor, messageCreated, memberJoined, memberLeft } of events) {
      if (messageCreated !== undefined) this.typists.drop(actor?.userId);
      if (memberJoined !== undefined) this.#memberCount++;
      if (memberLeft !== undefined) this.#memberCount--;
    }
    this.#settle();
    this.#options.onChange();
    const { hole } = this.log;
    if (hole !== undefined) void this.#attempt(() => this.#fill(hole.to));
  }

  /** Pages the events up to and including `to` that have not come by themselves. */
  async #fill(to: number): Promise<void> {
    if (this.#filling) return;
    this.#filling = true;
    try {
      for (;;) {
        const fromSeq = (this.log.position?.seq ?? 0) + 1;
        if (fromSeq > to) return;
        const page = { roomId: this.#options.roomId, fromSeq, toSeq: to, limit: EVENTS_PAGE };
        const events = (await this.#call({ getEvents: page })).getEvents?.events ?? [];
        this.log.add(events);
        this.#settle();
        this.#options.onChange();
        // They are no longer kept: what is left of them is in the history.
        if ((this.log.position?.seq ?? 0) < fromSeq) return await this.#reload();
      }
    } finally {
      this.#filling = false;
    }
  }

  /** What the log shows is no longer pending, whether its answer has come or not. */
  #settle(): void {
    if (this.outbox.pending.length === 0) return;
    for (const line of this.log.lines) {
      if (line.kind === "message" && line.sender.userId === this.#options.userId)
        this.outbox.remove(line.clientMessageId);
    }
  }

  /** Sends what is pending, one after the other. */
  async #flush(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let next = this.outbox.next; next !== undefined && this.#ready; next = this.outbox.next) {
        const { clientMessageId, text, attempts } = next;
        this.outbox.sent(clientMessageId);
        const message = { roomId: this.#options.roomId, clientMessageId, attempt: attempts + 1, body: { text } };
        const { published } = await this.#session.request({ publish: message });
        this.#published(clientMessageId, text, published);
      }
    } catch (error) {
      this.#notSent(error);
    } finally {
      this.#sending = false;
    }
  }

  /** Stored: shown in its place at once, even if the room's own telling comes later. */
  #published(clientMessageId: string, text: string, published: ServerFrame["published"]): void {
    const { userId, displayName } = this.#options;
    this.outbox.remove(clientMessageId);
    const { messageId, position, createdAt } = published ?? {};
    const sender = { userId, displayName };
    this.log.addHistory([
      {
        clientMessageId,
        sender,
        body: { text },
        ...(messageId === undefined ? {} : { messageId }),
        ...(position === undefined ? {} : { position }),
        ...(createdAt === undefined ? {} : { createdAt }),
      },
    ]);
    this.#options.onChange();
  }

  #notSent(error: unknown): void {
    const next = this.outbox.next;
    if (error instanceof RefusedError && next !== undefined) {
      if (error.retryable) setTimeout(() => void this.#flush(), error.retryAfterMs ?? RETRY_MS);
      else this.outbox.failed(next.clientMessageId, error.message);
      this.#options.onChange();
      if (!error.retryable) queueMicrotask(() => void this.#flush());
    } else if (!(error instanceof DisconnectedError)) {
      throw error;
    }
    // Disconnected: sent again, with the same id, once there is a connection.
  }

  async #call(rpc: ClientFrame): Promise<NonNullable<ServerFrame["callResult"]>> {
    return (await this.#session.request({ call: rpc })).callResult ?? {};
  }

  /** Does it, again where it was refused for now; a lost connection begins anew by itself. */
  async #attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (error instanceof RefusedError && error.retryable) {
        setTimeout(() => void this.#attempt(action), error.retryAfterMs ?? RETRY_MS);
      } else if (error instanceof RefusedError) {
        this.#end(error.message);
      } else if (!(error instanceof DisconnectedError)) {
        throw error;
      }
    }
  }

  #end(reason: string): void {
    this.#session.close();
    this.#options.onState({ kind: "stopped", reason });
  }
}

function isRefusal(error: unknown, code: string): boolean {
  return error instanceof RefusedError && error.code === `ERROR_CODE_${code}`;
}
