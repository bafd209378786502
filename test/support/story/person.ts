// Somebody in a story: connects with a device, remembers where they are in each room, and tells the room as they see it.

import {
  at,
  type Connection,
  isArray,
  isObject,
  type JsonObject,
  kindOf,
  TestClient,
  type Transport,
  text,
} from "../client/index.js";
import type { TestServer } from "../server.js";
import { signToken } from "../token.js";

export interface PersonOptions {
  readonly device?: string;
  readonly transport?: Transport;
}

/** A room as its reader has put it together from events. */
interface Page {
  position: JsonObject | undefined;
  readonly lines: Map<string, { by: string; says: string }>;
}

export class Person {
  readonly name: string;
  readonly #server: Pick<TestServer, "endpoints" | "issuer">;
  readonly #device: string;
  readonly #transport: Transport;
  readonly #pages = new Map<string, Page>();
  #connection: Connection | undefined;
  #inboxId = "";
  readonly #noticed: JsonObject[] = [];
  #attempt = 0;
  #keys = 0;

  constructor(server: Pick<TestServer, "endpoints" | "issuer">, name: string, options: PersonOptions = {}) {
    this.#server = server;
    this.name = name;
    this.#device = options.device ?? `${name}'s device`.replaceAll(/[^a-z]/g, "-");
    this.#transport = options.transport ?? "websocket-json";
  }

