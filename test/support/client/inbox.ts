// Frames received and not asked for yet, and whoever waits for one.

import { at, isObject, type Json, type JsonObject, number } from "./json-value.js";

/** A ServerFrame as proto3 JSON. */
export type Frame = JsonObject;
export type Match = (frame: Frame) => boolean;

/** How a connection ended: the WebSocket close code; over gRPC the reason of the last Goodbye, 0 without one. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

/** A bound for the tests, not a claim about speed. */
const PATIENCE_MS = 10_000;

interface Waiter {
  readonly attempt: () => boolean;
  readonly fail: (error: Error) => void;
}

export class Inbox {
  /** Every frame received, in order. */
  readonly all: Frame[] = [];
  readonly #label: string;
  #unread: Frame[] = [];
  #ending: Ending | undefined;
  readonly #waiters = new Set<Waiter>();

  constructor(label: string) {
    this.#label = label;
  }

  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Frames that nobody has asked for yet. */
  get unread(): readonly Frame[] {
    return this.#unread;
  }

  push(frame: Frame): void {
    this.all.push(frame);
    this.#unread.push(frame);
    this.#wake();
  }

  end(ending: Ending): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    this.#wake();
  }

  /** The oldest unread frame that matches, now or within the deadline; rejects when the connection ends without it. */
  take(match: Match, what: string, patienceMs = PATIENCE_MS): Promise<Frame> {
    return this.#wait<Frame>(what, patienceMs, () => {
      const index = this.#unread.findIndex(match);
      if (index >= 0) return this.#unread.splice(index, 1)[0];
      if (this.#ending === undefined) return undefined;
      throw this.#disappointed(`${what}, but the connection ended with ${this.#ending.code} ${this.#ending.reason}`);
    });
  }

  ended(patienceMs = PATIENCE_MS): Promise<Ending> {
    return this.#wait<Ending>("the end of the connection", patienceMs, () => this.#ending);
  }

  #wait<T>(what: string, patienceMs: number, attempt: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): boolean => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        finish();
        return true;
      };
      const waiter: Waiter = {
        attempt: () => {
          try {
            const result = attempt();
            return result === undefined ? false : settle(() => resolve(result));
          } catch (error) {
            return settle(() => reject(error));
          }
        },
        fail: (error) => settle(() => reject(error)),
      };
      const timer = setTimeout(() => waiter.fail(this.#disappointed(`${what} for ${patienceMs} ms`)), patienceMs);
      this.#waiters.add(waiter);
      waiter.attempt();
    });
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter.attempt();
  }

  #disappointed(what: string): Error {
    const unread = this.#unread.slice(0, 5).map((frame) => JSON.stringify(frame).slice(0, 300));
    return new Error(
      `${this.#label} waited for ${what}. Unread: ${unread.length === 0 ? "nothing" : unread.join(" ")}`,
    );
  }
}

/** The name of a frame's oneof, e.g. "welcome"; "" for a kind the schema does not know. */
export function kindOf(frame: Frame): string {
  return Object.keys(frame).find((key) => key !== "replyTo" && key !== "ref") ?? "";
}

/** What the frame holds: its one member beside `replyTo`. */
export function contentOf(frame: Frame): JsonObject {
  const content = frame[kindOf(frame)];
  return isObject(content) ? content : {};
}

export function replyTo(frame: Frame): number {
  return number(at(frame, "replyTo"));
}

export type { Json, JsonObject };
