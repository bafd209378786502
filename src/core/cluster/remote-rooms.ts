// Rooms of shards that this node does not own: asked of their owners.

import { create } from "@bufbuild/protobuf";
import { LookSchema } from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { Permission } from "../../gen/trunkline/v1/message_pb.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { PeerReading } from "../archive/peer-reading.js";
import type { CoreDependencies } from "../core.js";
import type { AccessGate } from "../hook/access-gate.js";
import { Buckets } from "../limit/buckets.js";
import type { Caller } from "../room/calls.js";
import { permit } from "../room/permissions.js";
import type { SeenRoom } from "../room/room.js";
import { type Finding, noOwner } from "./finding.js";
import { decodeLooked } from "./looked.js";
import type { PeerAnswers } from "./peer-answers.js";

/** Rooms whose rates are remembered; the one asked for longest ago is forgotten. */
const MAX_RATED = 10_000;

export class RemoteRooms {
  /** What is stored of a room, archived or not. */
  readonly reading: PeerReading;
  readonly #deps: Pick<CoreDependencies, "clock" | "tenants">;
  readonly #finding: Finding;
  readonly #shardOf: (ref: RoomRef) => number;
  readonly #here: PeerAnswers;
  readonly #access: AccessGate | undefined;
  readonly #buckets = new Map<string, Buckets>();

  /** `here`: what this node answers itself where it owns the room after all. */
  constructor(
    deps: Pick<CoreDependencies, "clock" | "tenants">,
    finding: Finding,
    shardOf: (ref: RoomRef) => number,
    here: PeerAnswers,
    access: AccessGate | undefined,
  ) {
    this.#deps = deps;
    this.#finding = finding;
    this.#shardOf = shardOf;
    this.#here = here;
    this.#access = access;
    this.reading = new PeerReading(async (ref, read) => {
      const answer = await finding.ask(shardOf(ref), { case: "read", value: read }, async () => {
        return { case: "read", value: await here.read(ref, read) };
      });
      if (answer.case !== "read") throw noOwner();
      return answer.value;
    });
  }

  /** As RoomOwner's. */
  async view<T>(ref: RoomRef, users: readonly string[], read: (room: SeenRoom) => T): Promise<T> {
    return read(await this.#look(ref, users));
  }

  /** As RoomOwner's. Whether the caller may is judged here: what the application says of it is then known where their session is. */
  async read<T>(ref: RoomRef, caller: Caller, permission: Permission, read: (room: SeenRoom) => T): Promise<T> {
    const users = [caller.identity.userId];
    let room = await this.#look(ref, users);
    const allowed = this.#access?.require(room.state, caller, permission);
    if (allowed !== undefined) {
      await allowed;
      room = await this.#look(ref, users);
    }
    permit(room.state, caller, permission, this.#deps.clock.now());
    return read(room);
  }

  async #look(ref: RoomRef, users: readonly string[]): Promise<SeenRoom> {
    const { tenantId, roomId } = ref;
    const value = create(LookSchema, { room: { tenantId, roomId }, userIds: [...users] });
    const answer = await this.#finding.ask(this.#shardOf(ref), { case: "look", value }, async () => {
      return { case: "looked", value: await this.#here.look(ref, users) };
    });
    if (answer.case !== "looked") throw noOwner();
    const state = decodeLooked(ref, answer.value, users);
    const bucketsOf = (): Buckets => this.#bucketsOf(ref);
    return {
      state,
      get buckets() {
        return bucketsOf();
      },
    };
  }

  /** What this node's callers ask of the room. */
  #bucketsOf({ key, tenantId }: RoomRef): Buckets {
    const buckets = this.#buckets.get(key) ?? new Buckets(this.#deps.tenants, tenantId, "room");
    this.#buckets.delete(key);
    this.#buckets.set(key, buckets);
    const oldest = this.#buckets.size > MAX_RATED ? this.#buckets.keys().next().value : undefined;
    if (oldest !== undefined) this.#buckets.delete(oldest);
    return buckets;
  }
}
