// Commands prepared as the application lets them be, where it has a say.

import { TrunklineError } from "../../ports/error.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { AccessGate } from "../hook/access-gate.js";
import type { Proposal, PublishGate } from "../hook/publish-gate.js";
import type { Caller } from "./calls.js";
import type { Command } from "./command.js";
import { permissionOf } from "./permission-of.js";
import { isRepeat, type Preparation, type Prepared } from "./preparation.js";
import type { TurnContext } from "./room.js";

/** Where the application has a say. */
export interface Gates {
  readonly publish: PublishGate | undefined;
  readonly access: AccessGate | undefined;
}

export class Asking {
  readonly #preparation: Preparation;
  readonly #gates: Gates;
  readonly #eventId: TurnContext["eventId"];

  constructor(preparation: Preparation, gates: Gates, eventId: TurnContext["eventId"]) {
    this.#preparation = preparation;
    this.#gates = gates;
    this.#eventId = eventId;
  }

  /** Prepares the command as the application lets it be, where it has a say. */
  prepare(ref: RoomRef, caller: Caller, command: Command): Awaitable<Prepared> {
    const ready = this.#prepare(ref, caller, command);
    if (!this.#isAsked) return ready;
    return isPromise(ready)
      ? ready.then((prepared) => this.#askPrepared(prepared, caller))
      : this.#askPrepared(ready, caller);
  }

  get #isAsked(): boolean {
    return this.#gates.publish !== undefined || this.#gates.access !== undefined;
  }

  #prepare(ref: RoomRef, caller: Caller, command: Command): Awaitable<Prepared> {
    return this.#preparation.prepare(ref, caller, command);
  }

  #askPrepared(prepared: Prepared, caller: Caller): Awaitable<Prepared> {
    const { room, command } = prepared;
    const id = this.#eventId(room.ref, caller.identity.userId, command.key);
    // A repeat is answered with what came of the first, whatever the application would say now.
    if (isRepeat(prepared, id)) return prepared;
    const permission = permissionOf(room.state, caller, command);
    const allowed = permission === undefined ? undefined : this.#gates.access?.require(room.state, caller, permission);
    if (allowed === undefined) return this.#askToPublish(prepared, caller, id);
    return allowed.then(
      async () => {
        const again = await this.#prepare(room.ref, caller, command);
        return isRepeat(again, id) ? again : this.#askToPublish(again, caller, id);
      },
      (refusal: unknown) => this.#refused(prepared, caller, id, refusal),
    );
  }

  #askToPublish(prepared: Prepared, caller: Caller, id: string): Awaitable<Prepared> {
    const { room, command } = prepared;
    const { publish } = this.#gates;
    let proposal: Proposal | undefined;
    try {
      proposal = publish?.proposal(room.state, caller, command);
    } catch (refusal) {
      // Kept for the turn: judged anew then, the command might be allowed that nobody was asked about.
      return { ...prepared, refusal: TrunklineError.from(refusal) };
    }
    if (publish === undefined || proposal === undefined) return prepared;
    // Anything may have happened in the room until the answer comes.
    return publish.approve(id, caller, proposal).then(
      (approved) => this.#prepare(room.ref, caller, approved),
      (refusal: unknown) => this.#refused(prepared, caller, id, refusal),
    );
  }

  /** Rejects with what the application says, unless the change was made meanwhile. */
  async #refused({ room, command }: Prepared, caller: Caller, id: string, refusal: unknown): Promise<Prepared> {
    const again = await this.#prepare(room.ref, caller, command);
    if (isRepeat(again, id)) return again;
    throw refusal;
  }
}
