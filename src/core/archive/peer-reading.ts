// A room read at another node, which owns it.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type NoticedEvent, NoticedEventSchema } from "../../gen/trunkline/cluster/v1/fanout_pb.js";
import {
  type Read,
  type ReadAnswer,
  ReadAnswerSchema,
  ReadSchema,
  StoredMessageSchema,
  type StoredMessage as WireMessage,
} from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { EventRange, MessageRange, Page, StoredMessage } from "../../ports/archive.js";
import { EncodedEvent } from "../../ports/encoded-event.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import { notKnownHere } from "../room/unavailable.js";
import type { RoomReading } from "./room-reading.js";

type What = Exclude<MessageInitShape<typeof ReadSchema>, { $typeName: string }>["what"];

/** Asks a room's owner; rejects with its refusal. */
export type AskOwner = (room: RoomRef, read: Read) => Promise<ReadAnswer>;

export class PeerReading implements RoomReading {
  readonly #ask: AskOwner;

  constructor(ask: AskOwner) {
    this.#ask = ask;
  }

  async room(room: RoomRef) {
    return (await this.#read(room, { case: "document", value: {} })).room;
  }

  async member(room: RoomRef, userId: string) {
    return (await this.#read(room, { case: "member", value: { userId } })).members[0];
  }

  async members(room: RoomRef, { after, limit }: Page) {
    return (await this.#read(room, { case: "members", value: { after, limit: Math.max(limit, 0) } })).members;
  }

  async subRooms(root: RoomRef, { after, limit }: Page) {
    return (await this.#read(root, { case: "subRooms", value: { after, limit: Math.max(limit, 0) } })).roomIds;
  }

  async events(room: RoomRef, { from, to, limit, maxBytes }: EventRange) {
    const value = { from, to, limit: Math.max(limit, 0), maxBytes: wireBytes(maxBytes) };
    return (await this.#read(room, { case: "events", value })).events.map(encodedEvent);
  }

  async seqOf(room: RoomRef, eventId: string) {
    return (await this.#read(room, { case: "seq", value: { eventId } })).number;
  }

  async message(room: RoomRef, messageId: string) {
    const [message] = (await this.#read(room, { case: "message", value: { messageId } })).messages;
    return message && storedMessage(message);
  }

  async messages(room: RoomRef, range: MessageRange) {
    const from =
      "beforeIndex" in range
        ? ({ case: "beforeIndex", value: Math.max(range.beforeIndex, 0) } as const)
        : ({ case: "afterIndex", value: range.afterIndex } as const);
    const value = { from, limit: Math.max(range.limit, 0) };
    return (await this.#read(room, { case: "messages", value })).messages.map(storedMessage);
  }

  async hidden(inbox: RoomRef, roomId: string, from: number, to: number) {
    return (await this.#read(inbox, { case: "hidden", value: { roomId, from, to } })).indexes;
  }

  async sentBy(room: RoomRef, userId: string, afterIndex: number, throughIndex: number) {
    return (await this.#read(room, { case: "sentBy", value: { userId, afterIndex, throughIndex } })).number ?? 0;
  }

  #read(room: RoomRef, what: What): Promise<ReadAnswer> {
    const { tenantId, roomId } = room;
    return this.#ask(room, create(ReadSchema, { room: { tenantId, roomId }, ...(what === undefined ? {} : { what }) }));
  }
}

/** Answers for a room of this node. */
export async function answerRead(reading: RoomReading, { room: asked, what }: Read): Promise<ReadAnswer> {
  const room = roomRef(asked?.tenantId ?? "", asked?.roomId ?? "");
  const answer = create(ReadAnswerSchema);
  switch (what.case) {
    case "document":
      answer.room = await reading.room(room);
      break;
    case "member":
      answer.members = listOf(await reading.member(room, what.value.userId));
      break;
    case "members":
      answer.members = [...(await reading.members(room, what.value))];
      break;
    case "subRooms":
      answer.roomIds = [...(await reading.subRooms(room, what.value))];
      break;
    case "events": {
      const { from, to, limit, maxBytes } = what.value;
      const range = { from, to, limit, maxBytes: maxBytes === 0 ? Number.POSITIVE_INFINITY : maxBytes };
      answer.events = (await reading.events(room, range)).map(noticedEvent);
      break;
    }
    case "seq":
      answer.number = await reading.seqOf(room, what.value.eventId);
      break;
    case "message":
      answer.messages = listOf(await reading.message(room, what.value.messageId)).map(wireMessage);
      break;
    case "messages": {
      const { from, limit } = what.value;
      const range: MessageRange =
        from.case === "beforeIndex" ? { beforeIndex: from.value, limit } : { afterIndex: from.value ?? 0, limit };
      answer.messages = (await reading.messages(room, range)).map(wireMessage);
      break;
    }
    case "hidden": {
      const { roomId, from, to } = what.value;
      answer.indexes = [...(await reading.hidden(room, roomId, from, to))];
      break;
    }
    case "sentBy": {
      const { userId, afterIndex, throughIndex } = what.value;
      answer.number = await reading.sentBy(room, userId, afterIndex, throughIndex);
      break;
    }
    case undefined:
      // Of a newer node.
      throw notKnownHere("read.what");
  }
  return answer;
}

function listOf<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}

/** At least one byte: 0 stands for no limit. */
function wireBytes(maxBytes: number): number {
  return maxBytes >= 2 ** 32 ? 0 : Math.max(Math.floor(maxBytes), 1);
}

function noticedEvent({ seq, tag, bytes }: EncodedEvent): NoticedEvent {
  return create(NoticedEventSchema, { seq, tag, event: bytes });
}

/** Its bytes are a view of the message they came in, which is nobody else's. */
function encodedEvent({ seq, tag, event }: NoticedEvent): EncodedEvent {
  return new EncodedEvent(seq, tag, event);
}

function wireMessage({ messageIndex, created, document }: StoredMessage): WireMessage {
  return create(StoredMessageSchema, {
    messageIndex,
    ...(created === undefined ? {} : { created: noticedEvent(created) }),
    ...(document === undefined ? {} : { document }),
  });
}

function storedMessage({ messageIndex, created, document }: WireMessage): StoredMessage {
  return { messageIndex, created: created && encodedEvent(created), document };
}
