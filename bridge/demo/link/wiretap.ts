// What this tab and the server say to each other: the last frames, and how long answers take.

import type { ClientFrame, ServerFrame } from "../../client/gen/types.js";
import type { Dial } from "../../client/platform.js";
import type { Codec } from "../../client/wire/codec.js";

export interface TappedFrame {
  /** Rises by one with each frame. */
  readonly number: number;
  readonly direction: "out" | "in";
  /** The frame's kind, as the contract names it. */
  readonly kind: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** What it holds, without tokens. */
  readonly frame: ClientFrame | ServerFrame;
  /** Of an answer: how long after its request it came, in milliseconds. */
  readonly tookMs: number | undefined;
}

/** Frames that are kept. */
const MAX_FRAMES = 200;
/** Answers whose time is kept. */
const MAX_TIMES = 60;
/** Requests whose answer is waited for. */
const MAX_ASKED = 1_000;

export class Wiretap {
  readonly #listeners = new Set<() => void>();
  #frames: readonly TappedFrame[] = [];
  #times: readonly number[] = [];
  #count = 0;
  #encoded: { readonly frame: ClientFrame; readonly data: string | Uint8Array } | undefined;
  /** When each request was sent, by its number. Numbers begin anew with each connection. */
  readonly #asked = new Map<number, number>();

  /** The last 200, oldest first. */
  get frames(): readonly TappedFrame[] {
    return this.#frames;
  }

  /** How long the last answers took, in milliseconds, oldest first. */
  get times(): readonly number[] {
    return this.#times;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  clear(): void {
    this.#frames = [];
    this.#tell();
  }

  /** Reads along what goes through the codec. */
  codec(codec: Codec): Codec {
    return {
      ...codec,
      encode: (frame) => {
        const data = codec.encode(frame);
        this.#encoded = { frame, data };
        return data;
      },
      decode: (data) => {
        const frame = codec.decode(data);
        this.#received(frame);
        return frame;
      },
    };
  }

  /** Reads along what is sent. */
  dial(dial: Dial): Dial {
    return (url, subprotocol, listener) => {
      const wire = dial(url, subprotocol, listener);
      return {
        ...(wire.codec && { codec: this.codec(wire.codec) }),
        send: (data) => {
          wire.send(data);
          this.#wentOut(data);
        },
        close: (code) => wire.close(code),
      };
    };
  }

  /** This was sent: what is encoded only to be measured is not. */
  #wentOut(data: string | Uint8Array): void {
    if (this.#encoded?.data !== data) return;
    const { frame } = this.#encoded;
    if (frame.hello !== undefined) this.#asked.clear();
    if (frame.ref !== undefined && this.#asked.size < MAX_ASKED) this.#asked.set(frame.ref, performance.now());
    this.#keep("out", withoutToken(frame), undefined);
  }

  #received(frame: ServerFrame): void {
    const askedAtMs = frame.replyTo === undefined ? undefined : this.#asked.get(frame.replyTo);
    this.#asked.delete(frame.replyTo ?? 0);
    const tookMs = askedAtMs === undefined ? undefined : performance.now() - askedAtMs;
    if (tookMs !== undefined) this.#times = [...this.#times, tookMs].slice(-MAX_TIMES);
    this.#keep("in", frame, tookMs);
  }

  #keep(direction: TappedFrame["direction"], frame: ClientFrame | ServerFrame, tookMs: number | undefined): void {
    const kind = Object.keys(frame).find((key) => key !== "ref" && key !== "replyTo") ?? "";
    const tapped = { number: ++this.#count, direction, kind, atMs: Date.now(), frame, tookMs };
    this.#frames = [...this.#frames.slice(1 - MAX_FRAMES), tapped];
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function withoutToken(frame: ClientFrame): ClientFrame {
  const { hello, refreshToken } = frame;
  if (hello !== undefined) return { ...frame, hello: { ...hello, token: "…" } };
  if (refreshToken !== undefined) return { ...frame, refreshToken: { token: "…" } };
  return frame;
}
