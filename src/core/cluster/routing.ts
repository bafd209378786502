// A node among several: its own shards answer for their rooms, and everything else is asked of the shards' owners.

import type { PeerQuestion, PeerReply } from "../../ports/peers.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { answerRead } from "../archive/peer-reading.js";
import type { ClusterParts, CoreDependencies } from "../core.js";
import type { AccessGate } from "../hook/access-gate.js";
import type { Caller } from "../room/calls.js";
import type { Command, Outcome } from "../room/command.js";
import { shardOf } from "../room/position.js";
import type { Shard } from "../room/shard.js";
import type { Submission } from "../room/turns.js";
import { Lanes } from "../session/lanes.js";
import { CommandQueue, laneOf } from "./command-queue.js";
import { Finding } from "./finding.js";
import { encodeLooked } from "./looked.js";
import type { PeerAnswers } from "./peer-answers.js";
import { RemoteRooms } from "./remote-rooms.js";

/** Longest wait of what another node asks for a shard that is being opened, in milliseconds. */
const OPENING_DEADLINE_MS = 1_000;

export class Routing {
  readonly #clock: CoreDependencies["clock"];
  readonly #shards: readonly Shard[];
  readonly #finding: Finding;
  readonly #queues: readonly CommandQueue[];
  readonly #remote: RemoteRooms;
  /** What one device asks of one room begins in order. */
  readonly #lanes = new Lanes();
  /** By shard, what others wait for who ask about its rooms. */
  readonly #openings = new Map<number, { readonly waited: Promise<void>; end(): void }>();
  #stopped = false;
  /** What this node answers for its own shards: others are refused, as by whoever is not the owner. */
  readonly answers: PeerAnswers;

  constructor(deps: CoreDependencies, cluster: ClusterParts, shards: readonly Shard[], access: AccessGate | undefined) {
    this.#shards = shards;
    const { clock } = deps;
    this.#clock = clock;
    this.#finding = new Finding(cluster, clock, (shard) => shards[shard]?.isOpen === true);
    const here = (ref: RoomRef, caller: Caller, command: Command) => this.#submit(ref, caller, command);
    this.#queues = shards.map(
      (_, shard) => new CommandQueue({ shard, clock, peers: cluster.peers, finding: this.#finding, here }),
    );
    this.#finding.onChanged(() => {
      for (const queue of this.#queues) queue.changed();
    });
    this.answers = {
      look: (ref, users) =>
        this.#opened(ref, () => this.#shard(ref).view(ref, users, ({ state }) => encodeLooked(state, users))),
      read: (ref, read) => this.#opened(ref, () => answerRead(this.#shard(ref).reading, read)),
      submit: (ref, caller, command) => this.#opened(ref, () => this.#submit(ref, caller, command).outcome),
    };
    this.#remote = new RemoteRooms(deps, this.#finding, (ref) => this.#index(ref), this.answers, access);
  }

  /** Where commands of the room's shard wait for their turn; undefined: this node's shard takes them, and none waits. */
  queueOf(ref: RoomRef): CommandQueue | undefined {
    const index = this.#index(ref);
    const queue = this.#queues[index];
    return queue?.idle === true && this.#isHere(index) ? undefined : queue;
  }

  /** Where the room is read; undefined: this node's shard may answer. */
  elsewhere(ref: RoomRef): RemoteRooms | undefined {
    return this.#isHere(this.#index(ref)) ? undefined : this.#remote;
  }

  /** As RoomOwner's. */
  ask(ref: RoomRef, question: PeerQuestion, here: () => Promise<PeerReply>): Promise<PeerReply> {
    return this.#finding.ask(this.#index(ref), question, here);
  }

  /** Shards may have other owners, or this node has opened one. */
  changed(): void {
    this.#finding.changed();
  }

  /** Refuses what waits. */
  stop(): void {
    this.#stopped = true;
    for (const queue of this.#queues) queue.stop();
    for (const { end } of this.#openings.values()) end();
    this.#finding.stop();
  }

  #submit(ref: RoomRef, caller: Caller, command: Command): Submission {
    const lane = laneOf(ref, caller, command);
    if (lane === undefined) return this.#shard(ref).submit(ref, caller, command);
    const outcome = Promise.withResolvers<Outcome>();
    const turned = Promise.withResolvers<void>();
    this.#lanes.run(lane, () => {
      const submitted = this.#shard(ref).submit(ref, caller, command);
      submitted.outcome.then(outcome.resolve, outcome.reject);
      if (submitted.turned === undefined) turned.resolve();
      else void submitted.turned.then(() => turned.resolve());
      return submitted.turned;
    });
    return { turned: turned.promise, outcome: outcome.promise };
  }

  /** Answers at once, or when the room's shard has been opened, if that is under way: in the order of the calls. */
  #opened<T>(ref: RoomRef, answer: () => Promise<T>): Promise<T> {
    const index = this.#index(ref);
    const opening = this.#openings.get(index)?.waited ?? this.#untilOpened(index);
    // Where it is not open by then, the answer says so.
    return opening === undefined ? answer() : opening.then(answer);
  }

  /** Undefined: it is not being opened. */
  #untilOpened(index: number): Promise<void> | undefined {
    const opening = this.#shards[index]?.opening;
    if (opening === undefined || this.#stopped) return undefined;
    const waited = Promise.withResolvers<void>();
    const timer = this.#clock.after(OPENING_DEADLINE_MS, waited.resolve);
    opening.then(waited.resolve, waited.resolve);
    this.#openings.set(index, { waited: waited.promise, end: waited.resolve });
    // Before all who wait, who go on right after: whoever comes in between comes after them.
    void waited.promise.then(() => {
      timer.cancel();
      this.#openings.delete(index);
    });
    return waited.promise;
  }

  #isHere(shard: number): boolean {
    return this.#finding.ownerOf(shard) === "here";
  }

  #shard(ref: RoomRef): Shard {
    const shard = this.#shards[this.#index(ref)];
    if (shard === undefined) throw new Error("a store has at least one shard");
    return shard;
  }

  #index({ key }: RoomRef): number {
    return shardOf(key, this.#shards.length);
  }
}
