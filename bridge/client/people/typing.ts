// Who is typing in a room: says that this user is, and shows who else is. Nothing of it is kept, and any of it may be lost.

import { isFinal } from "../error.js";
import type { Listener } from "../events.js";
import type { Actor, ClientFrame, ServerFrame, Signal } from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";
import { Changes } from "./changes.js";

export interface TypingUser {
  readonly userId: string;
  /** The user's display name, or empty. */
  readonly name: string;
}

export interface TypingContext {
  readonly platform: Pick<Platform, "after" | "monotonic">;
  readonly request: (frame: ClientFrame) => Promise<ServerFrame>;
  readonly post: (frame: ClientFrame) => void;
  readonly live: () => boolean;
  /** The user that was last connected. */
  readonly self: () => Actor;
}

/** Between two frames that say the same. */
const REPEAT_MS = 3_000;
/** From the last `start` to its end. The server counts as long from the last frame. */
const IDLE_MS = 5_000;
/** For so long somebody is shown without being heard of. */
const SHOWN_MS = 6_000;
/** For so long nothing is said after it was refused for good: the user is muted, or the room is too large. */
const REFUSED_MS = 60_000;
/** Devices that are shown at once, at most. */
const MAX_DEVICES = 1_000;

interface Typer extends TypingUser {
  /** Until when each of the user's devices types. */
  readonly devices: Map<string, number>;
}

export class RoomTyping {
  readonly #roomId: string;
  readonly #context: TypingContext;
  readonly #changes: Changes<readonly TypingUser[]>;
  readonly #typers = new Map<string, Typer>();
  #users: readonly TypingUser[] = [];
  #expiry: Timer | undefined;
  #repeat: Timer | undefined;
  #startedAtMs = -Infinity;
  #saidAtMs = -Infinity;
  #silentUntilMs = -Infinity;

  constructor(roomId: string, context: TypingContext) {
    this.#roomId = roomId;
    this.#context = context;
    this.#changes = new Changes(context.platform, () => this.#users);
  }

  /** Other users who are typing now, those first who began first. The same array until it changes. */
  get users(): readonly TypingUser[] {
    return this.#users;
  }

  /** Calls `listener` whenever `users` has changed; returns what ends that. */
  onChange(listener: Listener<readonly TypingUser[]>): () => void {
    return this.#changes.on(listener);
  }

  /**
   * The user types: call it with each key. It is said at once and then every 3 s at most, and ends 5 s after the last call, with `stop`, or with
   * the user's next message. Does nothing while there is no connection, and for a minute after the server has refused it.
   */
  start(): void {
    const { live, platform } = this.#context;
    const nowMs = platform.monotonic();
    if (!live() || nowMs < this.#silentUntilMs) return;
    this.#startedAtMs = nowMs;
    if (this.#repeat === undefined || nowMs - this.#saidAtMs >= REPEAT_MS) this.#say();
  }

  /** The user no longer types: the text is empty, or was put aside. */
  stop(): void {
    // Of what is over the server knows by itself.
    const shown = this.#context.platform.monotonic() - this.#saidAtMs < IDLE_MS;
    this.#rest();
    if (shown) this.#context.post({ typing: { roomId: this.#roomId } });
  }

  // — for the room —

  /** @internal */
  get listened(): boolean {
    return this.#changes.heard;
  }

  /** A message of the user is on its way: the server ends it with that. @internal */
  sent(): void {
    this.#rest();
  }

  /** @internal */
  signalled({ sender = {}, typing }: Signal): void {
    const { userId = "", deviceId = "", displayName = "" } = sender;
    if (typing === undefined || userId === this.#context.self().userId) return;
    const typer = this.#typers.get(userId);
    if (typing) {
      if (typer === undefined && this.#typers.size >= MAX_DEVICES) return;
      const devices = typer?.devices ?? new Map<string, number>();
      if (!devices.has(deviceId) && devices.size >= MAX_DEVICES) return;
      devices.set(deviceId, this.#context.platform.monotonic() + SHOWN_MS);
      if (typer?.name !== displayName) {
        this.#typers.set(userId, { userId, name: displayName, devices });
        this.#changed();
      }
      this.#expire();
    } else if (typer?.devices.delete(deviceId) === true && typer.devices.size === 0) this.said(userId);
  }

  /** The user has said it. @internal */
  said(userId: string): void {
    if (this.#typers.delete(userId)) this.#changed();
  }

  /** The room is no longer heard. @internal */
  left(): void {
    this.#rest();
    this.#expiry?.cancel();
    this.#expiry = undefined;
    if (this.#typers.size === 0) return;
    this.#typers.clear();
    this.#changed();
  }

  // — this user —

  #say(): void {
    const { platform, request } = this.#context;
    const typing = { typing: { roomId: this.#roomId, typing: true } };
    this.#saidAtMs = platform.monotonic();
    request(typing).catch((error: unknown) => {
      if (!isFinal(error)) return;
      this.#rest();
      this.#silentUntilMs = platform.monotonic() + REFUSED_MS;
    });
    this.#wait(this.#saidAtMs + REPEAT_MS);
  }

  #wait(untilMs: number): void {
    const { platform } = this.#context;
    this.#repeat?.cancel();
    this.#repeat = platform.after(untilMs - platform.monotonic(), () => {
      this.#repeat = undefined;
      const nowMs = platform.monotonic();
      if (nowMs - this.#startedAtMs >= IDLE_MS) this.stop();
      // Whoever typed on has it said again; whoever paused may go on.
      else if (this.#startedAtMs > this.#saidAtMs) this.#say();
      else this.#wait(this.#startedAtMs + IDLE_MS);
    });
  }

  #rest(): void {
    this.#repeat?.cancel();
    this.#repeat = undefined;
    this.#saidAtMs = -Infinity;
    this.#startedAtMs = -Infinity;
  }

  // — the others —

  #changed(): void {
    this.#users = Array.from(this.#typers.values(), ({ userId, name }) => ({ userId, name }));
    this.#changes.changed();
  }

  #expire(): void {
    if (this.#expiry !== undefined) return;
    const { platform } = this.#context;
    let nextMs = Infinity;
    for (const { devices } of this.#typers.values())
      for (const untilMs of devices.values()) nextMs = Math.min(nextMs, untilMs);
    if (nextMs === Infinity) return;
    this.#expiry = platform.after(nextMs - platform.monotonic(), () => {
      this.#expiry = undefined;
      const nowMs = platform.monotonic();
      for (const { userId, devices } of this.#typers.values()) {
        for (const [deviceId, untilMs] of devices) if (untilMs <= nowMs) devices.delete(deviceId);
        if (devices.size === 0) this.said(userId);
      }
      this.#expire();
    });
  }
}
