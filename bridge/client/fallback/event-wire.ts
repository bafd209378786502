// A connection where no WebSocket gets through: frames come down as server-sent events, by `fetch`, and go up by requests, one at a time.
// See "Fallback" in docs/protocol.md.

import { ABNORMAL } from "../close-code.js";
import type { Dial, Platform, Timer, Wire, WireListener } from "../platform.js";
import { jsonCodec } from "../wire/codec.js";

/** What of the world it needs. */
export interface Web extends Pick<Platform, "after"> {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

/** From sending a request to its answer, in milliseconds. */
const ANSWER_DEADLINE_MS = 10_000;
/** How often a request that was not answered is sent again. */
const REPEATS = 3;
/** Before the first repeat, in milliseconds; longer before each further one. */
const REPEAT_MS = 500;
/** How long a stream whose requests fail may take to say why, and one that is closed to end, in milliseconds. */
const END_DEADLINE_MS = 2_000;

/** The address given is that of WebSockets, `…/v1/connect`; those of the fallback are beside it. */
export function eventsDial(web: Web): Dial {
  return (url, _subprotocol, listener) => new EventWire(web, url.replace(/connect$/, ""), listener);
}

class EventWire implements Wire {
  readonly codec = jsonCodec;
  readonly #web: Web;
  readonly #base: string;
  readonly #listener: WireListener;
  readonly #abort = new AbortController();
  #session = "";
  #maxBytes = 0;
  #waiting: string[] = [];
  #batch = 0;
  #busy = false;
  /** What it is closed with; undefined: nobody has closed it. */
  #closing: number | undefined;
  #asking: AbortController | undefined;
  /** Until a request is sent again. */
  #pause: Timer | undefined;
  #ending: Timer | undefined;
  #over = false;

  constructor(web: Web, base: string, listener: WireListener) {
    this.#web = web;
    this.#base = base;
    this.#listener = listener;
    void this.#read();
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.#over || this.#closing !== undefined || typeof data !== "string") return;
    this.#waiting.push(data);
    void this.#post();
  }

  close(code: number): void {
    if (this.#over || this.#closing !== undefined) return;
    this.#closing = code;
    if (this.#session === "") this.#end(code);
    else {
      this.#endLater();
      void this.#post();
    }
  }

  // — down —

  /** Never rejects. */
  async #read(): Promise<void> {
    let code = ABNORMAL;
    try {
      const { signal } = this.#abort;
      const { ok, body } = await this.#web.fetch(`${this.#base}events`, { cache: "no-store", signal });
      const reader = ok ? body?.getReader() : undefined;
      const decoder = new TextDecoder();
      let unread = "";
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) break;
        const events = (unread + decoder.decode(value, { stream: true })).split("\n\n");
        unread = events.pop() ?? "";
        for (const event of events) code = this.#event(event) ?? code;
      }
    } catch {
      // It was cut, or nobody is there.
    }
    this.#end(code);
  }

  /** The code of an event that says that it was the last. */
  #event(event: string): number | undefined {
    const lines = event.split("\n");
    const data = lines.find((line) => line.startsWith("data: "))?.slice(6);
    if (data === undefined) return undefined;
    if (lines.includes("event: session")) {
      const { session, maxBytes } = JSON.parse(data);
      this.#session = session;
      this.#maxBytes = maxBytes;
      if (!this.#silent) this.#listener.opened();
      void this.#post();
    } else if (lines.includes("event: end")) return JSON.parse(data).code;
    else if (!this.#silent) this.#listener.received(data);
    return undefined;
  }

  // — up —

  /** Sends what waits, and after it what comes meanwhile. Never rejects. */
  async #post(): Promise<void> {
    if (this.#busy || this.#session === "") return;
    this.#busy = true;
    // What is said in this turn goes together.
    await undefined;
    while (!this.#over && (this.#waiting.length > 0 || this.#closing !== undefined)) {
      const body = this.#take();
      const last = this.#closing !== undefined && this.#waiting.length === 0;
      if (!(await this.#sent(body, ++this.#batch, last ? this.#closing : undefined))) {
        this.#endLater();
        return;
      }
      if (last) this.#end(ABNORMAL);
    }
    this.#busy = false;
  }

  /** As much of what waits as one request may hold. */
  #take(): string {
    const encoder = new TextEncoder();
    // Between frames there is one byte.
    let bytes = -1;
    const count = this.#waiting.findIndex((frame, index) => {
      bytes += encoder.encode(frame).length + 1;
      return index > 0 && bytes > this.#maxBytes;
    });
    return this.#waiting.splice(0, count < 0 ? this.#waiting.length : count).join("\n");
  }

  async #sent(body: string, batch: number, closing: number | undefined): Promise<boolean> {
    for (let repeats = 0; !this.#over; repeats++) {
      const status = await this.#ask(body, batch, closing);
      if (status === 204) return true;
      if (this.#over) return false;
      // Nobody answered, or nobody could: the session may have it all the same, and drops it then by its number.
      if ((status !== 0 && status < 500) || repeats === REPEATS) return false;
      await new Promise<void>((resolve) => {
        this.#pause = this.#web.after(REPEAT_MS * (repeats + 1), resolve);
      });
    }
    return false;
  }

  /** The answer's status; 0: there was none. */
  async #ask(body: string, batch: number, closing: number | undefined): Promise<number> {
    const abort = new AbortController();
    this.#asking = abort;
    const timer = this.#web.after(ANSWER_DEADLINE_MS, () => abort.abort());
    try {
      const headers: Record<string, string> = { "trunkline-session": this.#session, "trunkline-batch": `${batch}` };
      if (closing !== undefined) headers["trunkline-close"] = `${closing}`;
      // A page that is being left may still say so.
      const keepalive = closing !== undefined;
      const init = { method: "POST", body, headers, keepalive, signal: abort.signal };
      return (await this.#web.fetch(`${this.#base}frames`, init)).status;
    } catch {
      return 0;
    } finally {
      timer.cancel();
    }
  }

  // — the end —

  /** Whether nobody listens any more. */
  get #silent(): boolean {
    return this.#over || this.#closing !== undefined;
  }

  #endLater(): void {
    if (!this.#over) this.#ending ??= this.#web.after(END_DEADLINE_MS, () => this.#end(ABNORMAL));
  }

  #end(code: number): void {
    if (this.#over) return;
    const silent = this.#silent;
    this.#over = true;
    this.#ending?.cancel();
    this.#pause?.cancel();
    this.#asking?.abort();
    this.#abort.abort();
    if (!silent) this.#listener.closed(code);
  }
}
