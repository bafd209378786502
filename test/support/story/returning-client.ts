// A client that always comes back: connects, says hello, and when the connection ends does it again.

import { setTimeout as pause } from "node:timers/promises";
import { type Connection, contentOf, type Frame, type JsonObject, kindOf, type TestClient } from "../client/index.js";
import type { Random } from "./random.js";

/** Between two tries, in milliseconds: short, so that a restarted server is met at once. */
const PAUSE_MS = 25;
/** The id of every ping: whether something comes is all that is asked. */
const PING_ID = 1;
/** As long as a timer can be. */
const FOR_EVER_MS = 2 ** 31 - 1;

export interface ReturningOptions {
  readonly client: TestClient;
  /** Where it goes instead, each time to one of them by chance. */
  readonly clients?: readonly TestClient[];
  readonly name: string;
  readonly token: string;
  readonly random: Random;
  /** Between two tries, in milliseconds. Default 25. */
  readonly pauseMs?: number;
  /** A server that says nothing for so long, in milliseconds, though it is asked halfway, is given up. Default: the transport tells. */
  readonly patienceMs?: number;
}

export abstract class ReturningClient {
  readonly name: string;
  protected readonly client: TestClient;
  readonly #options: ReturningOptions;
  readonly #waiters = new Set<() => void>();
  #connection: Connection | undefined;
  #attempt = 0;
  #ref = 0;
  #stopped = false;
  /** When the server last said something, monotonic. */
  #heardAt = 0;
  #running: Promise<void> | undefined;
  /** How often it was welcomed. */
  welcomes = 0;
  /** What no server of the contract does. */
  readonly violations: string[] = [];

  constructor(options: ReturningOptions) {
    this.#options = options;
    this.client = options.client;
    this.name = options.name;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#connection?.destroy();
    await this.#running;
  }

  /** Cuts the connection without a word; it will come back. */
  cut(): void {
    this.#connection?.destroy();
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Resolves once the condition holds, which is looked at after each frame; rejects after `withinMs`. */
  async until(condition: () => boolean, what: string, withinMs: number): Promise<void> {
    if (condition()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error(`${this.name}: no ${what} within ${withinMs} ms`)), withinMs);
    const look = (): void => {
      if (condition()) resolve();
    };
    this.#waiters.add(look);
    await promise.finally(() => {
      clearTimeout(timer);
      this.#waiters.delete(look);
    });
  }

  /** The rooms stated in the hello. */
  protected abstract rooms(): readonly JsonObject[];
  /** The session is live. */
  protected abstract welcomed(): void;
  protected abstract received(frame: Frame): void;
  /** The connection is gone. */
  protected abstract gone(): void;

  /** Sends a request; its reply will carry the number returned. */
  protected request(frame: JsonObject): number {
    const ref = ++this.#ref;
    this.#connection?.send({ ref, ...frame });
    return ref;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#live();
      } catch {
        // Not reachable: tried again below.
      }
      this.gone();
      const { pauseMs = PAUSE_MS, random } = this.#options;
      if (!this.#stopped) await pause(pauseMs * (0.5 + random()));
    }
  }

  async #live(): Promise<void> {
    const { name, token } = this.#options;
    const connection = await this.#connect();
    this.#connection = connection;
    if (this.#stopped) return connection.destroy();
    this.#attempt += 1;
    const device = { deviceId: name };
    this.request({ hello: { token, device, attempt: this.#attempt, protocol: 1, rooms: this.rooms() } });
    const watch = this.#watch(connection);
    await connection.inbox.ended(FOR_EVER_MS).finally(() => clearInterval(watch));
    this.#connection = undefined;
  }

  #connect(): Promise<Connection> {
    const { name, random, patienceMs, clients = [this.client] } = this.#options;
    const client = clients[Math.floor(random() * clients.length)] ?? this.client;
    const connecting = client.connect({ label: name, onFrame: (frame) => this.#receive(frame) });
    if (patienceMs === undefined) return connecting;
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const timer = setTimeout(() => {
      reject(new Error(`${name} could not connect within ${patienceMs} ms`));
      // It may come yet: nobody wants it then.
      connecting.then(
        (late) => late.destroy(),
        () => {},
      );
    }, patienceMs);
    connecting.then(resolve, reject);
    return promise.finally(() => clearTimeout(timer));
  }

  /** Gives up a connection whose other side is silent. */
  #watch(connection: Connection): NodeJS.Timeout | undefined {
    const { patienceMs } = this.#options;
    if (patienceMs === undefined) return undefined;
    this.#heardAt = performance.now();
    return setInterval(() => {
      const silentMs = performance.now() - this.#heardAt;
      if (silentMs > patienceMs) connection.destroy();
      else if (silentMs > patienceMs / 2) connection.send({ ping: { id: PING_ID } });
    }, patienceMs / 4);
  }

  #receive(frame: Frame): void {
    if (this.#stopped) return;
    this.#heardAt = performance.now();
    if (kindOf(frame) === "welcome") {
      this.welcomes += 1;
      this.welcomed();
    } else if (kindOf(frame) === "goodbye") this.#blamed(contentOf(frame));
    else this.received(frame);
    for (const look of [...this.#waiters]) look();
  }

  protected violated(what: string): void {
    this.violations.push(what);
  }

  /** A goodbye that blames the client is a fault of the test or of the server. */
  #blamed(goodbye: JsonObject): void {
    const reason = String(goodbye.reason);
    if (["CLOSE_CODE_PROTOCOL_ERROR", "CLOSE_CODE_UNAUTHENTICATED", "CLOSE_CODE_KICKED"].includes(reason)) {
      this.violated(`${this.name} was told ${JSON.stringify(goodbye)}`);
    }
  }
}