  /** Connects, and goes on in every room from where they were. */
  async comes(): Promise<this> {
    const client = new TestClient(this.#transport, this.#server.endpoints);
    const connection = await client.connect({ label: this.name });
    this.#connection = connection;
    const token = signToken(this.#server.issuer, { user: this.name });
    const rooms = [...this.#pages].map(([roomId, { position }]) => ({ roomId, after: position ?? {} }));
    const hello = { token, device: { deviceId: this.#device }, attempt: ++this.#attempt, protocol: 1, rooms };
    const welcome = this.#expect(await connection.request({ hello }), "welcome");
    this.#inboxId = text(at(welcome, "inboxRoomId"));
    return this;
  }

  /** Closes the laptop, or drives into a tunnel. */
  vanishes(): void {
    this.#there.destroy();
    this.#connection = undefined;
  }

  leaves(): void {
    this.#there.close();
    this.#connection = undefined;
  }

  async makes(roomId: string, more: JsonObject = {}): Promise<void> {
    await this.calls({ createRoom: { roomId, key: this.#key(), ...more } });
  }

  /** A call of RoomService; fails unless it is answered. */
  async calls(call: JsonObject): Promise<JsonObject> {
    return this.#expect(await this.#there.request({ call }), "callResult");
  }

  /** Begins to read a room: all of it, or from now on. */
  async reads(roomId: string, from: "the beginning" | "now" = "the beginning"): Promise<void> {
    const after: JsonObject = from === "now" ? {} : { after: { seq: 0, tag: 0 } };
    this.#pages.set(roomId, { position: undefined, lines: new Map() });
    this.#expect(await this.#there.request({ subscribe: { roomId, ...after } }), "subscribed");
  }

  /** Says something and gets its message_id. */
  async says(roomId: string, words: string, more: JsonObject = {}): Promise<string> {
    const publish = { roomId, clientMessageId: this.#key(), attempt: 1, body: { text: words }, ...more };
    return text(at(this.#expect(await this.#there.request({ publish }), "published"), "messageId"));
  }

  /** Sends any frame and gets the reply's content; fails unless the reply is of this kind. */
  async asks(frame: JsonObject, reply: string): Promise<JsonObject> {
    return this.#expect(await this.#there.request(frame), reply);
  }

  /** Sends any frame and gets whatever the reply is. */
  async tries(frame: JsonObject): Promise<JsonObject> {
    return await this.#there.request(frame);
  }

  /** Is refused: the error's code, without its prefix. */
  async isRefused(frame: JsonObject): Promise<string> {
    return text(at(this.#expect(await this.#there.request(frame), "error"), "code")).replace("ERROR_CODE_", "");
  }

  async edits(roomId: string, messageId: string, words: string): Promise<void> {
    const editMessage = { roomId, messageId, key: this.#key(), body: { text: words } };
    await this.asks({ editMessage }, "changed");
  }

  async deletes(roomId: string, messageId: string): Promise<void> {
    await this.asks({ deleteMessage: { roomId, messageId, key: this.#key() } }, "changed");
  }

  async reactsTo(roomId: string, messageId: string, emoji: string): Promise<void> {
    await this.asks({ react: { roomId, messageId, key: this.#key(), emoji, on: true } }, "changed");
  }

  /** Follows who of these is there; answers with those who are. */
  async watches(...names: readonly string[]): Promise<readonly string[]> {
    const { presences } = await this.asks({ watchPresence: { userIds: names } }, "presenceSnapshot");
    return isArray(presences) ? presences.map((presence) => text(at(presence, "userId"))) : [];
  }

  async setsStatus(status: string, words = ""): Promise<void> {
    await this.asks({ setPresence: { status: `PRESENCE_STATUS_${status}`, text: words } }, "done");
  }

  /** What they are told next of somebody they watch: the status, and the text where there is one. */
  async notices(name: string): Promise<string> {
    for (;;) {
      const index = this.#noticed.findIndex(({ userId }) => userId === name);
      const [found] = index < 0 ? [] : this.#noticed.splice(index, 1);
      if (found !== undefined) {
        return `${text(found.status).replace("PRESENCE_STATUS_", "")} ${text(found.text)}`.trim();
      }
      const presences = at(await this.#there.next("presenceChanges"), "presenceChanges", "presences");
      if (isArray(presences)) this.#noticed.push(...presences.filter(isObject));
    }
  }

  /** Has read a room up to here. */
  async hasRead(roomId: string): Promise<void> {
    const position = this.#pages.get(roomId)?.position;
    await this.asks({ mark: { roomId, read: position ?? {} } }, "done");
  }

  /** The first so many events of their inbox after its creation; waits for those that are still on their way. */
  async inbox(count: number): Promise<readonly JsonObject[]> {
    const roomId = this.#inboxId;
    this.#expect(await this.#there.request({ subscribe: { roomId, after: { seq: 0, tag: 0 } } }), "subscribed");
    const events: JsonObject[] = [];
    while (events.length <= count) {
      const frame = await this.#there.next("roomEvents", (content) => content.roomId === roomId);
      const more = at(frame, "roomEvents", "events");
      if (isArray(more)) events.push(...more.filter(isObject));
    }
    return events.slice(1);
  }

  /** A frame of this kind that has come or comes. */
  async hears(kind: string, match: (content: JsonObject) => boolean = () => true): Promise<JsonObject> {
    return this.#expect(await this.#there.next(kind, match), kind);
  }

  /** Reads on until the room shows these lines, `name: words` each, in order; fails when it does not come to that. */
  async sees(roomId: string, ...lines: readonly string[]): Promise<void> {
    const wanted = lines.join("\n");
    while (this.page(roomId).join("\n") !== wanted) {
      let frame: JsonObject;
      try {
        frame = await this.#there.next("roomEvents", (content) => content.roomId === roomId);
      } catch (cause) {
        throw new Error(`${this.name} sees:\n${this.page(roomId).join("\n")}\nand not:\n${wanted}`, { cause });
      }
      this.#turn(roomId, frame);
    }
  }

  /** The room as it stands for them now. */
  page(roomId: string): readonly string[] {
    return [...(this.#pages.get(roomId)?.lines.values() ?? [])].map(({ by, says }) => `${by}: ${says}`);
  }

  #turn(roomId: string, frame: JsonObject): void {
    const page = this.#pages.get(roomId);
    const events = at(frame, "roomEvents", "events");
    if (page === undefined || !isArray(events)) throw new Error(`${this.name} does not read ${roomId}`);
    for (const event of events) {
      const position = at(event, "position");
      page.position = { seq: at(position, "seq") ?? 0, tag: at(position, "tag") ?? 0 };
      const id = text(at(event, "eventId"));
      const by = text(at(event, "actor", "userId"));
      const created = at(event, "messageCreated");
      if (created !== undefined) page.lines.set(id, { by, says: text(at(created, "body", "text")) });
      const edited = at(event, "messageEdited");
      const line = page.lines.get(text(at(edited, "messageId")));
      if (line !== undefined) line.says = text(at(edited, "body", "text"));
      page.lines.delete(text(at(event, "messageDeleted", "messageId")));
    }
  }

  get #there(): Connection {
    if (this.#connection === undefined) throw new Error(`${this.name} is not there`);
    return this.#connection;
  }

  #key(): string {
    return `${this.#device}-${++this.#keys}`;
  }

  #expect(frame: JsonObject, kind: string): JsonObject {
    const content = at(frame, kind);
    if (
      kindOf(frame) !== kind ||
      content === undefined ||
      typeof content !== "object" ||
      isArray(content) ||
      content === null
    )
      throw new Error(`${this.name} wanted ${kind} and got ${JSON.stringify(frame)}`);
    return content;
  }
}
