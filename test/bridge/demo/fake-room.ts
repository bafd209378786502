// A world of rooms in memory, just enough for the page: what it holds outlives the bridge in front of it.

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Core } from "../../../src/core/core.js";
import type { Connection, SessionPort, SessionSink } from "../../../src/core/session/port.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import {
  type Body,
  BodySchema,
  type Message,
  MessageCreatedSchema,
  MessageSchema,
  RoomCreatedSchema,
  type RoomEvent,
  RoomEventSchema,
} from "../../../src/gen/trunkline/v1/message_pb.js";
import {
  CreateRoomResponseSchema,
  GetEventsResponseSchema,
  GetHistoryResponseSchema,
  JoinRoomResponseSchema,
  ListMembersResponseSchema,
  ListRoomsResponseSchema,
} from "../../../src/gen/trunkline/v1/room_pb.js";
import {
  type Call,
  type CallResult,
  CaughtUpSchema,
  type ClientFrame,
  GapSchema,
  type Hello,
  type Publish,
  PublishedSchema,
  ReplayingSchema,
  ResetSchema,
  ServerFrameSchema,
  type SignalsSchema,
  SubscribedSchema,
} from "../../../src/gen/trunkline/v1/session_pb.js";
import { EncodedEvent } from "../../../src/ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { FAKE_PRESENCE, FakeCore } from "../fake-core.js";

type ReplyInit = NonNullable<MessageInitShape<typeof ServerFrameSchema>["frame"]>;

interface User {
  readonly userId: string;
  readonly displayName: string;
}

interface Room {
  readonly events: EncodedEvent[];
  readonly members: Set<string>;
  readonly subscribers: Set<FakeSession>;
}

export class FakeWorld implements Pick<Core, "sessions" | "rooms" | "delivery" | "presence" | "authenticate"> {
  readonly delivery = new FakeCore().delivery;
  readonly presence = FAKE_PRESENCE;
  readonly roomsById = new Map<string, Room>();
  readonly live = new Set<FakeSession>();
  /** Every Publish seen: its id and attempt. */
  readonly published: { readonly clientMessageId: string; readonly attempt: number }[] = [];
  /** Store the next message, but let the connection die before it is acknowledged. */
  dieBeforeAck = false;
  /** Every Typing seen. */
  readonly typed: boolean[] = [];
  /** Refuse the next message for a while. */
  refuseOnce = false;
  /** More missed events than this are named as a gap. */
  recoveryLimit = 1_000;
  /** Answer every stated position with reset. */
  reset = false;
  /** The token each user last got, by token. */
  readonly #users = new Map<string, User>();
  #tokens = 0;

  readonly sessions: SessionPort = {
    admit: () => ({ admitted: true }),
    enter: (answer) => {
      answer({ admitted: true });
      return () => {};
    },
    accept: (sink: SessionSink): Connection => new FakeSession(this, sink),
  };

  readonly rooms = { call: () => Promise.reject(new Error("not over HTTP")) };

  authenticate(): Promise<never> {
    return Promise.reject(new Error("not over HTTP"));
  }

  issueToken = async ({ user, name }: { readonly user: string; readonly name: string }): Promise<string> => {
    const token = `token-${++this.#tokens}`;
    this.#users.set(token, { userId: user, displayName: name });
    return token;
  };

  userOf(token: string): User | undefined {
    return this.#users.get(token);
  }

  room(roomId: string): Room {
    const room = this.roomsById.get(roomId);
    if (room === undefined) throw new TrunklineError(ErrorCode.NOT_FOUND, "no such room");
    return room;
  }

  /** The texts stored, in order. */
  texts(roomId: string): string[] {
    return messagesOf(this.room(roomId).events).map(({ body }) => (body?.kind.case === "text" ? body.kind.value : ""));
  }

  /** @param told Who is told of it; default: all who are subscribed. */
  append(roomId: string, user: User, kind: RoomEvent["kind"], told = (_: FakeSession) => true): EncodedEvent {
    const room = this.room(roomId);
    const seq = room.events.length + 1;
    const event = create(RoomEventSchema, {
      eventId: `${roomId}-${seq}`,
      position: { seq, tag: seq * 31 },
      createdAt: timestampFromDate(new Date()),
      actor: user,
      kind,
    });
    const encoded = new EncodedEvent(seq, seq * 31, toBinary(RoomEventSchema, event));
    room.events.push(encoded);
    for (const session of room.subscribers) if (told(session)) session.push(roomId, [encoded]);
    return encoded;
  }

  message(
    roomId: string,
    user: User,
    body: Body | undefined,
    clientMessageId: string,
    told?: (session: FakeSession) => boolean,
  ): EncodedEvent {
    const messageIndex = this.texts(roomId).length + 1;
    const value = create(MessageCreatedSchema, { messageIndex, clientMessageId });
    if (body !== undefined) value.body = body;
    return this.append(roomId, user, { case: "messageCreated", value }, told);
  }

