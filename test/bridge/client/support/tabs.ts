// Tabs of one browser: channels between them, locks, and what the browser keeps, in the time of the world they live in.

import { Client, type ClientOptions } from "../../../../bridge/client/client.js";
import type { Keep } from "../../../../bridge/client/keep.js";
import type { Message, TabsPlatform } from "../../../../bridge/client/tabs/channel.js";
import { share } from "../../../../bridge/client/tabs/share.js";
import { jsonCodec } from "../../../../bridge/client/wire/codec.js";
import { Page } from "./page.js";
import type { Server } from "./server.js";

const AN_HOUR_MS = 3_600_000;

interface Listening {
  readonly tab: Tab;
  readonly received: (message: Message) => void;
}

interface Claim {
  readonly tab: Tab;
  readonly held: () => void;
  readonly lost: () => void;
  over: boolean;
}

/** Ids of one tab are not those of another. */
class NamedPage extends Page {
  constructor(
    readonly name: string,
    server: Server,
    random: () => number,
  ) {
    super(server.network, random);
  }

  override id(): string {
    return `${this.name}-${super.id()}`;
  }
}

export class FakeBrowser {
  readonly server: Server;
  readonly tabs: Tab[] = [];
  readonly #random: () => number;
  readonly #channels = new Map<string, Set<Listening>>();
  /** Who has each lock comes first, then those that wait for it. */
  readonly #locks = new Map<string, Claim[]>();
  readonly #kept = new Map<string, string>();
  /** What a page of this browser makes its client with. */
  share = share;
  /** What tabs have said to each other, and to themselves. */
  readonly posted: Message[] = [];
  /** Of one message to one tab. */
  delayMs: () => number = () => 1;

  constructor(server: Server, random: () => number = () => 0.5) {
    this.server = server;
    this.#random = random;
  }

