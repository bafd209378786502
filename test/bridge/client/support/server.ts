// A server that follows docs/protocol.md in time that a test lets run, and does to its sessions what the test says.

import type { ClientFrame, ServerFrame, Error as WireError } from "../../../../bridge/client/gen/types.js";
import { CloseCode } from "../../../../src/gen/trunkline/v1/error_pb.js";
import { Network, type Peer, type PeerListener } from "./network.js";
import { ServerRoom } from "./server-room.js";
import { ServerSession } from "./server-session.js";
import type { World } from "./world.js";

export interface ServerLimits {
  maxInFlight: number;
  maxRooms: number;
  /** Events replayed in-band. */
  recoveryLimit: number;
  /** Of GetEvents. */
  pageSize: number;
  pingIntervalMs: number;
  /** How long before its end a token is said to expire. */
  tokenNoticeMs: number;
}

/** What a server makes of a frame. */
export interface Answering {
  readonly kind: string;
  readonly roomId: string;
  readonly answer: () => ServerFrame;
}

export class Server {
  readonly world: World;
  readonly network: Network;
  readonly limits: ServerLimits = {
    maxInFlight: 8,
    maxRooms: 200,
    recoveryLimit: 5,
    pageSize: 3,
    pingIntervalMs: 25_000,
    tokenNoticeMs: 60_000,
  };
  readonly #rooms = new Map<string, ServerRoom>();
  /** Until when tokens hold. */
  readonly #tokens = new Map<string, number>();
  readonly sessions = new Set<ServerSession>();
  /** Whose tokens they are. */
  userId = "ada";
  /** Asked of every request: what it is refused with, if it is. */
  refuse: (kind: string, roomId: string) => WireError | undefined = () => undefined;
  /** Asked of every request: how long it takes. Undefined: it is never answered. */
  takesMs: (kind: string) => number | undefined = () => 0;
  /** Asked about every frame that it has no part of its own for. Undefined: it knows no such frame. */
  answer: (frame: ClientFrame) => ServerFrame | undefined = ({ mark, typing }) =>
    (mark ?? typing) ? { done: {} } : undefined;
  /** Asked before anything else what becomes of a request. Undefined: what usually does. */
  answers: (frame: ClientFrame) => Answering | undefined = () => undefined;
  /** Whether it takes connections. */
  up = true;
  /** Pages ask for these only. Undefined: for any. */
  host: string | undefined;
  /** Sessions that began on a connection that had stayed. */
  renewed = 0;
  /** What a client may not do, and did. */
  readonly violations: string[] = [];

  constructor(world: World) {
    this.world = world;
    this.network = new Network(world, (url, peer) => this.#accept(url, peer));
  }

  room(id: string): ServerRoom {
    let room = this.#rooms.get(id);
    if (room === undefined) {
      room = new ServerRoom(id);
      this.#rooms.set(id, room);
    }
    return room;
  }

  /** Everybody who is subscribed is told. */
  say(roomId: string, ...texts: readonly string[]): void {
    for (const text of texts) {
      const event = this.room(roomId).say(text);
      for (const session of this.sessions) session.tell(roomId, event);
    }
  }

  publish(roomId: string, key: string, text: string): ReturnType<ServerRoom["publish"]> {
    const published = this.room(roomId).publish(key, text);
    const { event } = published;
    if (event !== undefined) for (const session of this.sessions) session.tell(roomId, event);
    return published;
  }

  /** A token that holds for so long. */
  issue(lifetimeMs: number): string {
    const token = `token-${this.#tokens.size + 1}`;
    this.#tokens.set(token, this.world.nowMs + lifetimeMs);
    return token;
  }

  /** Undefined: it was never issued. */
  expiryMs(token: string): number | undefined {
    return this.#tokens.get(token);
  }

  /** Says goodbye to all of them. */
  end(code: number, reconnectAfterMs = 0): void {
    for (const session of [...this.sessions]) session.end(code, { reconnectAfterMs });
  }

  /** Ends all of them, on connections that stay. */
  move(reconnectAfterMs = 0): void {
    for (const session of [...this.sessions]) session.stay(CloseCode.GOING_AWAY, reconnectAfterMs);
  }

  /** The session that is live. */
  get session(): ServerSession {
    const session = [...this.sessions].findLast(({ live }) => live);
    if (session === undefined) throw new Error("nobody is live");
    return session;
  }

  #accept(url: string, peer: Peer): PeerListener | undefined {
    if (!this.up || (this.host !== undefined && !url.startsWith(this.host))) return undefined;
    const session = new ServerSession(this, peer);
    this.sessions.add(session);
    return session;
  }
}