  /** A message from somebody who is not connected. `quietly`: nobody is told. */
  say(roomId: string, displayName: string, text: string, quietly = false): void {
    const user = { userId: displayName.toLowerCase(), displayName };
    const body = create(BodySchema, { kind: { case: "text", value: text } });
    this.message(roomId, user, body, `${displayName}-${this.room(roomId).events.length}`, () => !quietly);
  }

  /** Somebody begins or ends to type. */
  type(roomId: string, sender: User, typing: boolean): void {
    const signals = [{ sender: { ...sender, deviceId: "d" }, kind: { case: "typing", value: typing } as const }];
    for (const session of this.room(roomId).subscribers) session.signal({ roomId, signals });
  }

  endAll(code: CloseCode, reason: string): void {
    for (const session of this.live) session.sink.end(code, reason);
  }
}

class FakeSession implements Connection {
  #user: User = { userId: "", displayName: "" };
  readonly #world: FakeWorld;

  constructor(
    world: FakeWorld,
    readonly sink: SessionSink,
  ) {
    this.#world = world;
    world.live.add(this);
  }

  push(roomId: string, events: readonly EncodedEvent[]): void {
    this.sink.write([this.sink.encoding.roomEvents(roomId, events)]);
  }

  signal(value: Exclude<MessageInitShape<typeof SignalsSchema>, { $typeName: string }>): void {
    this.#reply(0, { case: "signals", value });
  }

  receive({ ref, frame }: ClientFrame): void {
    try {
      if (frame.case === "hello") this.#hello(ref, frame.value);
      else if (frame.case === "refreshToken") this.#refresh(ref, frame.value.token);
      else if (frame.case === "call")
        this.#reply(ref, { case: "callResult", value: { rpc: this.#call(frame.value.rpc) } });
      else if (frame.case === "subscribe") this.#subscribe(ref, frame.value.roomId, frame.value.after?.seq);
      else if (frame.case === "publish") this.#publish(ref, frame.value);
      else if (frame.case === "typing") {
        this.#world.typed.push(frame.value.typing);
        this.#world.type(frame.value.roomId, this.#user, frame.value.typing);
        this.#reply(ref, { case: "done", value: {} });
      } else if (frame.case === "watchPresence") this.#reply(ref, { case: "presenceSnapshot", value: {} });
      else if (frame.case === "ping") this.#reply(ref, { case: "pong", value: {} });
    } catch (cause) {
      const { code, message, retryable } = TrunklineError.from(cause);
      this.#reply(ref, { case: "error", value: { code, message, retryable, retryAfterMs: 10 } });
    }
  }

  malformed(error: Error): void {
    this.sink.end(CloseCode.PROTOCOL_ERROR, error.message);
  }

  drained(): void {}

  leave(): void {
    this.finish();
  }

  finish(): void {
    this.sink.end(CloseCode.UNSPECIFIED, "finished");
  }

  gone(): void {
    this.#world.live.delete(this);
    for (const { subscribers } of this.#world.roomsById.values()) subscribers.delete(this);
  }

  #reply(replyTo: number, frame: ReplyInit): void {
    this.sink.write([this.sink.encoding.frame(create(ServerFrameSchema, { replyTo, frame }))]);
  }

