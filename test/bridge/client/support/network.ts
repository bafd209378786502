// Wires between pages and servers: each keeps the order of what it carries, and is delayed, cut or silenced as the test says.

import type { Wire, WireListener } from "../../../../bridge/client/platform.js";
import type { World } from "./world.js";

const ABNORMAL = 1006;

/** The server's end of a wire. */
export interface Peer {
  send(data: string): void;
  close(code: number): void;
}

export interface PeerListener {
  received(data: string): void;
  /** Once, where the other end has gone, or the wire. Not called after `close`. */
  gone(): void;
}

/** Undefined: nobody is there. */
export type Accept = (url: string, peer: Peer) => PeerListener | undefined;

export interface Weather {
  /** How long one thing takes from end to end. */
  delayMs(): number;
  /** Whether what was on its way to a page still arrives after the page has closed its end. */
  late(): boolean;
}

export class Network {
  readonly world: World;
  readonly #accept: Accept;
  readonly #links = new Set<Link>();
  /** What wires say of how they go. */
  via: Wire["via"];
  weather: Weather = { delayMs: () => 1, late: () => false };
  /** Where attempts have gone, in order. */
  readonly dialled: { readonly url: string; readonly atMs: number }[] = [];

  constructor(world: World, accept: Accept) {
    this.world = world;
    this.#accept = accept;
  }

  connect(url: string, listener: WireListener): Link {
    this.dialled.push({ url, atMs: this.world.nowMs });
    const link = new Link(this, listener, () => this.#links.delete(link));
    this.#links.add(link);
    link.open((peer) => this.#accept(url, peer));
    return link;
  }

  /** Ends the wires there are; both ends learn of it. */
  cut(): void {
    for (const link of [...this.#links]) link.cut();
  }

  /** The wires there are carry nothing any more, and nobody is told. */
  silence(): void {
    for (const link of this.#links) link.silent = true;
  }
}

export class Link implements Wire {
  silent = false;
  /** What the page has sent, once it has arrived or not. */
  readonly sent: string[] = [];
  /** Told of what the page sends. */
  onSent: (data: string) => void = () => {};
  /** The page holds it for open. */
  held = true;
  get via(): Wire["via"] {
    return this.#network.via;
  }
  /** What the page has closed it with. Undefined: it has not. */
  leftWith: number | undefined;
  readonly #network: Network;
  readonly #listener: WireListener;
  readonly #over: () => void;
  #server: PeerListener | undefined;
  #atPageMs = 0;
  #atServerMs = 0;
  #serverClosed = false;

  constructor(network: Network, listener: WireListener, over: () => void) {
    this.#network = network;
    this.#listener = listener;
    this.#over = over;
  }

  open(accept: (peer: Peer) => PeerListener | undefined): void {
    this.#toServer(() => {
      this.#server = accept({
        send: (data) => this.#toPage(() => this.#listener.received(data)),
        close: (code) => {
          this.#serverClosed = true;
          this.#end(code);
        },
      });
      if (this.#server === undefined) this.#end(ABNORMAL);
      else this.#toPage(() => this.#listener.opened());
    });
  }

  // — the page's end —

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (typeof data !== "string") throw new Error("text is spoken here");
    this.sent.push(data);
    this.onSent(data);
    this.#toServer(() => this.#server?.received(data));
  }

  close(code: number): void {
    this.held = false;
    this.leftWith ??= code;
    this.#toServer(() => this.#gone());
  }

  // — the wire —

  cut(): void {
    this.#end(ABNORMAL);
    this.#toServer(() => this.#gone());
  }

  #gone(): void {
    this.#over();
    if (this.#serverClosed) return;
    this.#serverClosed = true;
    this.#server?.gone();
  }

  #end(code: number): void {
    this.#toPage(() => {
      this.#over();
      this.held = false;
      this.#listener.closed(code);
    });
  }

  #toPage(deliver: () => void): void {
    const { world, weather } = this.#network;
    this.#atPageMs = Math.max(this.#atPageMs, world.nowMs + weather.delayMs());
    const late = weather.late();
    world.after(this.#atPageMs - world.nowMs, () => {
      if (!this.silent && (this.held || late)) deliver();
    });
  }

  #toServer(deliver: () => void): void {
    const { world, weather } = this.#network;
    this.#atServerMs = Math.max(this.#atServerMs, world.nowMs + weather.delayMs());
    world.after(this.#atServerMs - world.nowMs, () => {
      if (!this.silent) deliver();
    });
  }
}
