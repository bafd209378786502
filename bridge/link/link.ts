// One link: the stream to a node, and the sessions on it.

import { create, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientDuplexStream } from "@grpc/grpc-js";
import type { ConnectionOrigin, Dismissal, SessionSink } from "../../src/core/session/port.js";
import { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import {
  type LinkDown,
  type LinkEnded,
  LinkHelloSchema,
  LinkLeftSchema,
  LinkOpenSchema,
  LinkService,
  LinkTakenSchema,
  LinkTransport,
  type LinkUp,
  type LinkUpItem,
  LinkUpItemSchema,
  type LinkWelcome,
} from "../../src/gen/trunkline/v1/link_pb.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import { serviceDefinition } from "../../src/rpc/definition.js";
import { Gathered } from "../../src/rpc/gathered.js";
import { type ClientTls, clientCredentials } from "../../src/rpc/tls.js";
import { LinkSession, type Upward } from "./link-session.js";
import { LinkedFrame } from "./linked-frame.js";
import { bridgeMetadata } from "./passing.js";
import { type Flushable, Relays } from "./relays.js";

/** From the stream's beginning to the node's welcome, in milliseconds. */
const WELCOME_DEADLINE_MS = 5_000;
/** Bytes that may wait to go up: beyond, the node reads so slowly that it is given up. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/** Bytes that the stream may have on its way down: what is said to ten thousand clients in one turn must not wait for acknowledgements. */
const WINDOW_BYTES = 4 * 1024 * 1024;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/**
 * A node whose machine vanished is found after this much silence, and then so long for an answer; in milliseconds. A node that is merely
 * busy for seconds must not lose ten thousand sessions for it.
 */
const KEEPALIVE_MS = 5_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** The greatest number that a session can have. */
const LAST_NUMBER = 0xffff_ffff;
/** Of a session's window, the part that its client may take before the node hears of it. */
const TELL_PART = 1 / 4;

export interface LinkOptions {
  /** The node: `host:port`. */
  readonly address: string;
  readonly tls: ClientTls | undefined;
  /** What bridges show. */
  readonly secret: string;
  /** What this bridge is called in logs. */
  readonly bridge: string;
  readonly clock: Clock;
  /** The link works. */
  readonly onOpen: () => void;
  /** The link has ended, and with it the sessions that are handed over. Called once. `cause` undefined: in good order. */
  readonly onOver: (sessions: readonly LinkSession[], cause: unknown) => void;
  /** A session has ended that its client has not been told of. */
  readonly onDismissed: (session: LinkSession, dismissal: Dismissal) => void;
  /** The last of its sessions has gone or ended. */
  readonly onEmpty: () => void;
  /** A session was not admitted; none will be for so long, in milliseconds. */
  readonly onRefused: (retryAfterMs: number) => void;
  /** A message has come down: how long it is, and how many frames go to clients because of it. */
  readonly onCarried: (bytes: number, deliveries: number) => void;
}

export class Link implements Upward {
  readonly #options: LinkOptions;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<LinkUp | Uint8Array, LinkDown>;
  readonly #items: Gathered;
  readonly #sessions = new Map<number, LinkSession>();
  readonly #relays = new Relays((attachment, sent) =>
    this.send({ case: "left", value: create(LinkLeftSchema, { attachment, sent }) }),
  );
  readonly #deadline: Timer;
  #state: "opening" | "open" | "over" = "opening";
  #lastNumber = 0;
  #waitingBytes = 0;
  /** Who has taken how much in this turn. */
  #taken: { readonly sessions: number[]; readonly bytes: number[] } | undefined;
  /** The message that was decoded last was so long. */
  #messageBytes = 0;
  tellBytes = 0;
  /** The longest frame of a client that the node takes, in bytes. */
  maxFrameBytes = Number.POSITIVE_INFINITY;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { address, tls, secret, clock, bridge } = options;
    const serverName = typeof tls === "object" ? tls.serverName : undefined;
    // A connection of its own: a new link never rides on one that has died.
    this.#client = new Client(address, clientCredentials(address, tls), {
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc-node.flow_control_window": WINDOW_BYTES,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.enable_channelz": 0,
      ...(serverName === undefined
        ? {}
        : { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName }),
    });
    const { path, requestSerialize, responseDeserialize } = serviceDefinition(LinkService).link;
    const decode = (bytes: Buffer): LinkDown => {
      this.#messageBytes = bytes.length;
      return responseDeserialize(bytes);
    };
    this.#call = this.#client.makeBidiStreamRequest(path, requestSerialize, decode, bridgeMetadata(secret));
    this.#items = new Gathered(clock, (message) => this.#write(message));
    this.#deadline = clock.after(WELCOME_DEADLINE_MS, () => this.cut(new Error("no welcome came in time")));
    this.#call.on("data", (down: LinkDown) => this.#read(down));
    this.#call.on("error", (cause: unknown) => this.#end(cause));
    this.#call.on("end", () => this.#end(undefined));
    this.send({ case: "hello", value: create(LinkHelloSchema, { bridge }) });
  }

  get sessions(): Iterable<LinkSession> {
    return this.#sessions.values();
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** A new connection. Undefined: the link has ended. */
  accept(sink: SessionSink, origin: ConnectionOrigin): LinkSession | undefined {
    // A link that has carried so many begins anew; whoever is on it comes back.
    if (this.#lastNumber === LAST_NUMBER) this.cut(new Error("its numbers are used up"));
    if (this.#state === "over") return undefined;
    this.#lastNumber += 1;
    const { address, token = "", transport: how } = origin;
    const session = new LinkSession(this.#lastNumber, sink, origin, this);
    this.#sessions.set(session.number, session);
    const transport = how === "events" ? LinkTransport.EVENTS : LinkTransport.WEBSOCKET;
    const value = create(LinkOpenSchema, { session: session.number, address, token, transport });
    this.send({ case: "open", value });
    return session;
  }

  /** Ends the link; what was said is still sent. */
  close(): void {
    if (this.#state === "over") return;
    this.#items.flush();
    this.#call.end();
    this.#end(undefined);
  }

  /** Ends the link at once. */
  cut(cause: unknown): void {
    this.#end(cause);
    this.#call.cancel();
  }

  // — what its sessions say —

  send(item: LinkUpItem["item"]): void {
    if (this.#state !== "over") this.#items.add(toBinary(LinkUpItemSchema, create(LinkUpItemSchema, { item })));
  }

  taken({ number }: LinkSession, bytes: number): void {
    if (this.#taken === undefined) {
      this.#taken = { sessions: [], bytes: [] };
      this.#options.clock.soon(() => this.#tellTaken());
    }
    this.#taken.sessions.push(number);
    this.#taken.bytes.push(bytes);
  }

  left(session: LinkSession): void {
    const { number } = session;
    this.#relays.left(session);
    if (this.#sessions.delete(number) && this.#sessions.size === 0) this.#options.onEmpty();
  }

  #tellTaken(): void {
    const taken = this.#taken;
    this.#taken = undefined;
    if (taken !== undefined) this.send({ case: "taken", value: create(LinkTakenSchema, taken) });
  }

  #write(message: Uint8Array): void {
    this.#waitingBytes += message.length;
    this.#call.write(message, () => {
      this.#waitingBytes -= message.length;
    });
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.cut(new Error("the node does not read"));
  }

  // — what the node says —

  #read(down: LinkDown): void {
    if (this.#state === "over") return;
    try {
      if (down.welcome !== undefined) this.#welcomed(down.welcome);
      const deliveries = this.#deliver(down);
      for (const ended of down.ended) this.#ended(ended);
      this.#options.onCarried(this.#messageBytes, deliveries);
    } catch (cause) {
      this.cut(cause);
    }
  }

  #welcomed({ windowBytes, maxFrameBytes }: LinkWelcome): void {
    if (this.#state !== "opening") throw new Error("welcomed twice");
    this.#state = "open";
    this.#deadline.cancel();
    this.tellBytes = Math.floor(windowBytes * TELL_PART);
    this.maxFrameBytes = maxFrameBytes;
    this.#options.onOpen();
  }

  #deliver({ frames, deliveries }: LinkDown): number {
    const shared = frames.map((bytes) => new LinkedFrame(bytes));
    const touched: Flushable[] = [];
    let delivered = 0;
    try {
      for (const { frame: index, sessions, relays, sent, detach, attach } of deliveries) {
        for (const attachment of detach) this.#relays.detach(attachment);
        for (const attachment of attach) {
          const session = this.#sessions.get(attachment.session);
          if (session !== undefined) this.#relays.attach(attachment, session);
        }
        if (sessions.length === 0 && relays.length === 0) continue;
        const frame = shared[index];
        if (frame === undefined) throw new Error("a delivery names a frame that is not there");
        for (const number of sessions) this.#sessions.get(number)?.add(frame, touched);
        delivered += sessions.length;
        for (const relay of relays) delivered += this.#relays.deliver(frame, relay, sent, touched);
      }
    } finally {
      for (const session of touched) session.flush();
    }
    return delivered;
  }

  #ended({ session: number, code, reason, retryAfterMs, returnAfterMs, error }: LinkEnded): void {
    const session = this.#sessions.get(number);
    if (session === undefined) return;
    const { onRefused, onDismissed } = this.#options;
    if (retryAfterMs !== undefined) {
      onRefused(retryAfterMs);
      onDismissed(session, { code: CloseCode.OVERLOADED, reason, reconnectAfterMs: retryAfterMs, error: undefined });
    } else if (returnAfterMs !== undefined) {
      onDismissed(session, { code, reason, reconnectAfterMs: returnAfterMs, error });
    } else session.ended(code, reason);
    this.left(session);
  }

  #end(cause: unknown): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#deadline.cancel();
    this.#items.end();
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    this.#options.onOver(sessions, cause);
    this.#client.close();
  }
}
