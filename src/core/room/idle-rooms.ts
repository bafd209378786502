// Archives rooms that nobody uses any more. There is no timer per room: the archive keeps when to look at which, a look finds out since when
// the room is idle, and the room judges in its turn whether that is still so. Each node looks at the rooms of its own shards.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { RoomDocument } from "../../gen/trunkline/store/v1/documents_pb.js";
import { RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type { IdleLook } from "../../ports/archive.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import type { Caller } from "./calls.js";
import type { Command, Outcome } from "./command.js";
import { archiveAfterMs, lookAtMs, MIN_ARCHIVE_AFTER_MS } from "./idle.js";
import { systemOf } from "./inbox.js";
import type { OwnedShards } from "./owned-shards.js";
import { Rounds } from "./rounds.js";

/** How late a room may be archived: little beside the minute that it is idle at least. */
const INTERVAL_MS = 5_000;
/** Looks in one go: the next go follows when these are done. */
const BATCH = 200;
/** Goes of one round: what is left waits for the next. */
const MAX_GOES = 50;
/** Documents of one page of the walk through all rooms, and pages of one round. */
const WALKED = 500;
const WALKED_PAGES = 5;
/** Whoever has it walks through the rooms of all shards, and asks for looks that the others make. */
const WALKING_SHARD = 0;

export class IdleRooms {
  readonly #deps: CoreDependencies;
  readonly #submit: (ref: RoomRef, caller: Caller, command: Command) => Promise<Outcome>;
  readonly #owned: OwnedShards;
  readonly #rounds: Rounds;
  /** How far the walk has come that makes a changed default known to rooms that nobody touches. */
  #walk: { readonly revision: number; readonly after: string | undefined } | undefined;

  constructor(
    deps: CoreDependencies,
    submit: (ref: RoomRef, caller: Caller, command: Command) => Promise<Outcome>,
    owned: OwnedShards,
  ) {
    this.#deps = deps;
    this.#submit = submit;
    this.#owned = owned;
    // What fails is found again: a look stays in the archive until it is done.
    const round = () => this.#round();
    this.#rounds = new Rounds(deps, { intervalMs: INTERVAL_MS, what: "archiving idle rooms", round });
  }

  start(): void {
    this.#rounds.start();
  }

  stop(): void {
    this.#rounds.stop();
  }

  async #round(): Promise<void> {
    for (let page = 0; page < WALKED_PAGES && !this.#rounds.stopped; page++) await this.#walkOn();
    for (let go = 0; go < MAX_GOES && !this.#rounds.stopped; go++) {
      const due = await this.#deps.archive.idleLooks(this.#owned.all, this.#deps.clock.now(), BATCH);
      if (due.length === 0) return;
      const looked = await Promise.allSettled(due.map(({ room }) => this.#look(room)));
      const retryMs = this.#deps.clock.now() + MIN_ARCHIVE_AFTER_MS;
      const next = due.flatMap(({ room }, index): IdleLook[] => {
        const look = looked[index];
        // One room that fails does not hold up the others.
        const atMs = look?.status === "fulfilled" ? look.value : retryMs;
        return atMs === undefined ? [] : [{ room, atMs }];
      });
      await this.#deps.archive.moveIdleLooks(due, next);
      const failed = looked.find((look) => look.status === "rejected");
      if (failed !== undefined) throw failed.reason;
      if (due.length < BATCH) return;
    }
  }

  /** Answers with when to look again; undefined: not before the room is changed. */
  async #look(ref: RoomRef): Promise<number | undefined> {
    const { archive, clock, tenants } = this.#deps;
    const document = await archive.room(ref);
    const afterMs = archiveAfterMs(document?.room, tenants.of(ref.tenantId));
    if (document === undefined || afterMs === undefined) return undefined;
    const activeAtMs = await this.#activeAtMs(ref, document);
    const nowMs = clock.now();
    if (activeAtMs + afterMs > nowMs) return lookAtMs(activeAtMs, afterMs, nowMs);
    // To archive it makes another version, so that each is archived once at most.
    const key = `~idle.${document.room?.version}`;
    const command: Command = { kind: "archiveIdle", key, attempt: 1, activeAtMs };
    const { room } = await this.#submit(ref, systemOf(ref), command);
    return room?.status === RoomStatus.ARCHIVED ? undefined : nowMs + MIN_ARCHIVE_AFTER_MS;
  }

  /** The last that happened in the room, or in those under it. */
  async #activeAtMs(ref: RoomRef, document: RoomDocument): Promise<number> {
    const { archive, limits } = this.#deps;
    let activeAtMs = await this.#ownActiveAtMs(ref, document);
    for (const roomId of await archive.subRooms(ref, { after: "", limit: limits.maxSubRooms })) {
      const under = roomRef(ref.tenantId, roomId);
      const found = await archive.room(under);
      if (found !== undefined) activeAtMs = Math.max(activeAtMs, await this.#ownActiveAtMs(under, found));
    }
    return activeAtMs;
  }

  async #ownActiveAtMs(ref: RoomRef, { activeAtMs, appliedSeq, room }: RoomDocument): Promise<number> {
    if (activeAtMs > 0) return activeAtMs;
    // Stored before that was noted: its last event says it, whatever it was.
    const range = { from: appliedSeq, to: appliedSeq, limit: 1, maxBytes: 1 };
    const [last] = await this.#deps.archive.events(ref, range);
    const at = last?.event.createdAt ?? room?.createdAt;
    return at === undefined ? 0 : timestampMs(at);
  }

  /** A page of the walk, where there is one to be made: rooms follow a default that was set or shortened after they were made. */
  async #walkOn(): Promise<void> {
    const { archive, clock, tenants } = this.#deps;
    const { revision } = tenants;
    if (!this.#owned.has(WALKING_SHARD)) {
      // Another node walks, from the beginning; so does this one where the shard comes back.
      this.#walk = undefined;
      return;
    }
    if (this.#walk?.revision !== revision) this.#walk = { revision, after: walks(this.#deps) ? "" : undefined };
    const { after } = this.#walk;
    if (after === undefined) return;
    const documents = await archive.rooms({ after, limit: WALKED });
    const nowMs = clock.now();
    const looks: IdleLook[] = [];
    for (const { tenantId, room, activeAtMs } of documents) {
      const afterMs = archiveAfterMs(room, tenants.of(tenantId));
      if (room === undefined || afterMs === undefined) continue;
      looks.push({ room: roomRef(tenantId, room.roomId), atMs: lookAtMs(activeAtMs, afterMs, nowMs) });
    }
    if (looks.length > 0) await archive.moveIdleLooks([], looks);
    const last = documents.at(-1);
    const more = last?.room !== undefined && documents.length === WALKED;
    this.#walk = { revision, after: more ? roomRef(last.tenantId, last.room?.roomId ?? "").key : undefined };
  }
}

/** Where only rooms say so themselves, each has asked for its look. */
function walks({ tenants }: CoreDependencies): boolean {
  return tenants.some((limits) => limits.archiveAfterMs > 0);
}
