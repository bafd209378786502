// A core that does what a test tells it, and remembers what the bridge told it.

import { EventEmitter, once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { FramePassing } from "../../src/core/cluster/frame-passing.js";
import type { Core } from "../../src/core/core.js";
import type { Caller, RoomRequest, RoomResponse } from "../../src/core/room/calls.js";
import type {
  Admission,
  ClientFrame,
  Connection,
  ConnectionOrigin,
  SessionPort,
  SessionSink,
} from "../../src/core/session/port.js";
import {
  DeleteMessageResponseSchema,
  EditMessageResponseSchema,
  SendToRoomResponseSchema,
  SendToUsersResponseSchema,
  SignalResponseSchema,
  type TailResponse,
} from "../../src/gen/trunkline/v1/delivery_pb.js";
import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import * as rpc from "../../src/gen/trunkline/v1/presence_pb.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";

export interface Malformed {
  readonly error: TrunklineError;
  readonly undecodable: boolean;
  readonly ref: number | undefined;
}

/** One accepted connection, from the core's side. */
export class FakeConnection implements Connection {
  readonly frames: ClientFrame[] = [];
  readonly faults: Malformed[] = [];
  drains = 0;
  finished = false;
  /** Told to leave: with which delay. */
  left: number | undefined;
  /** Undefined: still there. */
  clean: boolean | undefined;
  readonly #changes = new EventEmitter();

  constructor(
    readonly sink: SessionSink,
    readonly origin: ConnectionOrigin,
    readonly endsFinished: boolean,
  ) {}

  receive(frame: ClientFrame): void {
    this.frames.push(frame);
    this.#changes.emit("change");
  }

  malformed(error: TrunklineError, undecodable: boolean, ref?: number): void {
    this.faults.push({ error, undecodable, ref });
    this.#changes.emit("change");
  }

  drained(): void {
    this.drains++;
    this.#changes.emit("change");
  }

  finish(): void {
    this.finished = true;
    if (this.endsFinished) this.sink.end(CloseCode.UNSPECIFIED, "finished");
    this.#changes.emit("change");
  }

  leave(reconnectAfterMs: number): void {
    this.left = reconnectAfterMs;
    if (this.endsFinished) this.sink.end(CloseCode.GOING_AWAY, "leaving");
    this.#changes.emit("change");
  }

  gone(clean: boolean): void {
    this.clean = clean;
    this.#changes.emit("change");
  }

  /** Resolves once the condition holds. */
  async until(condition: (connection: FakeConnection) => boolean): Promise<void> {
    while (!condition(this)) await once(this.#changes, "change");
  }
}

export class FakeSessions implements SessionPort {
  admission: Admission = { admitted: true };
  asked = 0;
  /** Whether a connection whose client has finished is ended at once. */
  endsFinished = false;
  readonly connections: FakeConnection[] = [];
  readonly #accepts = new EventEmitter();

  admit(): Admission {
    this.asked++;
    return this.admission;
  }

  /** Those that are held, while `holds` says so: each by what answers it. */
  readonly held = new Set<(admission: Admission) => void>();
  holds = false;

  enter(answer: (admission: Admission) => void): () => void {
    if (this.holds) this.held.add(answer);
    else answer(this.admit());
    return () => this.held.delete(answer);
  }

  accept(sink: SessionSink, origin: ConnectionOrigin): Connection {
    const connection = new FakeConnection(sink, origin, this.endsFinished);
    this.connections.push(connection);
    this.#accepts.emit("accept");
    return connection;
  }

  /** The nth connection accepted, from 0. */
  async connection(index = 0): Promise<FakeConnection> {
    for (;;) {
      const connection = this.connections[index];
      if (connection !== undefined) return connection;
      await once(this.#accepts, "accept");
    }
  }
}

/** Knows nobody. */
export const FAKE_PRESENCE: Core["presence"] = {
  getPresence: async () => create(rpc.GetPresenceResponseSchema),
  watchPresence: () => {
    throw new TrunklineError(ErrorCode.UNSUPPORTED, "watchPresence is not built");
  },
  setPresence: async () => create(rpc.SetPresenceResponseSchema),
  listOnline: async () => create(rpc.ListOnlineResponseSchema),
  listSessions: async () => create(rpc.ListSessionsResponseSchema),
  closeSession: async () => create(rpc.CloseSessionResponseSchema),
  closeUser: async () => create(rpc.CloseUserResponseSchema),
};

export class FakeCore
  implements Pick<Core, "sessions" | "passing" | "rooms" | "delivery" | "presence" | "authenticate">
{
  readonly sessions = new FakeSessions();
  readonly passing = new FramePassing({ ids: { random: () => "", digest: (text) => text } });
  readonly calls: { readonly caller: Caller; readonly request: RoomRequest }[] = [];
  /** Answers room calls. */
  answer: (request: RoomRequest) => Promise<RoomResponse> = (request) =>
    Promise.reject(new TrunklineError(ErrorCode.UNSUPPORTED, `${request.case} is not built`));

  readonly rooms = {
    call: (caller: Caller, request: RoomRequest): Promise<RoomResponse> => {
      this.calls.push({ caller, request });
      return this.answer(request);
    },
  };

  /** What was asked of DeliveryService, by method. */
  readonly delivered: { readonly caller: Caller; readonly method: string }[] = [];
  /** Answers a tail; told the signal that ends it. */
  tail: (signal: AbortSignal) => AsyncIterable<TailResponse> = () => {
    throw new TrunklineError(ErrorCode.UNSUPPORTED, "tail is not built");
  };

  readonly delivery: Core["delivery"] = {
    sendToRoom: (caller) => this.#delivered(caller, "sendToRoom", create(SendToRoomResponseSchema, { messageId: "m" })),
    sendToUsers: (caller) => this.#delivered(caller, "sendToUsers", create(SendToUsersResponseSchema)),
    signal: (caller) => this.#delivered(caller, "signal", create(SignalResponseSchema)),
    editMessage: (caller) => this.#delivered(caller, "editMessage", create(EditMessageResponseSchema)),
    deleteMessage: (caller) => this.#delivered(caller, "deleteMessage", create(DeleteMessageResponseSchema)),
    getDeliveryStatus: () => Promise.reject(new TrunklineError(ErrorCode.UNSUPPORTED, "it is not built")),
    tail: (caller, _request, signal) => {
      this.delivered.push({ caller, method: "tail" });
      return this.tail(signal);
    },
  };

  async #delivered<T>(caller: Caller, method: string, response: T): Promise<T> {
    this.delivered.push({ caller, method });
    return response;
  }

  readonly presence = FAKE_PRESENCE;

  async authenticate(token: string): Promise<Caller> {
    const userId = /^good-(\w+)$/.exec(token)?.[1];
    if (userId === undefined) throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "the token does not verify");
    const identity = {
      tenantId: "demo",
      userId,
      displayName: userId,
      grants: new Set<string>(),
      expiresAtMs: undefined,
      tokenId: "",
    };
    return { identity, deviceId: "" };
  }
}