  #hello(ref: number, { token, rooms }: Hello): void {
    const user = this.#world.userOf(token);
    if (user === undefined) {
      this.sink.end(CloseCode.UNAUTHENTICATED, "unknown token");
      return;
    }
    this.#user = user;
    const { userId } = user;
    const limits = { maxInFlight: 32, maxFrameBytes: 65_536 };
    const value = { userId, pingIntervalMs: 25_000, roomsPending: rooms.length, limits };
    this.#reply(ref, { case: "welcome", value });
    for (const { roomId, after } of rooms) this.#subscribe(0, roomId, after?.seq);
  }

  #refresh(ref: number, token: string): void {
    const user = this.#world.userOf(token);
    if (user?.userId !== this.#user.userId) throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "of another user");
    this.#reply(ref, { case: "done", value: {} });
  }

  #subscribe(ref: number, roomId: string, stated: number | undefined): void {
    const room = this.#world.room(roomId);
    const after = stated ?? room.events.length;
    const { reset, recoveryLimit } = this.#world;
    const missed = room.events.slice(after);
    const gap = missed.length > recoveryLimit;
    const top = topOf(room.events);
    const answer = create(SubscribedSchema, { roomId, top, room: { roomId, memberCount: room.members.size } });
    if (reset) answer.outcome = { case: "reset", value: create(ResetSchema, { reason: 1 }) };
    else if (gap)
      answer.outcome = { case: "gap", value: create(GapSchema, { fromSeq: after + 1, toSeq: room.events.length }) };
    else if (missed.length === 0) answer.outcome = { case: "caughtUp", value: create(CaughtUpSchema) };
    else answer.outcome = { case: "replaying", value: create(ReplayingSchema, { count: missed.length }) };
    this.#world.reset = false;
    this.#reply(ref, { case: "subscribed", value: answer });
    if (reset) return;
    room.subscribers.add(this);
    if (missed.length > 0 && !gap) this.push(roomId, missed);
  }

  #publish(ref: number, { roomId, clientMessageId, attempt, body }: Publish): void {
    const world = this.#world;
    const { events } = world.room(roomId);
    world.published.push({ clientMessageId, attempt });
    if (world.refuseOnce) {
      world.refuseOnce = false;
      throw new TrunklineError(ErrorCode.UNAVAILABLE, "busy");
    }
    const known = events.find(
      ({ event: { kind } }) => kind.case === "messageCreated" && kind.value.clientMessageId === clientMessageId,
    );
    const dies = world.dieBeforeAck;
    world.dieBeforeAck = false;
    const { seq, tag, event } =
      known ?? world.message(roomId, this.#user, body, clientMessageId, (session) => !dies || session !== this);
    if (dies) {
      this.sink.end(CloseCode.HEARTBEAT_LOST, "");
      return;
    }
    const { eventId: messageId, createdAt } = event;
    const duplicate = known !== undefined;
    const published = create(PublishedSchema, { messageId, position: { seq, tag }, duplicate });
    if (createdAt !== undefined) published.createdAt = createdAt;
    this.#reply(ref, { case: "published", value: published });
  }

  #call(rpc: Call["rpc"]): CallResult["rpc"] {
    const world = this.#world;
    const user = this.#user;
    switch (rpc.case) {
      case "createRoom": {
        const { roomId } = rpc.value;
        if (world.roomsById.has(roomId)) throw new TrunklineError(ErrorCode.ALREADY_EXISTS, "there already");
        world.roomsById.set(roomId, { events: [], members: new Set([user.userId]), subscribers: new Set() });
        world.append(roomId, user, { case: "roomCreated", value: create(RoomCreatedSchema) });
        return { case: "createRoom", value: create(CreateRoomResponseSchema, { room: { roomId } }) };
      }
      case "joinRoom": {
        const { roomId } = rpc.value;
        world.room(roomId).members.add(user.userId);
        return { case: "joinRoom", value: create(JoinRoomResponseSchema, { room: { roomId } }) };
      }
      case "listRooms": {
        const rooms = [...world.roomsById]
          .filter(([, { members }]) => members.has(user.userId))
          .map(([roomId, { events }]) => {
            const lastMessageIndex = messagesOf(events).length;
            return { room: { roomId, name: roomId, lastMessageIndex, top: topOf(events) } };
          });
        return { case: "listRooms", value: create(ListRoomsResponseSchema, { rooms }) };
      }
      case "listMembers": {
        const members = [...world.room(rpc.value.roomId).members].map((userId) => ({ userId }));
        return { case: "listMembers", value: create(ListMembersResponseSchema, { members }) };
      }
      case "getEvents": {
        const { roomId, fromSeq, toSeq } = rpc.value;
        // Pages of two, so that paging shows.
        const page = world.room(roomId).events.slice(fromSeq - 1, Math.min(toSeq, fromSeq + 1));
        const events = page.map(({ event }) => event);
        return { case: "getEvents", value: create(GetEventsResponseSchema, { events, more: fromSeq + 1 < toSeq }) };
      }
      case "getHistory": {
        const { roomId, from, limit } = rpc.value;
        const before = from.case === "beforeIndex" ? from.value : Number.POSITIVE_INFINITY;
        const { events } = world.room(roomId);
        const older = messagesOf(events).filter(({ messageIndex }) => messageIndex < before);
        const messages = older.slice(-(limit || 50));
        return {
          case: "getHistory",
          value: create(GetHistoryResponseSchema, {
            messages,
            asOf: topOf(events),
            more: older.length > messages.length,
            nextIndex: messages[0]?.messageIndex ?? 0,
          }),
        };
      }
      default:
        throw new TrunklineError(ErrorCode.UNSUPPORTED, "not built");
    }
  }
}

function topOf(events: readonly EncodedEvent[]): { readonly seq: number; readonly tag: number } {
  const { seq = 0, tag = 0 } = events.at(-1) ?? {};
  return { seq, tag };
}

function messagesOf(events: readonly EncodedEvent[]): Message[] {
  return events.flatMap(({ event: { kind, eventId, position, createdAt, actor } }) => {
    if (kind.case !== "messageCreated") return [];
    const message = create(MessageSchema, { messageId: eventId, clientMessageId: kind.value.clientMessageId });
    message.messageIndex = kind.value.messageIndex;
    if (kind.value.body !== undefined) message.body = kind.value.body;
    if (position !== undefined) message.position = position;
    if (createdAt !== undefined) message.createdAt = createdAt;
    if (actor !== undefined) message.sender = actor;
    return [message];
  });
}
