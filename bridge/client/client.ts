// The client: one session, and the rooms that the application wants of it.

import { RefusedError } from "./error.js";
import { Emitter, type Listener } from "./events.js";
import type { FallbackMemory } from "./fallback/choose.js";
import type {
  Actor,
  Call,
  CallResult,
  ClientFrame,
  Device,
  Publish,
  Published,
  RoomPosition,
  RoomTop,
  ServerFrame,
  Signal,
} from "./gen/types.js";
import { Outbox, type OutboxOptions } from "./outbox/outbox.js";
import type { Sending } from "./outbox/sending.js";
import type { OutboxStorage } from "./outbox/storage.js";
import { People } from "./people/people.js";
import type { ClientPresence } from "./people/presence.js";
import type { Platform } from "./platform.js";
import type { Room } from "./room/room.js";
import { Rooms } from "./room/rooms.js";
import type { RoomList } from "./rooms/list.js";
import { Session, type TokenProvider } from "./session/session.js";
import type { ConnectionState } from "./session/state.js";
import type { Codec } from "./wire/codec.js";

export interface ClientOptions {
  /** Where the bridge is: `https://chat.example.com` or, in a page that it serves, `/`. Several: tried in turn. */
  readonly url: string | readonly string[];
  /** The user's token, asked for at each connection and before it expires. */
  readonly token: TokenProvider;
  /** This device. Without an id it has one for as long as the client lives: give one that is kept. */
  readonly device?: Device;
  /** Connects when it is made. Default true. */
  readonly autoConnect?: boolean;
  /**
   * "shared": the tabs of this browser that have the same `url` and user are one device, whose id the browser keeps, and share one connection. "own":
   * each tab is a device with a connection of its own. Default "shared", where the browser can (it has Web Locks and BroadcastChannel, and the page
   * is a secure context); outside of pages, and elsewhere, always "own".
   */
  readonly tabs?: "shared" | "own";
  /** How changes are kept until the server has answered them. */
  readonly outbox?: OutboxOptions;
  /**
   * Where it is kept that WebSockets do not get through: the connection is then made by server-sent events and requests, and WebSockets
   * are tried again after ten minutes. Default: `sessionStorage` where there is one. False: WebSockets only.
   */
  readonly fallback?: FallbackMemory | false;
}

export interface ClientParts {
  readonly codec: Codec;
  readonly platform: Platform;
  /** Where changes are kept unless the application says otherwise. Undefined: nowhere. */
  readonly storage?: OutboxStorage | undefined;
  /** This device's, where the application gives none; asked at each hello. */
  readonly deviceId?: () => string;
}

/** Methods of RoomService that change something, and carry a key. */
export type KeyedCall = Pick<
  Call,
  | "createRoom"
  | "updateRoom"
  | "deleteRoom"
  | "joinRoom"
  | "leaveRoom"
  | "addMembers"
  | "removeMember"
  | "setMember"
  | "pinMessage"
  | "hideMessage"
  | "blockUser"
  | "setSettings"
>;

export interface ClientEvents {
  readonly state: ConnectionState;
  /** Something addressed to the user, and not kept. */
  readonly signal: Signal;
  /** A room of the user that is not open here has moved on. */
  readonly top: RoomTop;
  /** Every push, as it came: for what the client has no name for. */
  readonly frame: ServerFrame;
  /** A change will not be stored, also one from before a reload, which nobody else is told of: see its `error`. */
  readonly unsent: Sending;
  /** What waits to be sent could not be written or read, and may not survive a reload. */
  readonly storageFailed: unknown;
}

export class Client {
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #rooms: Rooms;
  readonly #session: Session;
  readonly #platform: Platform;
  readonly #outbox: Outbox;
  /** The user that was last connected. */
  #self: Actor = {};
  readonly #people: People;