  /** @param copied Its own storage is copied, as of a tab that is duplicated. */
  open(options: Partial<ClientOptions> = {}, copied?: Tab): Tab {
    const tab = new Tab(this, new NamedPage(`tab${this.tabs.length}`, this.server, this.#random), options, copied);
    this.tabs.push(tab);
    return tab;
  }

  /** Live connections that the browser holds for open. */
  get connections(): number {
    return [...this.server.sessions].filter(({ live }) => live).length;
  }

  get devices(): readonly (string | undefined)[] {
    return [...this.server.sessions].map(({ hello }) => hello?.device?.deviceId);
  }

  platform(tab: Tab, own: Map<string, string>): TabsPlatform {
    const keep = (kept: Map<string, string>): Keep => ({
      get: (key) => kept.get(key),
      set: (key, value) => kept.set(key, value),
    });
    return {
      all: keep(this.#kept),
      own: keep(own),
      channel: (name, received) => {
        // What is still running in it when it goes does nothing any more.
        if (tab.gone) return { post: () => {}, close: () => {} };
        const listening = { tab, received };
        const others = this.#channels.get(name) ?? new Set();
        this.#channels.set(name, others.add(listening));
        const last = new Map<Listening, number>();
        return {
          post: (message) => {
            const nowMs = this.server.world.nowMs;
            this.posted.push(message);
            const copy = structuredClone(message);
            for (const other of others) {
              if (other === listening) continue;
              const atMs = Math.max(last.get(other) ?? 0, nowMs + this.delayMs());
              last.set(other, atMs);
              this.server.world.after(atMs - nowMs, () => {
                other.tab.task(() => {
                  if (others.has(other)) other.received(copy);
                }, "message");
              });
            }
          },
          close: () => {
            others.delete(listening);
            if (others.size === 0) this.#channels.delete(name);
          },
        };
      },
      lock: (name, how, held, lost = () => {}) => {
        if (tab.gone) return () => {};
        const claims = this.#locks.get(name) ?? [];
        this.#locks.set(name, claims);
        const claim = { tab, held, lost, over: false };
        const release = (): void => this.#release(name, claim);
        const [holder] = claims;
        if (how === "try" && holder !== undefined) {
          tab.soon(lost);
          return release;
        }
        if (how === "steal" && holder !== undefined) {
          claims.shift();
          holder.tab.soon(() => {
            if (!holder.over) holder.lost();
            holder.over = true;
          });
        }
        if (how === "steal") claims.unshift(claim);
        else claims.push(claim);
        if (claims[0] === claim) this.#grant(claim);
        return release;
      },
    };
  }

  /** The tab is no more, and nothing of it. */
  forget(tab: Tab): void {
    for (const listening of this.#channels.values()) {
      for (const one of listening) if (one.tab === tab) listening.delete(one);
    }
    for (const [name, claims] of [...this.#locks]) {
      for (const claim of claims.filter((claim) => claim.tab === tab)) this.#release(name, claim);
    }
  }

  /** Names of channels and locks that somebody has. */
  get left(): readonly string[] {
    const names = [...this.#channels].filter(([, { size }]) => size > 0).map(([name]) => name);
    return [...names, ...[...this.#locks].filter(([, { length }]) => length > 0).map(([name]) => name)];
  }

  #grant(claim: Claim): void {
    claim.tab.soon(() => {
      if (!claim.over) claim.held();
    });
  }

  #release(name: string, claim: Claim): void {
    claim.over = true;
    const claims = this.#locks.get(name) ?? [];
    const at = claims.indexOf(claim);
    if (at < 0) return;
    claims.splice(at, 1);
    const [next] = claims;
    if (at === 0 && next !== undefined) this.#grant(next);
    if (claims.length === 0) this.#locks.delete(name);
  }
}

export class Tab {
  readonly page: Page;
  readonly client: Client;
  readonly #browser: FakeBrowser;
  readonly #own: Map<string, string>;
  /** Whether a fresh token was asked for, each time. */
  readonly asked: boolean[] = [];
  /** Texts of each room, as the application was told them. */
  readonly heard = new Map<string, string[]>();
  readonly states: string[] = [];
  frozen = false;
  /** While it is frozen: what other tabs say is heard, and nothing else happens, as in Chromium. */
  hears = false;
  gone = false;
  #missed: (() => void)[] = [];

  constructor(browser: FakeBrowser, page: Page, options: Partial<ClientOptions>, copied: Tab | undefined) {
    this.#browser = browser;
    this.page = page;
    this.#own = new Map(copied === undefined ? [] : copied.#own);
    const token = ({ fresh }: { readonly fresh: boolean }): string => {
      this.asked.push(fresh);
      return browser.server.issue(AN_HOUR_MS);
    };
    this.client = browser.share(
      { url: "http://one", token, ...options },
      { codec: jsonCodec, platform: page.parts },
      browser.platform(this, this.#own),
      (options, parts) => new Client(options, parts),
    );
    this.client.on("state", (state) =>
      this.states.push("reason" in state ? `${state.status} ${state.reason}` : state.status),
    );
  }

  /** Opens a room from its beginning and records it. */
  read(id: string): void {
    const texts: string[] = [];
    this.heard.set(id, texts);
    const room = this.client.room(id);
    room.on("event", ({ messageCreated }) => texts.push(messageCreated?.body?.text ?? ""));
    room.open({ after: {} });
  }

  /** No timer runs in it, and nothing comes from the network. Unless it `hears`, nothing runs at all. */
  freeze({ hears = false } = {}): void {
    this.frozen = true;
    this.hears = hears;
    this.page.freeze();
  }

  thaw(): void {
    this.frozen = false;
    this.page.thaw();
    const missed = this.#missed;
    this.#missed = [];
    for (const run of missed) run();
  }

  /** Closed by the user, or crashed. */
  crash(): void {
    this.gone = true;
    this.freeze();
    for (const link of this.page.links) if (link.held) link.cut();
    this.#browser.forget(this);
  }

  /** Runs now, or once it is not frozen. */
  task(run: () => void, kind?: "message"): void {
    if (this.gone) return;
    if (this.frozen && !(this.hears && kind === "message")) this.#missed.push(run);
    else run();
  }

  soon(run: () => void): void {
    this.#browser.server.world.after(0, () => this.task(run));
  }
}
