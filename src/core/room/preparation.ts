// Whatever must wait before a command's turn: its room, who it concerns, the messages it names, whether it was done before.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { TrunklineError } from "../../ports/error.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { CoreDependencies } from "../core.js";
import type { TenantRooms } from "../limit/tenant-rooms.js";
import type { ActorDependencies, Actors } from "./actors.js";
import type { Blocks } from "./blocks.js";
import type { Caller } from "./calls.js";
import { type Command, messagesOf, pairOf, usersOf } from "./command.js";
import { loadMessages, missingOf } from "./message-loading.js";
import { recentIds } from "./recent-ids.js";
import type { Room, TurnContext } from "./room.js";

/** A command whose turn may come. */
export interface Prepared {
  readonly room: Room;
  readonly command: Command;
  /** The event that this key made before. */
  readonly found: EncodedEvent | undefined;
  /** What the room says to it. */
  readonly refusal?: TrunklineError;
}

/** Whether the change of this id has been made. */
export function isRepeat({ room, found }: Prepared, id: string): boolean {
  return found !== undefined || room.recent.find(id) !== undefined;
}

/** Whether messages that a command names must be read first. */
export function lacksMessages(room: Room, command: Command): boolean {
  return missingOf(room, messagesOf(command), command.kind === "deleteMessage") !== undefined;
}

type Dependencies = ActorDependencies & Pick<CoreDependencies, "log">;

export class Preparation {
  readonly #deps: Dependencies;
  readonly #actors: Actors;
  readonly #blocks: Blocks;
  readonly #tenantRooms: TenantRooms;
  readonly #eventId: TurnContext["eventId"];

  constructor(
    deps: Dependencies,
    actors: Actors,
    blocks: Blocks,
    tenantRooms: TenantRooms,
    eventId: TurnContext["eventId"],
  ) {
    this.#deps = deps;
    this.#actors = actors;
    this.#blocks = blocks;
    this.#tenantRooms = tenantRooms;
    this.#eventId = eventId;
  }

  prepare(ref: RoomRef, caller: Caller, command: Command): Awaitable<Prepared> {
    try {
      const room = this.#actors.load(ref, usersOf(caller, command));
      return isPromise(room)
        ? room.then((loaded) => this.#prepareLoaded(loaded, caller, command))
        : this.#prepareLoaded(room, caller, command);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #prepareLoaded(room: Room, caller: Caller, command: Command): Awaitable<Prepared> {
    const loading = command.kind === "create" ? this.#loadOthers(room) : this.#loadMessages(room, command);
    if (loading === undefined) return this.#prepareBlocks(room, caller, command);
    return loading.then(() => this.#prepareBlocks(room, caller, command));
  }

  /** Loads which other rooms there are, as far as a new one's turn is judged on them. Undefined: it is known. */
  #loadOthers(room: Room): PromiseLike<void> | undefined {
    const counted = this.#tenantRooms.ready(room.ref.tenantId);
    const listed = this.#loadSubRooms(room);
    return counted === undefined || listed === undefined ? (counted ?? listed) : counted.then(() => listed);
  }

  /** Loads which rooms are under the root that another is to be made under. Undefined: it is known. */
  #loadSubRooms({ root }: Room): PromiseLike<void> | undefined {
    if (root === undefined || root.state.subRooms.loaded) return undefined;
    const { subRooms } = root.state;
    const stored = this.#deps.archive.subRooms(root.ref, { after: "", limit: this.#deps.limits.maxSubRooms });
    if (isPromise(stored)) return stored.then((found) => subRooms.load(found));
    subRooms.load(stored);
    return undefined;
  }

  /** Asks whether the users of a direct room have blocked one another. */
  #prepareBlocks(room: Room, caller: Caller, command: Command): Awaitable<Prepared> {
    const [one, other] = pairOf(caller, command, room.state.directUsers);
    if (one === undefined || other === undefined) return this.#lookUp(room, caller, command);
    const blocked = this.#blocks.between(room.ref.tenantId, one, other);
    const known = (is: boolean): Awaitable<Prepared> => {
      room.state.blocked = is;
      return this.#lookUp(room, caller, command);
    };
    return isPromise(blocked) ? blocked.then(known) : known(blocked);
  }

  #loadMessages(room: Room, command: Command): PromiseLike<void> | undefined {
    return loadMessages(this.#deps.archive, room, messagesOf(command), command.kind === "deleteMessage");
  }

  /** Asks the archive for a repeat where memory cannot tell. */
  #lookUp(room: Room, caller: Caller, command: Command): Awaitable<Prepared> {
    const { recent } = room;
    const first = command.attempt <= 1;
    const learning = first ? this.#learn(room) : undefined;
    if (learning !== undefined) return learning.then(() => this.#lookUp(room, caller, command));
    const conclusive = first && recent.isConclusive(this.#deps.clock.monotonic());
    if (conclusive && !recent.knowsStored) return { room, command, found: undefined };
    const id = this.#eventId(room.ref, caller.identity.userId, command.key);
    if (recent.find(id) !== undefined) return { room, command, found: undefined };
    if (conclusive && !recent.isStored(id)) return { room, command, found: undefined };
    const seq = this.#deps.archive.seqOf(room.ref, id);
    if (isPromise(seq)) return seq.then((found) => this.#fetch(room, command, found));
    return this.#fetch(room, command, seq);
  }

  /** Reads once what was changed before the room was this owner's, where asking each time takes another service. Undefined: it is done. */
  #learn(room: Room): Promise<void> | undefined {
    const { recent } = room;
    const { archive, log, clock } = this.#deps;
    if (log.archivesOnAppend || recent.isConclusive(clock.monotonic())) return undefined;
    if (recent.learned) return undefined;
    recent.learning ??= recentIds(archive, room, clock.now())
      .then((ids) => recent.learn(ids))
      .finally(() => {
        recent.learning = undefined;
      });
    return recent.learning;
  }

  #fetch(room: Room, command: Command, seq: number | undefined): Awaitable<Prepared> {
    if (seq === undefined) return { room, command, found: undefined };
    const events = this.#deps.archive.events(room.ref, { from: seq, to: seq, limit: 1, maxBytes: 1 });
    if (isPromise(events)) return events.then(([found]) => ({ room, command, found }));
    return { room, command, found: events[0] };
  }
}
