// What one session says and nobody keeps: where its device types, and the application's own signals.

import { create } from "@bufbuild/protobuf";
import { type Actor, ActorSchema } from "../../gen/trunkline/v1/message_pb.js";
import { type SendSignal, type Signal, SignalSchema, type Typing } from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { roomRef } from "../../ports/room-ref.js";
import type { Caller } from "../room/calls.js";
import { validateId, validateSignal } from "../validate.js";
import type { Typer } from "./signal-target.js";
import type { Signals } from "./signals.js";

/** Rooms in which one device types at the same time: nobody does in as many, and each is remembered for seconds. */
const MAX_ROOMS = 16;

/** A signal that may be sent, once what its lane's earlier frames wait for is done. */
export interface PreparedSignal {
  readonly lane: string;
  readonly send: () => Promise<void>;
}

export class SessionSignals {
  readonly #signals: Signals;
  #caller: Caller;
  #actor: Actor;
  readonly #typing = new Map<string, Typer>();

  constructor(signals: Signals, caller: Caller) {
    this.#signals = signals;
    this.#caller = caller;
    this.#actor = actorOf(caller);
  }

  /** The user has shown another token. */
  set caller(caller: Caller) {
    this.#caller = caller;
    this.#actor = actorOf(caller);
  }

  /** The session has ended. */
  end(): void {
    for (const typer of [...this.#typing.values()]) this.#signals.end(typer);
  }

  /** A message to the room follows: a start before it that is still being judged is over with it. */
  publishing(roomId: string): void {
    if (this.#typing.size === 0) return;
    const typer = this.#typing.get(roomId);
    // Whoever types already goes on until the message is stored.
    if (typer?.status === "opening") this.#signals.end(typer);
  }

  /** Throws, or rejects with, the refusal. Undefined: there is nothing to wait for. */
  typing({ roomId, typing }: Typing): Promise<void> | undefined {
    validateId("typing.room_id", roomId);
    const typer = this.#typing.get(roomId);
    if (!typing) {
      if (typer !== undefined) this.#signals.end(typer);
      return undefined;
    }
    if (typer === undefined) return this.#begin(roomId);
    return typer.status === "live" ? this.#signals.repeat(typer, this.#caller) : typer.opening;
  }

  #begin(roomId: string): Promise<void> | undefined {
    if (this.#typing.size >= MAX_ROOMS) {
      throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "you type in too many rooms at once", {
        details: { limit: String(MAX_ROOMS) },
      });
    }
    const room = roomRef(this.#caller.identity.tenantId, roomId);
    const typer: Typer = this.#signals.begin(room, this.#caller, this.#actor, () => {
      if (this.#typing.get(roomId) === typer) this.#typing.delete(roomId);
    });
    this.#typing.set(roomId, typer);
    return typer.opening;
  }

  /** Throws the refusal, as far as it can be told at once. */
  prepare(frame: SendSignal): PreparedSignal {
    const { target, type, data } = frame;
    validateSignal("send_signal", frame);
    // The data is a view of what the transport has read, and waits longer than that is kept.
    const custom = { type, data: data.slice() };
    const signal: Signal = create(SignalSchema, { sender: this.#actor, kind: { case: "custom", value: custom } });
    if (target.case === "userId") {
      const userId = target.value;
      return { lane: `user ${userId}`, send: () => this.#signals.toUser(userId, this.#caller, signal) };
    }
    const roomId = target.value ?? "";
    const room = roomRef(this.#caller.identity.tenantId, roomId);
    return { lane: roomId, send: () => this.#signals.toRoom(room, this.#caller, signal) };
  }
}

function actorOf({ identity, deviceId }: Caller): Actor {
  return create(ActorSchema, { userId: identity.userId, deviceId, displayName: identity.displayName });
}
