// A tab, as the hub sees it: one end of what the tab's session takes for a connection.

import { ABNORMAL, SLOW_CONSUMER } from "../close-code.js";
import type { ClientFrame, Hello, ServerFrame, WatchPresence } from "../gen/types.js";
import type { Platform } from "../platform.js";
import type { Via } from "../session/state.js";
import type { Channel, Message, TabsPlatform } from "./channel.js";

/** Frames that a tab may leave without saying that they have arrived: it is frozen, or does not keep up, and comes back from its positions. */
const MAX_UNHEARD = 2_000;
/** From asking a tab for a token to turning to the next. */
const TOKEN_DEADLINE_MS = 5_000;

export interface SeatListener {
  received(frame: ClientFrame): void;
  /** Once; not after `close`. */
  left(): void;
}

/** The same to several tabs: made text once. */
export function sendAll(seats: Iterable<Seat>, frame: ServerFrame): void {
  let text: string | undefined;
  for (const seat of [...seats]) text = seat.send(frame, text);
}

export class Seat {
  /** The channel's name. */
  readonly wire: string;
  /** Of the tab that the hub is in: frames wait there as they are. */
  readonly frames: ServerFrame[] | undefined;
  /** What the tab said first, and the ref of it. */
  hello: { readonly ref: number; readonly hello: Hello } | undefined;
  /** For whom it was connected before. */
  was = "";
  /** It has been welcomed. */
  live = false;
  /** The tab has taken this one, and no other hub's. */
  #taken = false;
  watch: WatchPresence = {};
  readonly #platform: Pick<Platform, "after">;
  readonly #channel: Channel;
  readonly #listener: SeatListener;
  readonly #forget: () => void;
  readonly #hub: string;
  #unheard = 0;
  #over = false;
  #asked: { readonly resolve: (token: string | undefined) => void; readonly reject: () => void } | undefined;

  constructor(
    { wire, hub, frames }: Pick<Seat, "wire" | "frames"> & { readonly hub: string },
    platform: Pick<Platform, "after">,
    tabs: TabsPlatform,
    listener: SeatListener,
  ) {
    this.wire = wire;
    this.frames = frames;
    this.#hub = hub;
    this.#platform = platform;
    this.#listener = listener;
    this.#channel = tabs.channel(wire, (message) => this.#received(message));
    // The tab holds it for as long as it lives and wants to be connected.
    this.#forget = tabs.lock(wire, "wait", () => this.#left());
    this.#inTime({ kind: "open", hub });
  }

  /** Nothing that is sent to it arrives. */
  get gone(): boolean {
    return this.#over;
  }

  /** @param text What was made of the frame for other tabs. Returns it, also where it was made now. */
  send(frame: ServerFrame, text?: string): string | undefined {
    if (this.#over) return text;
    if (++this.#unheard > MAX_UNHEARD) {
      this.close(SLOW_CONSUMER);
      this.#listener.left();
      return text;
    }
    const said = this.frames === undefined ? (text ?? JSON.stringify(frame)) : "";
    this.frames?.push(frame);
    this.#channel.post(said);
    return said || text;
  }

  /** @param reconnectAfterMs Where the code says that the server states it. */
  close(code: number, reconnectAfterMs = 0): void {
    if (reconnectAfterMs > 0) this.send({ goodbye: { reason: code, reconnectAfterMs } });
    this.#end({ kind: "close", hub: this.#hub, code });
  }

  /** The tab knows whom it is connected for. */
  admit(user: string, via: Via): void {
    this.live = true;
    this.#channel.post({ kind: "for", user, via });
  }

  /** This connection is not for it. */
  turnAway(): void {
    this.#end({ kind: "elsewhere" });
  }

  /** Resolves with undefined where the tab has none; rejects where it does not answer, or cannot. One at a time. */
  token(fresh: boolean): Promise<string | undefined> {
    this.#asked?.reject();
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
    const asked = { resolve, reject: () => reject(new Error("no token")) };
    this.#asked = asked;
    const timer = this.#platform.after(TOKEN_DEADLINE_MS, asked.reject);
    if (this.#over) asked.reject();
    else this.#channel.post({ kind: "ask", fresh });
    return promise.finally(() => timer.cancel());
  }

  #received(message: Message): void {
    if (this.#over) return;
    if (typeof message !== "string" && message.kind === "was") {
      this.was = message.user;
      this.#taken = message.hub === this.#hub;
      if (!this.#taken) this.#left();
    } else if (!this.#taken) return;
    else if (typeof message === "string") this.#listener.received(JSON.parse(message));
    else if (message.kind === "got") this.#unheard -= message.frames;
    else if (message.kind === "there") this.#inTime({ kind: "here" });
    else if (message.kind === "token") this.#asked?.resolve(message.token);
    else if (message.kind === "tokenless") this.#asked?.reject();
    else if (message.kind === "left") this.#left();
  }

  /** Says it by a timer: one that stands still, as with a tab that is frozen, says nothing. */
  #inTime(message: Message): void {
    this.#platform.after(0, () => {
      if (!this.#over) this.#channel.post(message);
    });
  }

  #left(): void {
    if (this.#over) return;
    this.#end({ kind: "close", hub: this.#hub, code: ABNORMAL });
    this.#listener.left();
  }

  #end(last: Message): void {
    if (this.#over) return;
    this.#over = true;
    this.live = false;
    this.#channel.post(last);
    this.#channel.close();
    this.#forget();
    this.#asked?.reject();
  }
}
