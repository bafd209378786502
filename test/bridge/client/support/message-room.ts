// A room of messages at the scripted server. What becomes of them is left to the fold of the real server.

import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import type {
  ClientFrame,
  GetHistoryRequest,
  Message,
  MessageCreated,
  RoomEvent,
  ServerFrame,
} from "../../../../bridge/client/gen/types.js";
import { RoomMessages } from "../../../../src/core/message/room-messages.js";
import { MessageSchema, RoomEventSchema } from "../../../../src/gen/trunkline/v1/message_pb.js";
import type { Answering, Server } from "./server.js";

export class MessageRoom {
  readonly id: string;
  readonly #server: Server;
  readonly #fold: RoomMessages;
  /** By messageIndex - 1. */
  readonly #ids: string[] = [];
  readonly #expired = new Set<string>();
  readonly #answers = new Map<string, ServerFrame>();
  /** Of each key the numbers of the attempts that came, in order. */
  readonly attempts = new Map<string, number[]>();

  constructor(server: Server, id: string) {
    this.#server = server;
    this.id = id;
    this.#fold = new RoomMessages(id);
    const before = server.answers;
    server.answers = (frame) => this.#answering(frame) ?? before(frame);
  }

  /** As GetHistory shows them, all of them. */
  get messages(): readonly Message[] {
    return this.#ids.filter((id) => !this.#expired.has(id)).map((id) => this.#message(id));
  }

  get texts(): readonly (string | undefined)[] {
    return this.messages.map(({ body }) => body?.text);
  }

  /** The message, from the oldest on and around; undefined: there is none that says something. */
  pick(number: number): Message | undefined {
    const speaking = this.messages.filter(({ deleted }) => !deleted);
    return speaking[number % speaking.length];
  }

  say(userId: string, created: MessageCreated): RoomEvent {
    return this.do(userId, { messageCreated: { ...created, messageIndex: this.#ids.length + 1 } });
  }

  /** Everybody who is subscribed is told. */
  do(userId: string, what: Omit<RoomEvent, "eventId" | "position" | "actor" | "createdAt">): RoomEvent {
    const createdAt = new Date(this.#server.world.nowMs).toISOString().replace(".000Z", "Z");
    const event = this.#server.room(this.id).append({ ...what, createdAt, actor: { userId } });
    const json: JsonValue = JSON.parse(JSON.stringify(event));
    this.#fold.apply(fromJson(RoomEventSchema, json));
    if (event.messageCreated !== undefined) this.#ids.push(event.eventId ?? "");
    if (event.messageDeleted?.expired) this.#expired.add(event.messageDeleted.messageId ?? "");
    for (const session of this.#server.sessions) session.tell(this.id, event);
    return event;
  }

  #message(id: string): Message {
    const message = this.#fold.get(id);
    if (message === undefined) throw new Error(`there is no message ${id}`);
    return JSON.parse(JSON.stringify(toJson(MessageSchema, message)));
  }

  #answering({ publish, call }: ClientFrame): Answering | undefined {
    if (publish?.roomId === this.id) {
      const { clientMessageId = "", attempt = 0, body, replyTo, threadRoot } = publish;
      const attempts = this.attempts.get(clientMessageId) ?? [];
      this.attempts.set(clientMessageId, [...attempts, attempt]);
      const answer = (): ServerFrame =>
        this.#once(clientMessageId, () => {
          const { eventId, position, createdAt, messageCreated } = this.say("ada", {
            ...{ clientMessageId, body, replyTo, threadRoot },
          });
          return { messageId: eventId, position, createdAt, messageIndex: messageCreated?.messageIndex };
        });
      return { kind: "publish", roomId: this.id, answer };
    }
    if (call?.getHistory?.roomId === this.id) {
      // Of when it came: what is told afterwards may arrive before.
      const frame = this.#history(call.getHistory);
      return { kind: "getHistory", roomId: `${this.id} history`, answer: () => frame };
    }
    return undefined;
  }

  #once(key: string, run: () => NonNullable<ServerFrame["published"]>): ServerFrame {
    const before = this.#answers.get(key);
    if (before !== undefined) return { published: { ...before.published, duplicate: true } };
    const frame = { published: run() };
    this.#answers.set(key, frame);
    return frame;
  }

  #history({ beforeIndex = 0, limit = 50 }: GetHistoryRequest): ServerFrame {
    const end = Math.min((beforeIndex || this.#ids.length + 1) - 1, this.#ids.length);
    const begin = Math.max(end - limit, 0);
    const page = this.#ids.slice(begin, end).filter((id) => !this.#expired.has(id));
    const messages = page.map((id) => this.#message(id));
    const asOf = this.#server.room(this.id).top;
    const nextIndex = end === begin ? 0 : begin + 1;
    return { callResult: { getHistory: { messages, asOf, more: begin > 0, nextIndex } } };
  }
}
