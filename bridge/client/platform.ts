// What the client needs of the world it runs in, so that tests can have another one. See browser.ts for the real one.

import type { Via } from "./session/state.js";
import type { Codec } from "./wire/codec.js";

export interface Timer {
  cancel(): void;
}

/** One WebSocket, or what stands in for it. */
export interface Wire {
  /** How it goes; asked once frames come. Undefined: as a WebSocket. */
  readonly via?: Via | undefined;
  /** What it speaks, where that is not what it was dialled for. */
  readonly codec?: Codec;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  /** Ends it; no listener is called any more. */
  close(code: number): void;
}

export interface WireListener {
  opened(): void;
  received(data: string | ArrayBuffer): void;
  /** Once, at the end, or where it could not be opened. 1006: nobody said why. */
  closed(code: number): void;
}

/** Opens a connection that speaks `subprotocol`. Never throws: what is wrong with it is told by `closed`. */
export type Dial = (url: string, subprotocol: string, listener: WireListener) => Wire;

/** Whether trying to connect makes sense, and when it may make sense again. */
export interface Reachability {
  /** False: the system says that there is no network. */
  readonly online: boolean;
  /**
   * Calls `listener` when the network has come or gone, and when the page is shown again: its timers may have stood still meanwhile.
   * Returns what ends that.
   */
  watch(listener: () => void): () => void;
}

/** An object of functions, not of a class: others are made of it with some of them replaced. */
export interface Platform {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds that never go back. They may stand still while the machine sleeps. */
  monotonic(): number;
  /** Calls `action` once, `ms` from now; after some 24 days where that is longer. */
  after(ms: number, action: () => void): Timer;
  /** From 0 to 1. */
  random(): number;
  /** Letters and digits that nobody else has: 22 of them. */
  id(): string;
  readonly dial: Dial;
  readonly reachability: Reachability;
}
