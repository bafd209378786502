// A session with Trunkline: says Hello, waits until its rooms are subscribed, answers pings, matches replies to requests.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Error as Refusal } from "../../src/gen/trunkline/v1/error_pb.js";
import type { Position } from "../../src/gen/trunkline/v1/message_pb.js";
import {
  type Call,
  type CallResult,
  CallSchema,
  type ClientFrame,
  type Goodbye,
  HelloSchema,
  type Markers,
  PongSchema,
  type ServerFrame,
  type Subscribed,
} from "../../src/gen/trunkline/v1/session_pb.js";
import { clientFrame, type Dial, type Wire } from "./wire.js";

export interface SessionOptions {
  readonly token: string;
  readonly deviceId: string;
  readonly attempt: number;
  readonly rooms: readonly { readonly roomId: string; readonly after?: Position }[];
  /** A frame that holds RoomEvents. Bytes are valid during the call only. */
  readonly events?: (buffer: Buffer, start: number, end: number) => void;
  /** See WireEvents.raw. */
  readonly raw?: (buffer: Buffer, start: number, end: number) => boolean;
  readonly markers?: (markers: Markers) => void;
  /** A refusal of what was not asked for with `ask` or `call`. True: it was dealt with. */
  readonly refused?: (ref: number, error: Refusal) => boolean;
  /** What the server says before it ends the session; `failed` follows. */
  readonly goodbye?: (goodbye: Goodbye) => void;
  /** The session ended without `destroy`, or was refused something it did not ask for with `call`. */
  readonly failed: (reason: string) => void;
}

export interface Session {
  readonly wire: Wire;
  /** Requests without an answer that the server allows. */
  readonly maxInFlight: number;
  /** The outcome of each room of the Hello. */
  readonly subscribed: readonly Subscribed[];
  /** Sends a frame and resolves with the frame that answers it; rejects when it is refused. */
  ask(frame: ClientFrame["frame"]): Promise<ServerFrame["frame"]>;
  /** Calls a method of RoomService; rejects when it is refused. */
  call(rpc: MessageInitShape<typeof CallSchema>["rpc"]): Promise<CallResult>;
  destroy(): void;
}

const HELLO_REF = 1;

/** Opens a session; resolves when every room of the Hello is subscribed. */
export async function openSession(dial: Dial, options: SessionOptions): Promise<Session> {
  const opening = Promise.withResolvers<void>();
  const asked = new Map<number, PromiseWithResolvers<ServerFrame["frame"]>>();
  const subscribed: Subscribed[] = [];
  let maxInFlight = 1;
  let pending = -1;
  let lastRef = HELLO_REF;

  const wire = await dial({
    events: options.events ?? (() => undefined),
    ...(options.raw === undefined ? {} : { raw: options.raw }),
    frame: received,
    closed: fail,
  });
  wire.write(wire.encode(clientFrame(HELLO_REF, { case: "hello", value: createHello(options) })));
  await opening.promise;
  return {
    wire,
    maxInFlight,
    subscribed,
    ask,
    async call(rpc) {
      const answer = await ask({ case: "call", value: createCall(rpc) });
      if (answer.case !== "callResult") throw new Error(`a call was answered by ${answer.case}`);
      return answer.value;
    },
    destroy() {
      wire.destroy();
      fail("destroyed", true);
    },
  };

  function ask(frame: ClientFrame["frame"]): Promise<ServerFrame["frame"]> {
    const ref = ++lastRef;
    const answer = Promise.withResolvers<ServerFrame["frame"]>();
    asked.set(ref, answer);
    wire.write(wire.encode(clientFrame(ref, frame)));
    return answer.promise;
  }

  function received(frame: ServerFrame): void {
    const { frame: content, replyTo } = frame;
    const answer = asked.get(replyTo);
    asked.delete(replyTo);
    if (answer !== undefined && content.case !== "error") {
      answer.resolve(content);
      return;
    }
    switch (content.case) {
      case "welcome":
        maxInFlight = content.value.limits?.maxInFlight ?? 1;
        pending = content.value.roomsPending;
        settle();
        return;
      case "subscribed":
        subscribed.push(content.value);
        settle();
        return;
      case "ping":
        wire.write(wire.encode(clientFrame(0, { case: "pong", value: create(PongSchema, { id: content.value.id }) })));
        return;
      case "markers":
        options.markers?.(content.value);
        return;
      case "error": {
        if (answer === undefined && options.refused?.(replyTo, content.value) === true) return;
        const reason = `refused: ${content.value.code} ${content.value.field} ${content.value.message}`;
        if (answer === undefined) fail(reason);
        else answer.reject(new Error(reason));
        return;
      }
      case "goodbye":
        options.goodbye?.(content.value);
        fail(`goodbye ${content.value.reason} ${content.value.error?.message ?? ""}`);
        return;
      default:
        return;
    }
  }

  function settle(): void {
    if (pending >= 0 && subscribed.length >= pending) opening.resolve();
  }

  function fail(reason: string, intended = false): void {
    opening.reject(new Error(`no session: ${reason}`));
    for (const answer of asked.values()) answer.reject(new Error(reason));
    asked.clear();
    if (!intended) options.failed(reason);
  }
}

function createHello(options: SessionOptions) {
  return create(HelloSchema, {
    token: options.token,
    device: { deviceId: options.deviceId },
    attempt: options.attempt,
    protocol: 1,
    rooms: options.rooms.map(({ roomId, after }) => (after === undefined ? { roomId } : { roomId, after })),
  });
}

function createCall(rpc: MessageInitShape<typeof CallSchema>["rpc"]): Call {
  return create(CallSchema, rpc === undefined ? {} : { rpc });
}
