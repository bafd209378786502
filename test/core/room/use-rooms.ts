// The owner of all shards and its RoomService over the memory engine, in stopped time.

import { createHash } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, onTestFinished } from "vitest";
import { EmbeddedSessionDirectory } from "../../../src/adapters/embedded/session-directory.js";
import { Hub } from "../../../src/core/fanout/hub.js";
import { DEFAULT_LIMITS, type Limits } from "../../../src/core/limit/limits.js";
import { TenantLimits } from "../../../src/core/limit/tenants.js";
import { PresenceCore } from "../../../src/core/presence/presence.js";
import { Receipts } from "../../../src/core/receipt/receipts.js";
import type { Caller, RoomRequest, RoomResponse } from "../../../src/core/room/calls.js";
import type { Command, Outcome } from "../../../src/core/room/command.js";
import { RoomOwner } from "../../../src/core/room/owner.js";
import { RoomService } from "../../../src/core/room/service.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import type { RoomEvent } from "../../../src/gen/trunkline/v1/message_pb.js";
import { CallSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import type { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import type { Identity } from "../../../src/ports/token-verifier.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { identity, ScriptedVerifier } from "../use-core.js";

export const TENANT = "acme";

type CallInit = NonNullable<MessageInitShape<typeof CallSchema>["rpc"]>;
type Asked = Exclude<CallInit, { case: undefined }>;
type Method = RoomResponse["case"];
type RequestOf<M extends Method> = Extract<Asked, { case: M }>["value"];
type RoomInit = Partial<Exclude<RequestOf<"createRoom">, { $typeName: string }>>;
type ResponseOf<M extends Method> = Extract<RoomResponse, { case: M }>["value"];

export interface RoomsOptions {
  readonly engine?: MemoryEngine;
  readonly limits?: Partial<Limits>;
}

/** Somebody of the tenant. */
export function user(userId: string, differing: Partial<Identity> = {}): Caller {
  return { identity: identity(userId, { tenantId: TENANT, ...differing }), deviceId: `${userId}-phone` };
}

/** An administrator of the tenant. */
export function administrator(userId: string): Caller {
  return user(userId, { grants: new Set(["admin"]) });
}

export class TestRooms {
  readonly clock = new StoppedClock();
  readonly telemetry = new Telemetry();
  readonly engine: MemoryEngine;
  readonly #limits: Limits;
  owner: RoomOwner;
  service: RoomService;
  hub: Hub;
  receipts: Receipts;

  constructor({ engine = new MemoryEngine(), limits = {} }: RoomsOptions) {
    this.engine = engine;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    // Not at zero: a wall clock that shows 1970 hides what is compared with an absent time.
    this.clock.advance(1_790_000_000_000);
    [this.owner, this.receipts, this.service, this.hub] = this.#build();
  }

  get deps() {
    return {
      log: this.engine.log,
      archive: this.engine.archive,
      fanout: this.engine.fanout,
      directory: new EmbeddedSessionDirectory({ archive: this.engine.archive, clock: this.clock }),
      verifier: new ScriptedVerifier(),
      clock: this.clock,
      ids: {
        random: () => "random",
        digest: (of: string) => createHash("sha256").update(of).digest("base64url").slice(0, 22),
      },
      telemetry: this.telemetry,
      limits: this.#limits,
      tenants: new TenantLimits(this.#limits),
      load: () => 0,
    };
  }

  #build(): [RoomOwner, Receipts, RoomService, Hub] {
    const owner = new RoomOwner(this.deps);
    const receipts = new Receipts(this.deps, owner);
    const rooms = new RoomService(this.deps, owner, receipts, new PresenceCore(this.deps, owner));
    return [owner, receipts, rooms, new Hub(this.deps, (ref) => owner.view(ref, [], ({ state }) => state.seq))];
  }

  /** The process dies and a new one opens the same store. */
  async restart(): Promise<void> {
    this.engine.crash();
    this.owner.close();
    this.hub.stop();
    void this.receipts.stop();
    [this.owner, this.receipts, this.service, this.hub] = this.#build();
    await this.owner.start();
  }

  /** Calls a method of RoomService. */
  async ask<M extends Method>(caller: Caller, method: M, value: RequestOf<M>): Promise<ResponseOf<M>> {
    const response = await this.service.call(caller, request({ case: method, value } as Asked));
    return responseOf(response, method);
  }

  /** A group of ada, its owner, and these members, unless the request says otherwise. */
  async room(roomId: string, differing: RoomInit = {}): Promise<string> {
    const asked = { roomId, key: `create-${roomId}`, attempt: 1, ...differing };
    const { room } = await this.ask(user("ada"), "createRoom", asked);
    return room?.roomId ?? "";
  }

  /** Submits any command; answers with its outcome. */
  submit(caller: Caller, roomId: string, command: Command): Promise<Outcome> {
    return this.owner.submit(roomRef(TENANT, roomId), caller, command).outcome;
  }

  /** Publishes a text. `submit` returns at once; its outcome comes with the log. */
  publish(caller: Caller, roomId: string, key: string, attempt = 1, words = `text of ${key}`): Promise<Outcome> {
    return this.owner.submit(roomRef(TENANT, roomId), caller, {
      kind: "publish",
      key,
      attempt,
      body: { $typeName: "trunkline.v1.Body", kind: { case: "text", value: words } },
      replyTo: "",
      threadRoot: "",
      mentions: [],
      metadata: undefined,
    }).outcome;
  }

  /** Everything the archive holds of the room. */
  async events(roomId: string): Promise<readonly RoomEvent[]> {
    const range = { from: 1, to: 0xffff_ffff, limit: 1_000_000, maxBytes: Number.POSITIVE_INFINITY };
    const stored = await this.engine.archive.events(roomRef(TENANT, roomId), range);
    return stored.map(({ event }) => event);
  }

  /** The kinds of the room's events, in order. */
  async kinds(roomId: string): Promise<readonly (string | undefined)[]> {
    return (await this.events(roomId)).map(({ kind }) => kind.case);
  }
}

/** A started owner with its service. It is closed when the test ends. */
export async function useRooms(options: RoomsOptions = {}): Promise<TestRooms> {
  const rooms = new TestRooms(options);
  await rooms.owner.start();
  onTestFinished(() => {
    rooms.owner.close();
    rooms.hub.stop();
    void rooms.receipts.stop();
  });
  return rooms;
}

/** Fails unless the promise is refused with this code, and with these facts where given. */
export async function expectRefusal(
  refused: Promise<unknown>,
  code: ErrorCode,
  facts: { readonly field?: string; readonly details?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  await expect(refused).rejects.toMatchObject({ name: "TrunklineError", code, ...facts });
}

function request(rpc: Asked): RoomRequest {
  const call = create(CallSchema, { rpc });
  if (call.rpc.case === undefined) throw new Error("no method is set");
  return call.rpc;
}

function responseOf<M extends Method>(response: RoomResponse, method: M): ResponseOf<M> {
  const answer: AnyResponse = response;
  if (!isOf(answer, method)) throw new Error(`asked ${method}, answered ${response.case}`);
  return answer.value;
}

interface AnyResponse {
  readonly case: string;
  readonly value?: unknown;
}

function isOf<M extends Method>(
  response: AnyResponse,
  method: M,
): response is { readonly case: M; readonly value: ResponseOf<M> } {
  return response.case === method;
}