  constructor(options: ClientOptions, { codec, platform, storage, deviceId }: ClientParts) {
    const { url, token, device = {}, autoConnect = true } = options;
    this.#platform = platform;
    const ownId = platform.id();
    this.#session = new Session(
      {
        platform,
        codec,
        token,
        url,
        device: () => ({ kind: "DEVICE_KIND_WEB", ...device, deviceId: device.deviceId ?? deviceId?.() ?? ownId }),
        rooms: (most) => this.#stated(most),
      },
      {
        stateChanged: (state) => this.#changed(state),
        welcomed: () => this.#welcomed(),
        pushed: (frame) => this.#pushed(frame),
      },
    );
    const context = {
      platform,
      request: (frame: ClientFrame, answered?: (frame: ServerFrame) => void) => this.#session.request(frame, answered),
      post: (frame: ClientFrame) => this.#session.post(frame),
      welcome: () => this.#session.welcome,
      live: () => this.#session.welcome !== undefined,
      self: () => this.#self,
    };
    this.#outbox = new Outbox(
      { ...(storage && { storage }), ...options.outbox },
      {
        ...context,
        measure: (frame) => bytesOf(this.#session.codec.encode(frame)),
        changed: (roomId) => this.#rooms.get(roomId)?.pendingChanged(),
        failed: (sending) => this.#emitter.emit("unsent", sending),
        storageFailed: (error) => this.#emitter.emit("storageFailed", error),
      },
    );
    this.#people = new People({
      ...context,
      room: (id) => this.room(id),
      rooms: () => this.#rooms.all,
    });
    this.#rooms = new Rooms({
      ...context,
      outbox: this.#outbox,
      marks: this.#people.marks,
      follower: this.#people.list,
      used: (room) => this.#rooms.used(room),
    });
    if (autoConnect) this.connect();
  }

  /** How this user is, and who else is there. */
  get presence(): ClientPresence {
    return this.#people.presence;
  }

  /** The user's rooms with what is new in each, kept as they are once `client.rooms.open()` was called. */
  get rooms(): RoomList {
    return this.#people.list;
  }

  get state(): ConnectionState {
    return this.#session.state;
  }

  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): () => void {
    return this.#emitter.on(name, listener);
  }

  connect(): void {
    this.#outbox.rest(false);
    this.#session.connect();
  }

  /** Leaves; what was asked is refused, what is to be sent is kept. `connect` comes back. */
  close(): void {
    this.#outbox.rest(true);
    this.#session.close();
  }

  /** Gives the connection up as if the network had: to see that nothing is lost. */
  drop(): void {
    this.#session.drop();
  }

  /** Measures how long an answer takes, in milliseconds. Rejects with DisconnectedError where there is no connection. */
  async ping(): Promise<number> {
    const askedAtMs = this.#platform.monotonic();
    await this.#session.request({ ping: {} });
    return this.#platform.monotonic() - askedAtMs;
  }

  /** The same room for the same id. Without listeners, timelines and loops for a minute or two, one that had some is closed. */
  room(id: string): Room {
    return this.#rooms.of(id);
  }

  /** Sends a message once, over this connection. `Room.send` keeps it until it is stored. */
  async publish(publish: Publish): Promise<Published> {
    const { published } = await this.#session.request({ publish });
    return published ?? {};
  }

  /** A method of RoomService: `client.call({ listRooms: {} })`. Rejects with RefusedError or DisconnectedError. */
  async call(call: Call): Promise<CallResult> {
    const { callResult } = await this.#session.request({ call });
    this.#people.list.called(call);
    return callResult ?? {};
  }

  /**
   * As `call`, of a method that changes something: it is kept and sent again, as `Room.send` does, under the request's `key` or one of its own. What
   * names the same room is done in order.
   */
  change(call: KeyedCall): Sending<CallResult> {
    const [[method, request] = ["", {}]]: [string, { readonly key?: string; readonly roomId?: string }][] =
      Object.entries(call);
    const key = request.key ?? this.#platform.id();
    const frame = { call: { [method]: { ...request, key } } };
    const sending = this.#outbox.add<CallResult>(request.roomId ?? "", key, frame, request.key !== undefined);
    sending.then(
      () => this.#people.list.called(call),
      () => {},
    );
    return sending;
  }

  #stated(most: number): readonly RoomPosition[] {
    const wanted = this.#rooms.all.filter(({ feed }) => feed.wanted);
    return wanted.slice(0, most).map(({ feed }) => feed.stated());
  }

  #welcomed(): void {
    const { userId, tenantId, displayName } = this.#session.welcome ?? {};
    this.#self = { userId, displayName };
    this.#outbox.welcomed({ tenantId, userId });
    for (const room of this.#rooms.all) room.welcomed();
    this.#rooms.watch();
    this.#people.welcomed(this.#session.welcome ?? {});
  }

  #changed(state: ConnectionState): void {
    // First to those who listen to it: what a room's listeners do about it comes after it.
    this.#emitter.emit("state", state);
    if (this.#session.welcome === undefined) {
      this.#rooms.rest();
      for (const { feed } of this.#rooms.all) feed.disconnected();
      this.#people.disconnected();
    }
  }

  #pushed(frame: ServerFrame): void {
    const { subscribed, unsubscribed, roomEvents, signals, markers, error } = frame;
    if (subscribed !== undefined) this.#rooms.get(subscribed.roomId ?? "")?.feed.subscribed(subscribed);
    else if (unsubscribed !== undefined) {
      this.#rooms.get(unsubscribed.roomId ?? "")?.feed.unsubscribed(unsubscribed.reason ?? 0);
    } else if (error !== undefined) {
      this.#rooms.get(error.details?.room_id ?? "")?.feed.refused(new RefusedError(error));
    } else if (signals !== undefined && (signals.roomId ?? "") === "") {
      for (const signal of signals.signals ?? []) this.#emitter.emit("signal", signal);
      if (signals.top !== undefined) this.#emitter.emit("top", signals.top);
    } else {
      this.#rooms.get((roomEvents ?? signals ?? markers)?.roomId ?? "")?.received(frame);
      if (signals?.top !== undefined) this.#emitter.emit("top", signals.top);
    }
    this.#people.pushed(frame);
    this.#emitter.emit("frame", frame);
  }
}

function bytesOf(data: string | Uint8Array): number {
  return (typeof data === "string" ? new TextEncoder().encode(data) : data).length;
}
