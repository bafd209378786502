// What goes over the connection: the last frames, how much it was, and how long answers take.

import type { ClientFrame, ServerFrame } from "../../client/gen/types.js";
import type { Codec } from "../../client/wire/codec.js";

export interface TappedFrame {
  /** Rises by one with each frame. */
  readonly number: number;
  readonly direction: "out" | "in";
  /** The frame's kind, as the contract names it. */
  readonly kind: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly bytes: number;
  /** What it holds, without tokens. */
  readonly frame: ClientFrame | ServerFrame;
  /** Of an answer: how long after its request it came, in milliseconds. */
  readonly tookMs: number | undefined;
}

export interface Traffic {
  readonly frames: number;
  readonly bytes: number;
}

/** Frames that are kept. */
const MAX_FRAMES = 200;
/** Answers whose time is kept. */
const MAX_TIMES = 60;
/** Requests whose answer is waited for. */
const MAX_ASKED = 1_000;
const NONE: Traffic = { frames: 0, bytes: 0 };

export class Wiretap {
  readonly #listeners = new Set<() => void>();
  #frames: readonly TappedFrame[] = [];
  #times: readonly number[] = [];
  #count = 0;
  #out = NONE;
  #in = NONE;
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

  get sent(): Traffic {
    return this.#out;
  }

  get received(): Traffic {
    return this.#in;
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
        this.#received(frame, typeof data === "string" ? data.length : data.byteLength);
        return frame;
      },
    };
  }

  /** This was sent: what is encoded only to be measured is not. */
  wentOut(data: string | Uint8Array): void {
    if (this.#encoded?.data !== data) return;
    const { frame } = this.#encoded;
    if (frame.hello !== undefined) this.#asked.clear();
    if (frame.ref !== undefined && this.#asked.size < MAX_ASKED) this.#asked.set(frame.ref, performance.now());
    this.#out = { frames: this.#out.frames + 1, bytes: this.#out.bytes + data.length };
    this.#keep("out", withoutToken(frame), data.length, undefined);
  }

  #received(frame: ServerFrame, bytes: number): void {
    const askedAtMs = frame.replyTo === undefined ? undefined : this.#asked.get(frame.replyTo);
    this.#asked.delete(frame.replyTo ?? 0);
    const tookMs = askedAtMs === undefined ? undefined : performance.now() - askedAtMs;
    if (tookMs !== undefined) this.#times = [...this.#times, tookMs].slice(-MAX_TIMES);
    this.#in = { frames: this.#in.frames + 1, bytes: this.#in.bytes + bytes };
    this.#keep("in", frame, bytes, tookMs);
  }

  #keep(
    direction: TappedFrame["direction"],
    frame: ClientFrame | ServerFrame,
    bytes: number,
    tookMs: number | undefined,
  ): void {
    const kind = Object.keys(frame).find((key) => key !== "ref" && key !== "replyTo") ?? "";
    const tapped = { number: ++this.#count, direction, kind, atMs: Date.now(), bytes, frame, tookMs };
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
