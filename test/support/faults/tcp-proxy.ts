// What lies between two programs of a test, and can be made to fail while they run: cut, silent, slow, deaf in one direction, or without
// an answer to one request.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Flow } from "./flow.js";

/** Looks at bytes of a client as they come: the beginning of a request, where a client waits for its answer before it asks again. */
export type Recognises = (bytes: Buffer) => boolean;

export interface TcpProxyOptions {
  /** Tells connections apart by what a client has sent first: see `silence`. */
  readonly marks?: Recognises;
}

/** An answer that has come and is kept from the client. */
export interface HeldAnswer {
  /** Lets it go on, and all that follows. */
  release(): void;
  /** Ends its connection instead: the client never learns what became of its request. */
  lose(): void;
}

type State =
  | { readonly is: "open" }
  | { readonly is: "cut" }
  | { readonly is: "silent"; readonly markedOnly: boolean }
  | { readonly is: "one-way"; readonly passes: "requests" | "answers" };

interface Expected {
  readonly recognises: Recognises;
  readonly resolve: (answer: HeldAnswer) => void;
}

export class TcpProxy {
  readonly #server: Server;
  readonly #options: TcpProxyOptions;
  readonly #passages = new Set<Passage>();
  #target: string;
  #state: State = { is: "open" };
  #delayMs = 0;
  #expected: Expected | undefined;
  #address = "";

  private constructor(target: string, options: TcpProxyOptions) {
    this.#target = target;
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, (near) => this.#connected(near));
  }

  /** Through it `target` (host:port) is reached at `address`. A target may be named later: see `leadTo`. */
  static async to(target = "", options: TcpProxyOptions = {}): Promise<TcpProxy> {
    const proxy = new TcpProxy(target, options);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    const address = proxy.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy has no port");
    proxy.#address = `127.0.0.1:${address.port}`;
    return proxy;
  }

  /** host:port, the same as long as it lives. */
  get address(): string {
    return this.#address;
  }

  /** How many connections go through it. */
  get connections(): number {
    return this.#passages.size;
  }

  /** Connections that come from now on go there; those that there are end. */
  leadTo(target: string): void {
    this.#target = target;
    this.#end();
  }

  /** Ends every connection, and each new one at once. */
  cut(): void {
    this.#state = { is: "cut" };
    this.#end();
  }

  /** Ends every connection. New ones can be made. */
  interrupt(): void {
    this.#end();
  }

  /** Nothing passes and nothing ends: who does not ask does not notice. Marked connections alone, if told so. */
  silence({ markedOnly = false }: { readonly markedOnly?: boolean } = {}): void {
    this.#become({ is: "silent", markedOnly });
  }

  /** Only what clients send passes, or only what they are sent. */
  oneWay(passes: "requests" | "answers"): void {
    this.#become({ is: "one-way", passes });
  }

  /** All that passes takes so much longer, in milliseconds, in each direction. */
  delay(delayMs: number): void {
    this.#delayMs = delayMs;
    for (const passage of this.#passages) passage.delayMs = delayMs;
  }

  /** Lets the next request pass that is recognised, and keeps what is answered on its connection. Resolves once there is an answer. */
  holdAnswer(recognises: Recognises): Promise<HeldAnswer> {
    const { promise, resolve } = Promise.withResolvers<HeldAnswer>();
    this.#expected = { recognises, resolve };
    return promise;
  }

  /** As it was in the beginning. What was held passes; a connection that one side has given up meanwhile ends for the other. */
  heal(): void {
    this.#expected = undefined;
    this.delay(0);
    this.#become({ is: "open" });
  }

  async close(): Promise<void> {
    this.#end();
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }

  #connected(near: Socket): void {
    if (this.#state.is === "cut") {
      near.on("error", () => {});
      near.resetAndDestroy();
      return;
    }
    const [host = "", port] = this.#target.split(":");
    const far = connect({ host, port: Number(port), allowHalfOpen: true });
    const passage = new Passage(near, far, {
      marks: this.#options.marks ?? (() => false),
      requested: (bytes) => this.#requested(passage, bytes),
      marked: () => this.#apply(passage),
      ended: () => this.#passages.delete(passage),
    });
    passage.delayMs = this.#delayMs;
    this.#passages.add(passage);
    this.#apply(passage);
  }

  #requested(passage: Passage, bytes: Buffer): void {
    const expected = this.#expected;
    if (expected?.recognises(bytes) !== true) return;
    this.#expected = undefined;
    passage.holdAnswer(expected.resolve);
  }

  #become(state: State): void {
    this.#state = state;
    for (const passage of this.#passages) this.#apply(passage);
  }

  #apply(passage: Passage): void {
    const state = this.#state;
    const silent = state.is === "silent" && (passage.isMarked || !state.markedOnly);
    passage.hold({
      requests: silent || (state.is === "one-way" && state.passes === "answers"),
      answers: silent || (state.is === "one-way" && state.passes === "requests"),
    });
  }

  #end(): void {
    for (const passage of this.#passages) passage.end();
  }
}

interface PassageListener {
  readonly marks: Recognises;
  requested(bytes: Buffer): void;
  marked(): void;
  ended(): void;
}

/** A connection through a proxy. */
class Passage {
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #requests: Flow;
  readonly #answers: Flow;
  readonly #listener: PassageListener;
  #isMarked = false;
  #ended = false;
  /** Whoever waits for what is answered. */
  #expecting: ((answer: HeldAnswer) => void) | undefined;
  #answerIsHeld = false;
  #answersAreHeld = false;

  constructor(near: Socket, far: Socket, listener: PassageListener) {
    this.#near = near;
    this.#far = far;
    this.#listener = listener;
    near.setNoDelay();
    far.setNoDelay();
    // Followed by "close", which is what counts.
    near.on("error", () => {});
    far.on("error", () => {});
    const onGone = (): void => this.end();
    this.#requests = new Flow({ from: near, to: far, onBytes: (bytes) => this.#requested(bytes), onGone });
    this.#answers = new Flow({ from: far, to: near, onBytes: () => this.#answered(), onGone });
  }

  get isMarked(): boolean {
    return this.#isMarked;
  }

  set delayMs(delayMs: number) {
    this.#requests.delayMs = delayMs;
    this.#answers.delayMs = delayMs;
  }

  hold({ requests, answers }: { readonly requests: boolean; readonly answers: boolean }): void {
    this.#answersAreHeld = answers;
    this.#requests.held = requests;
    this.#answers.held = answers || this.#answerIsHeld;
  }

  holdAnswer(resolve: (answer: HeldAnswer) => void): void {
    this.#expecting = resolve;
    this.#answerIsHeld = true;
    this.#answers.held = true;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#requests.stop();
    this.#answers.stop();
    this.#near.destroy();
    this.#far.destroy();
    this.#listener.ended();
  }

  #requested(bytes: Buffer): void {
    if (!this.#isMarked && this.#listener.marks(bytes)) {
      this.#isMarked = true;
      this.#listener.marked();
    }
    this.#listener.requested(bytes);
  }

  #answered(): void {
    const expecting = this.#expecting;
    if (expecting === undefined) return;
    this.#expecting = undefined;
    expecting({
      release: () => {
        this.#answerIsHeld = false;
        this.#answers.held = this.#answersAreHeld;
      },
      lose: () => this.end(),
    });
  }
}
