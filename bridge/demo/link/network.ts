// The network of this user's tabs, which can be switched off: what a tunnel does to a phone, at the press of a button. One of the tabs has the
// connection of all of them; which one shows here.

import { browser } from "../../client/browser.js";
import { withFallback } from "../../client/fallback/browser.js";
import type { Platform, Wire, WireListener } from "../../client/platform.js";
import { TabSwitch } from "./tab-switch.js";
import { NO_TRAFFIC, plus, type Traffic } from "./traffic.js";

const NORMAL = 1000;
/** No close frame came. */
const ABNORMAL = 1006;

/** How a connection is made: the second where a network lets no WebSocket through. */
export type Way = "WebSocket" | "server-sent events";

interface Open {
  readonly listener: WireListener;
  wire: Wire | undefined;
  opened: boolean;
}

export class Network {
  readonly #wires = new Set<Open>();
  readonly #watchers = new Set<() => void>();
  readonly #real: Platform;
  readonly #switch: TabSwitch;
  #sent = NO_TRAFFIC;
  #received = NO_TRAFFIC;
  #left = false;

  /** @param real Default: the browser's own, with its way round networks that let no WebSocket through. */
  constructor(userId: string, real: Platform = withFallback(browser)) {
    this.#real = real;
    this.#switch = new TabSwitch(userId, {
      turned: (off) => {
        if (off) this.#closeAll();
        this.#tell();
      },
      cut: () => this.#cutAll(),
    });
  }

  /** Whether the user has switched it off, in this tab or another one. */
  get off(): boolean {
    return this.#switch.off;
  }

  /** Off, the connection is closed in order: the server knows at once that nobody is there. */
  set off(off: boolean) {
    this.#switch.off = off;
  }

  /** Cuts the connection, in whichever tab it is: no side is told, and the server finds out when the device is back. */
  cut(): void {
    this.#switch.cut();
  }

  /** The way of the connection that this tab holds. Undefined: it holds none. */
  get way(): Way | undefined {
    const open = [...this.#wires].find(({ opened }) => opened);
    if (open === undefined) return undefined;
    return open.wire?.codec === undefined ? "WebSocket" : "server-sent events";
  }

  /** What has gone out of this tab into the network, for all tabs. */
  get sent(): Traffic {
    return this.#sent;
  }

  get received(): Traffic {
    return this.#received;
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
            network.#letGo();
          };
        },
      },
    };
  }

  /** The user has left this tab. Where it holds the connection of other tabs, they can switch that off for as long as it does. */
  close(): void {
    this.#left = true;
    this.#letGo();
  }

  #dial(url: string, subprotocol: string, listener: WireListener): Wire {
    const open: Open = { listener, opened: false, wire: undefined };
    this.#wires.add(open);
    // Whoever was cut off hears nothing more.
    const connected = (): boolean => this.#wires.has(open);
    const wire = this.#real.dial(url, subprotocol, {
      opened: () => {
        if (!connected()) return;
        open.opened = true;
        listener.opened();
      },
      received: (data) => {
        if (!connected()) return;
        this.#received = plus(this.#received, data);
        listener.received(data);
      },
      closed: (code) => {
        if (this.#wires.delete(open)) listener.closed(code);
      },
    });
    open.wire = wire;
    return {
      ...(wire.codec && { codec: wire.codec }),
      send: (data) => {
        if (!connected()) return;
        this.#sent = plus(this.#sent, data);
        wire.send(data);
      },
      close: (code) => {
        if (this.#wires.delete(open)) wire.close(code);
      },
    };
  }

  #closeAll(): void {
    for (const { wire } of this.#lose()) wire?.close(NORMAL);
  }

  /** A page cannot break a WebSocket: it is left alone, until the server ends it. */
  #cutAll(): void {
    this.#lose();
  }

  #lose(): readonly Open[] {
    const lost = [...this.#wires];
    this.#wires.clear();
    for (const { listener } of lost) listener.closed(ABNORMAL);
    return lost;
  }

  /** Who has a connection, or wants one, watches. */
  #letGo(): void {
    if (this.#left && this.#watchers.size === 0) this.#switch.close();
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}
