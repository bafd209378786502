// One device that types in one room: opening → live → ended.

import type { Actor } from "../../gen/trunkline/v1/message_pb.js";
import type { SignalTarget } from "./signal-target.js";

export class Typer {
  readonly target: SignalTarget;
  readonly actor: Actor;
  /** A tenant's administrator: what happens to their membership takes nothing from them. */
  readonly administrator: boolean;
  status: "opening" | "live" | "ended" = "opening";
  /** Settles when the typer is live or refused. */
  opening: Promise<void> | undefined;
  /** The room's last event that the right to type was judged on, and when that was, monotonic. */
  authorizedSeq = 0;
  authorizedAtMs = 0;
  /** The same two of the room whose members it has, where that is another. */
  accessSeq = 0;
  lostAccessSeq = 0;
  /** Whether the room is a direct one. */
  direct = false;
  /** The room's last event that ends it, unless it was authorized after. */
  lostSeq = 0;
  /** When it was last said that they type, monotonic. */
  saidAtMs = 0;
  expiresAtMs = 0;
  readonly #ended: () => void;

  constructor(target: SignalTarget, actor: Actor, administrator: boolean, ended: () => void) {
    this.target = target;
    this.actor = actor;
    this.administrator = administrator;
    this.#ended = ended;
  }

  /** Whose device this is, as one word: ids hold no spaces. */
  get key(): string {
    return `${this.actor.userId} ${this.actor.deviceId}`;
  }

  /** What it was judged on may be over: it is judged again when it is said next. */
  doubt(): void {
    this.authorizedAtMs = Number.NEGATIVE_INFINITY;
  }

  end(): void {
    this.status = "ended";
    this.#ended();
  }
}
