// What a tab's session takes for a connection: a channel to the hub, wherever that is.

import { ABNORMAL } from "../close-code.js";
import type { ServerFrame } from "../gen/types.js";
import type { Platform, Timer, Wire, WireListener } from "../platform.js";
import type { Via } from "../session/state.js";
import { type Codec, jsonCodec } from "../wire/codec.js";
import type { Channel, Message, TabsPlatform } from "./channel.js";

/** What a tab's end of a connection needs of the tab. */
export interface TabWireContext {
  readonly platform: Platform;
  readonly tabs: TabsPlatform;
  /** For whom the tab was connected before. */
  readonly was: string;
  /** Asks whoever is the hub to open the channel of this name. @param frames Where frames wait to be taken, if it is in this tab. */
  readonly ask: (wire: string, frames: ServerFrame[]) => void;
  /** Nobody has answered. */
  readonly deserted: () => void;
  readonly welcome: (user: string) => void;
  readonly turnedAway: () => void;
  /** Undefined: there is none. Rejects where it could not be got. */
  readonly token: (fresh: boolean) => Promise<string | undefined>;
  readonly over: () => void;
}

/** How often a tab asks whether the hub's time goes on, and how long the answer may take. */
const HEARTBEAT_MS = 5_000;
/** From asking for the hub to an answer; and up to as long again at random, so that not all tabs do something about it. */
const DESERTED_MS = 2_000;
/** Frames that arrive before the hub is told. */
const GOT = 64;

export class TabWire implements Wire {
  /** Of the hub's connection. */
  via: Via | undefined;
  readonly #name: string;
  readonly #context: TabWireContext;
  readonly #listener: WireListener;
  readonly #channel: Channel;
  readonly #unlock: () => void;
  /** Who has opened it. Undefined: nobody has yet. */
  #hub: string | undefined;
  #locked = false;
  #got = 0;
  /** What the hub has for this tab, where it is in it. */
  readonly #frames: ServerFrame[] = [];
  readonly codec: Codec = {
    ...jsonCodec,
    decode: (data) => (data === "" ? (this.#frames.shift() ?? {}) : jsonCodec.decode(data)),
  };
  #heard = false;
  #timer: Timer | undefined;
  #over = false;

  constructor(name: string, context: TabWireContext, listener: WireListener) {
    this.#name = name;
    this.#context = context;
    this.#listener = listener;
    this.#channel = context.tabs.channel(name, (message) => this.#received(message));
    // Whoever opens it waits for this lock, and so learns when this tab is gone.
    this.#unlock = context.tabs.lock(name, "wait", () => {
      this.#locked = true;
      this.#ask();
    });
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (!this.#over && typeof data === "string") this.#channel.post(data);
  }

  close(_code: number): void {
    if (this.#over) return;
    this.#channel.post({ kind: "left" });
    this.#end();
  }

  /** Somebody is the hub from now on. */
  hubBegan(hub: string): void {
    if (this.#hub === undefined) this.#ask();
    else if (this.#hub !== hub) this.#lost(ABNORMAL);
  }

  #ask(): void {
    if (this.#over || !this.#locked) return;
    const { platform, ask, deserted } = this.#context;
    this.#timer?.cancel();
    this.#timer = platform.after(DESERTED_MS * (1 + platform.random()), () => deserted());
    ask(this.#name, this.#frames);
  }

  #received(message: Message): void {
    if (this.#over) return;
    if (typeof message === "string") {
      if (++this.#got === GOT) {
        this.#got = 0;
        this.#channel.post({ kind: "got", frames: GOT });
      }
      this.#listener.received(message);
    } else if (message.kind === "open") this.#opened(message.hub);
    else if (message.kind === "close") {
      if (this.#hub === undefined || this.#hub === message.hub) this.#lost(message.code);
    } else if (message.kind === "here") this.#heard = true;
    else if (message.kind === "ask") void this.#token(message.fresh);
    else if (message.kind === "for") {
      this.via = message.via;
      this.#context.welcome(message.user);
    } else if (message.kind === "elsewhere") {
      this.#lost(ABNORMAL);
      this.#context.turnedAway();
    }
  }

  #opened(hub: string): void {
    // Whoever else opens it hears that it is taken.
    if (this.#hub !== undefined) return;
    this.#hub = hub;
    this.#channel.post({ kind: "was", hub, user: this.#context.was });
    this.#beat();
    this.#listener.opened();
  }

  /** What else comes proves nothing: a tab that the browser has frozen still answers, but hears nothing of the server. */
  #beat(): void {
    this.#timer?.cancel();
    this.#heard = false;
    this.#channel.post({ kind: "there" });
    this.#timer = this.#context.platform.after(HEARTBEAT_MS, () => {
      if (this.#heard) this.#beat();
      else this.#lost(ABNORMAL);
    });
  }

  async #token(fresh: boolean): Promise<void> {
    let answer: Message;
    try {
      answer = { kind: "token", token: await this.#context.token(fresh) };
    } catch {
      answer = { kind: "tokenless" };
    }
    if (!this.#over) this.#channel.post(answer);
  }

  #lost(code: number): void {
    if (this.#over) return;
    this.#end();
    this.#listener.closed(code);
  }

  #end(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#channel.close();
    this.#unlock();
    this.#context.over();
  }
}
