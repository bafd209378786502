// An application on a scripted server, to which a schedule happens.

import { Client } from "../../../../bridge/client/client.js";
import type { Position } from "../../../../bridge/client/gen/types.js";
import { jsonCodec } from "../../../../bridge/client/wire/codec.js";
import { Page } from "../support/page.js";
import { Server } from "../support/server.js";
import { World } from "../support/world.js";
import { random } from "./random.js";
import { Reader } from "./reader.js";
import { type Event, ROOMS, type Schedule } from "./schedule.js";
import { saw, watch } from "./watch.js";

const AN_HOUR_MS = 3_600_000;
/** Until all is well again once nothing happens any more: an iteration of slow answers, and the longest backoff. */
const HEALING_MS = 200_000;

export class Application {
  readonly breaches: string[] = [];
  readonly #world = new World();
  readonly #server = new Server(this.#world);
  readonly #chance: () => number;
  readonly #page: Page;
  readonly #client: Client;
  readonly #readers: ReadonlyMap<string, Reader>;
  #asked = 0;
  #messages = 0;
  #token: Extract<Event, { do: "token" }>["how"] = "good";

  constructor({ seed, delayMs }: Schedule) {
    this.#chance = random(seed);
    this.#page = new Page(this.#server.network, this.#chance);
    const { network, limits } = this.#server;
    network.weather = { delayMs: () => this.#upTo(delayMs), late: () => this.#chance() < 0.3 };
    limits.maxInFlight = 3;
    const client = new Client(
      { url: ["http://one", "http://two"], token: ({ fresh }) => this.#giveToken(fresh), autoConnect: false },
      { codec: jsonCodec, platform: this.#page },
    );
    this.#client = client;
    watch(this.#world, this.#page, client, (what) => this.#breach(what));
    const context = {
      world: this.#world,
      client,
      said: (roomId: string, position: Position) => this.#server.room(roomId).said(position),
      breach: (what: string) => this.#breach(what),
    };
    this.#readers = new Map(ROOMS.map((id) => [id, new Reader(id, context, id === "pot" ? 3 : undefined)]));
    this.#reader("pot").thinkMs = () => this.#upTo(2_000);
    this.#reader("cup").whim = () => this.#chance() < 0.1;
  }

  /** Lets it all happen, then lets it heal, and looks whether all is well. */
  async live({ steps }: Schedule): Promise<void> {
    this.#client.connect();
    for (const { event, thenMs } of steps) {
      this.#happen(event);
      await this.#world.run(thenMs);
    }
    await this.#heal();
    await this.#leave();
  }

  #breach(what: string): void {
    this.breaches.push(`${this.#world.nowMs}: ${what}`);
  }

  #upTo(most: number): number {
    return Math.floor(this.#chance() * (most + 1));
  }

  #reader(id: string): Reader {
    const reader = this.#readers.get(id);
    if (reader === undefined) throw new Error(`nobody reads ${id}`);
    return reader;
  }

  // — what happens —

  #happen(event: Event): void {
    const server = this.#server;
    switch (event.do) {
      case "say":
        this.#say(event.room, event.count);
        return;
      case "publish":
        if (!this.#page.frozen) this.#publish(event.room);
        return;
      case "open":
        if (!this.#page.frozen) this.#open(event.room, event.from);
        return;
      case "close":
        if (!this.#page.frozen) this.#reader(event.room).close();
        return;
      case "client":
        if (!this.#page.frozen) this.#client[event.call]();
        return;
      case "network":
        server.network[event.how]();
        return;
      case "reach":
        if (!this.#page.frozen) this.#page.reach(event.online);
        return;
      case "page":
        if (event.how === "freeze") this.#page.freeze();
        else if (event.how === "show") {
          if (!this.#page.frozen) this.#page.show();
        } else this.#page.thaw(event.how === "thaw" ? "network" : "timer");
        return;
      case "goodbye":
        for (const session of [...server.sessions]) session.end(event.code, event);
        return;
      case "stay":
        for (const session of [...server.sessions]) session.stay(event.code, event.reconnectAfterMs);
        return;
      case "server":
        server.up = event.up;
        if (!event.up) server.network.cut();
        return;
      case "history":
        this.#history(event.room, event.how);
        return;
      case "subscription":
        for (const session of server.sessions) {
          if (event.how === "reset") session.reset(event.room);
          else if (event.how === "repeat") session.repeat(event.room, 4);
          else session.unsubscribe(event.room, `UNSUBSCRIBE_REASON_${event.how}`);
        }
        return;
      case "garble":
        for (const session of server.sessions) session.garble();
        return;
      case "token":
        this.#token = event.how;
        return;
      case "expire":
        for (const session of server.sessions) if (session.live) session.expire(event.inMs);
        return;
      case "answers":
        this.#answers(event.how);
        return;
    }
  }

  #say(id: string, count: number): void {
    for (let i = 0; i < count; i++) this.#server.say(id, `message ${++this.#messages}`);
  }

  #publish(roomId: string): void {
    const key = `key ${++this.#messages}`;
    this.#asked++;
    this.#client.publish({ roomId, clientMessageId: key, body: { text: key } }).then(
      ({ position = {} }) => {
        this.#asked--;
        const said = this.#server.room(roomId).said(position);
        if (said !== key) this.#breach(`${key} was acknowledged, and ${said} is there`);
      },
      () => this.#asked--,
    );
  }

  #open(id: string, from: "here" | "beginning" | "beyond"): void {
    const { seq = 0 } = this.#server.room(id).top;
    const reader = this.#reader(id);
    // An iteration is opened anew only once it was left.
    if (id === "pot") reader.close();
    if (from === "here") reader.open();
    else reader.open(from === "beginning" ? {} : { seq: seq + 5, tag: 1 });
  }

  #history(id: string, how: "forget" | "rewrite"): void {
    const room = this.#server.room(id);
    if (how === "forget") {
      room.forget(2);
      return;
    }
    // Nobody is connected to a server that is being restored.
    this.#server.network.cut();
    for (const session of [...this.#server.sessions]) session.gone();
    room.rewrite();
  }

  #answers(how: Extract<Event, { do: "answers" }>["how"]): void {
    const server = this.#server;
    server.refuse = () => {
      if (how === "forbidden" && this.#chance() < 0.2) return { code: "ERROR_CODE_NOT_A_MEMBER" };
      if (how !== "refused" || this.#chance() < 0.5) return undefined;
      return { code: "ERROR_CODE_UNAVAILABLE", retryable: true, retryAfterMs: this.#upTo(1_000) };
    };
    server.takesMs = () => {
      if (how === "at once") return 0;
      return how === "lost" && this.#chance() < 0.3 ? undefined : this.#upTo(how === "slow" ? 4_000 : 50);
    };
  }

  #giveToken(fresh: boolean): Promise<string | undefined> | string | undefined {
    const server = this.#server;
    switch (this.#token) {
      case "good":
        return server.issue(AN_HOUR_MS);
      case "short":
        return server.issue(this.#upTo(30_000));
      case "stale":
        return server.issue(fresh ? AN_HOUR_MS : 0);
      case "failing":
        throw new Error("no token just now");
      case "late":
        return new Promise((resolve) => {
          this.#world.after(this.#upTo(40_000), () => resolve(server.issue(AN_HOUR_MS)));
        });
      case "never":
        return new Promise(() => {});
      case "none":
        return undefined;
    }
  }

  // — how it ends —

  async #heal(): Promise<void> {
    const { network } = this.#server;
    this.#token = "good";
    this.#answers("at once");
    this.#server.up = true;
    network.weather = { delayMs: () => 1, late: () => false };
    this.#page.thaw();
    this.#page.reach(true);
    this.#reader("pot").thinkMs = () => 0;
    this.#reader("cup").whim = () => false;
    // A goodbye that forbids to come back may still be on its way.
    await this.#world.run(10_000);
    this.#client.connect();
    await this.#world.run(HEALING_MS);
    for (const reader of this.#readers.values())
      if (reader.wanted && reader.room.state.status === "lost") reader.open();
    for (const id of ROOMS) this.#say(id, 1);
    await this.#world.run(HEALING_MS);
    if (this.#client.state.status !== "live") this.#breach(`is ${JSON.stringify(this.#client.state)} in the end`);
    for (const [id, reader] of this.#readers) if (reader.wanted) this.#expectAll(id, reader);
  }

  #expectAll(id: string, { room, seq }: Reader): void {
    const { top } = this.#server.room(id);
    if (room.state.status !== "live") this.#breach(`${id} is ${JSON.stringify(room.state)} in the end`);
    else if (seq !== top.seq) this.#breach(`${id} was told of ${seq} and not of ${top.seq} in the end`);
    else if (room.position?.tag !== top.tag) this.#breach(`${id} is of another history`);
  }

  async #leave(): Promise<void> {
    const page = this.#page;
    const wanted = [...this.#readers].filter(([, reader]) => reader.wanted).map(([id]) => id);
    const subscribed = this.#client.state.status === "live" ? this.#server.session.rooms : wanted;
    if (wanted.toSorted().join() !== subscribed.toSorted().join())
      this.#breach(`wants ${wanted}, and reads ${subscribed}`);
    this.#client.close();
    await this.#world.run(0);
    if (page.timers + page.watchers + page.held > 0) {
      this.#breach(`leaves ${page.timers} timers, ${page.watchers} watchers, ${page.held} wires`);
    }
    const { length } = page.links;
    await this.#world.run(HEALING_MS);
    if (page.links.length > length) this.#breach("came back after it was closed");
    if (page.twice > 0) this.#breach("held two wires at once");
    if (this.#asked > 0) this.#breach(`${this.#asked} requests were never settled`);
    for (const violation of this.#server.violations) this.#breach(violation);
    if (this.#server.renewed > 0) saw("renewed", this.#server.renewed);
  }
}
