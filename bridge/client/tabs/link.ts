// A tab among the tabs of its browser: one of them holds the hub, for as long as it has a lock that all of them wait for. When that tab goes, the
// next has the lock; when it stands still, somebody takes the lock from it.

import { NORMAL } from "../close-code.js";
import type { ServerFrame } from "../gen/types.js";
import type { Dial, Platform, Reachability, WireListener } from "../platform.js";
import type { TokenProvider } from "../session/session.js";
import { type Channel, type Message, type TabsPlatform, VERSION } from "./channel.js";
import type { Hub } from "./hub.js";
import { TabWire } from "./tab-wire.js";

export interface HubNeeds {
  readonly come: () => void;
  readonly empty: () => void;
  /** Tells devices of several users of one browser apart. */
  readonly group: number;
}

export interface LinkOptions {
  readonly platform: Platform;
  readonly tabs: TabsPlatform;
  /** Tabs of the same name share. */
  readonly name: string;
  readonly token: TokenProvider;
  readonly hub: (needs: HubNeeds) => Hub;
}

export class Link {
  readonly dial: Dial;
  readonly reachability: Reachability;
  readonly #options: LinkOptions;
  readonly #watchers = new Set<() => void>();
  /** Users of this browser have a connection each. */
  #group = 0;
  /** The channel of all tabs. Undefined: this tab is not among them. */
  #all: Channel | undefined;
  #unlock: (() => void) | undefined;
  #hub: Hub | undefined;
  #wire: TabWire | undefined;
  #was = "";
  #freshToken = false;
  /** Leaves once no other tab needs the hub. */
  #leaving = false;

  constructor(options: LinkOptions) {
    const { platform } = options;
    this.#options = options;
    this.dial = (_url, _subprotocol, listener) => this.#dial(listener);
    this.reachability = {
      get online() {
        return platform.reachability.online;
      },
      watch: (listener) => {
        const stop = platform.reachability.watch(listener);
        this.#watchers.add(listener);
        return () => {
          this.#watchers.delete(listener);
          stop();
        };
      },
    };
  }

  /** Of the tab's session, which needs none: the hub asks for one when it does. */
  readonly token: TokenProvider = ({ fresh }) => {
    this.#freshToken ||= fresh;
    return "";
  };

  /** This tab does not want to be connected any more, until it dials again. */
  leave(): void {
    this.#was = "";
    this.#leaving = true;
    if ((this.#hub?.seats ?? 0) > 0) return;
    this.#depart();
  }

  #depart(): void {
    this.#wire?.close(NORMAL);
    this.#resign();
    this.#unlock?.();
    this.#unlock = undefined;
    this.#all?.close();
    this.#all = undefined;
  }

  get #name(): string {
    return `trunkline/${VERSION}/${this.#group}/${this.#options.name}`;
  }

  #join(): void {
    this.#leaving = false;
    if (this.#all !== undefined) return;
    this.#all = this.#options.tabs.channel(this.#name, (message) => this.#received(message));
    this.#stand("wait");
  }

  // — connecting —

  #dial(listener: WireListener): TabWire {
    this.#join();
    const { platform, tabs } = this.#options;
    const wire = new TabWire(
      `${this.#name}/${platform.id()}`,
      {
        platform,
        tabs,
        was: this.#was,
        ask: (name, frames) => this.#ask(name, frames),
        deserted: () => this.#stand("steal"),
        welcome: (user) => {
          this.#was = user;
        },
        turnedAway: () => this.#turnedAway(),
        token: async (fresh) => {
          const token = await this.#options.token({ fresh: fresh || this.#freshToken });
          this.#freshToken = false;
          return token;
        },
        over: () => {
          if (this.#wire === wire) this.#wire = undefined;
        },
      },
      listener,
    );
    this.#wire = wire;
    return wire;
  }

  #ask(wire: string, frames: ServerFrame[]): void {
    // What is posted does not reach this tab itself.
    if (this.#hub !== undefined) this.#hub.seat(wire, frames);
    else this.#all?.post({ kind: "dial", wire });
  }

  #turnedAway(): void {
    if (this.#hub !== undefined) return;
    this.#depart();
    this.#group++;
    this.#was = "";
    this.#come();
  }

  #received(message: Message): void {
    if (typeof message === "string") return;
    if (message.kind === "dial") this.#hub?.seat(message.wire);
    else if (message.kind === "hub") {
      // This tab stood still, and was not told yet that the lock was taken from it.
      if (this.#hub !== undefined) this.#yield();
      this.#wire?.hubBegan(message.hub);
    } else if (message.kind === "come") this.#come();
  }

  /** Whoever waits to come back need not. */
  #come(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  // — holding the hub —

  #stand(how: "wait" | "steal"): void {
    this.#unlock?.();
    this.#unlock = this.#options.tabs.lock(
      this.#name,
      how,
      () => this.#lead(),
      () => this.#yield(),
    );
  }

  /** Somebody else holds it. */
  #yield(): void {
    this.#resign();
    this.#stand("wait");
  }

  #lead(): void {
    const hub = this.#options.hub({
      group: this.#group,
      come: () => {
        this.#all?.post({ kind: "come" });
        this.#come();
      },
      empty: () => {
        if (this.#leaving) this.#depart();
      },
    });
    this.#hub = hub;
    this.#all?.post({ kind: "hub", hub: hub.id });
    this.#wire?.hubBegan(hub.id);
  }

  #resign(): void {
    const hub = this.#hub;
    this.#hub = undefined;
    hub?.end();
  }
}
