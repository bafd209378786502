// The network of this page, which can be switched off: what a tunnel does to a phone, at the press of a button.

import { browser } from "../../client/browser.js";
import { withFallback } from "../../client/fallback/browser.js";
import type { Platform, Wire, WireListener } from "../../client/platform.js";
import type { Codec } from "../../client/wire/codec.js";

/** A browser says goodbye whatever it is asked: with a code of the page's own. */
const LEFT = 4000;
/** No close frame came. */
const ABNORMAL = 1006;

/** Who reads along. */
export interface Tap {
  /** The codec, read along with. */
  codec(codec: Codec): Codec;
  /** All that goes out, as the codec made it. */
  wentOut(data: string | Uint8Array): void;
}

interface Open {
  readonly wire: Wire;
  readonly listener: WireListener;
}

export class Network {
  readonly #open = new Set<Open>();
  readonly #watchers = new Set<() => void>();
  readonly #tap: Tap;
  /** The browser's own, with its way round networks that let no WebSocket through. */
  readonly #real = withFallback(browser);
  #off = false;

  constructor(tap: Tap) {
    this.#tap = tap;
  }

  /** Whether the user has switched it off here. */
  get off(): boolean {
    return this.#off;
  }

  set off(off: boolean) {
    if (off === this.#off) return;
    this.#off = off;
    for (const open of off ? [...this.#open] : []) {
      open.wire.close(LEFT);
      this.#open.delete(open);
      open.listener.closed(ABNORMAL);
    }
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** The browser's, through this network. */
  platform(): Platform {
    const { reachability } = this.#real;
    const network = this;
    return {
      ...this.#real,
      dial: (url, subprotocol, listener) => this.#dial(url, subprotocol, listener),
      reachability: {
        get online() {
          return !network.off && reachability.online;
        },
        watch(listener) {
          const unwatch = reachability.watch(listener);
          network.#watchers.add(listener);
          return () => {
            unwatch();
            network.#watchers.delete(listener);
          };
        },
      },
    };
  }

  #dial(url: string, subprotocol: string, listener: WireListener): Wire {
    let open: Open | undefined;
    const wire = this.#real.dial(url, subprotocol, {
      opened: () => listener.opened(),
      received: (data) => listener.received(data),
      closed: (code) => {
        if (open !== undefined) this.#open.delete(open);
        listener.closed(code);
      },
    });
    const own = { wire, listener };
    open = own;
    this.#open.add(own);
    const tap = this.#tap;
    return {
      get codec() {
        return wire.codec && tap.codec(wire.codec);
      },
      send: (data) => {
        wire.send(data);
        tap.wentOut(data);
      },
      close: (code) => {
        this.#open.delete(own);
        wire.close(code);
      },
    };
  }
}
