// A whole core in memory, in stopped time, and clients of its session port that remember what they were told.

import { createHash } from "node:crypto";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { onTestFinished } from "vitest";
import { EmbeddedSessionDirectory } from "../../src/adapters/embedded/session-directory.js";
import type { Core, CoreDependencies } from "../../src/core/core.js";
import { createCore } from "../../src/core/create-core.js";
import { encodeRoomEventsFrame } from "../../src/core/fanout/wire.js";
import type { AccessHookRules, PublishHookRules } from "../../src/core/hook/rules.js";
import { type Limits, limitsWith } from "../../src/core/limit/limits.js";
import { type TenantDifferences, TenantLimits } from "../../src/core/limit/tenants.js";
import type { Connection, ConnectionOrigin, FrameEncoding, SessionSink } from "../../src/core/session/port.js";
import { Telemetry, type TelemetryEvents, type TelemetryName } from "../../src/core/telemetry.js";
import type { CloseCode } from "../../src/gen/trunkline/v1/error_pb.js";
import {
  type ClientFrame,
  ClientFrameSchema,
  type HelloSchema,
  type ServerFrame,
  ServerFrameSchema,
} from "../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { SessionDirectory } from "../../src/ports/session-directory.js";
import type { Identity, Revocation, TokenVerifier } from "../../src/ports/token-verifier.js";
import { MemoryEngine } from "../support/memory-engine.js";
import { MemoryDirectory } from "../support/memory-engine-directory.js";
import { StoppedClock } from "../support/stopped-clock.js";

/** Steps in which time passes: finer than any timer of the core is coarse. */
const STEP_MS = 250;
/** Turns of the event loop after which whatever was to follow has followed: no chain of the core takes as many. */
const TURNS = 20;

/** Lets everything happen that needs no time to pass. */
export async function settle(turns = TURNS): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A promise that the test settles. */
export interface Gate<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function gate<T>(): Gate<T> {
  return Promise.withResolvers<T>();
}

/** Somebody of the tenant "acme", without grants, whose token never expires, unless said otherwise. */
export function identity(userId: string, differing: Partial<Identity> = {}): Identity {
  return {
    tenantId: "acme",
    userId,
    displayName: userId,
    grants: new Set(),
    expiresAtMs: undefined,
    tokenId: "",
    ...differing,
  };
}

/** Answers as the test has set it; a token nobody has set an answer for is refused. */
export class ScriptedVerifier implements TokenVerifier {
  readonly available = true;
  /** Tokens asked for, in order. */
  readonly asked: string[] = [];
  readonly #answers = new Map<string, () => Promise<Identity>>();
  readonly #listeners = new Set<(revocation: Revocation) => void>();

  /** The token stands for this identity; an error refuses it; a promise answers when it settles. */
  answer(token: string, answer: Identity | Error | Promise<Identity>): void {
    this.#answers.set(token, () => (answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)));
  }

  verify(token: string): Promise<Identity> {
    this.asked.push(token);
    const answer = this.#answers.get(token);
    if (answer !== undefined) return answer();
    return Promise.reject(new TrunklineError(ErrorCode.UNAUTHENTICATED, "the token does not verify"));
  }

  onRevoked(listener: (revocation: Revocation) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** How many listen for revocations. */
  get listeners(): number {
    return this.#listeners.size;
  }

  revoke(revocation: Revocation): void {
    for (const listener of this.#listeners) listener(revocation);
  }

  async close(): Promise<void> {}
}

export const BINARY: FrameEncoding = {
  name: "binary",
  frame: (frame) => toBinary(ServerFrameSchema, frame),
  roomEvents: encodeRoomEventsFrame,
};

/** Keeps what a session writes. */
export class RecordingSink implements SessionSink {
  readonly encoding = BINARY;
  /** Everything written, in order. */
  readonly frames: ServerFrame[] = [];
  /** Frames in each write. */
  readonly writes: number[] = [];
  ended: { readonly code: CloseCode; readonly reason: string } | undefined;
  /** While true, each write says that enough waits. */
  full = false;
  /** Writes or ends after the end: a fault of whoever writes. */
  late = 0;

  write(frames: readonly Uint8Array[]): boolean {
    if (this.ended !== undefined) this.late++;
    this.writes.push(frames.length);
    for (const bytes of frames) this.frames.push(fromBinary(ServerFrameSchema, bytes));
    return !this.full;
  }

  end(code: CloseCode, reason: string): void {
    if (this.ended !== undefined) this.late++;
    this.ended = { code, reason };
  }
}

type FrameInit = NonNullable<MessageInitShape<typeof ClientFrameSchema>["frame"]>;
type HelloInit = Partial<Exclude<MessageInitShape<typeof HelloSchema>, { $typeName: string }>>;
type Case = NonNullable<ServerFrame["frame"]["case"]>;
type ValueOf<C extends Case> = Extract<ServerFrame["frame"], { case: C }>["value"];

export interface ServerPush<C extends Case> {
  readonly replyTo: number;
  readonly value: ValueOf<C>;
}

/** One connection as its client sees it. */
export class TestClient {
  readonly sink: RecordingSink;
  readonly connection: Connection;
  #ref = 0;

  constructor(core: Core, origin: ConnectionOrigin, sink: RecordingSink) {
    this.sink = sink;
    this.connection = core.sessions.accept(sink, origin);
  }

  /** Sends a frame under a new ref, which it returns. */
  send(frame: FrameInit): number {
    this.#ref++;
    this.post(frame, this.#ref);
    return this.#ref;
  }

  /** Sends a frame under this ref; 0: no reply wanted. */
  post(frame: FrameInit, ref = 0): void {
    this.connection.receive(clientFrame(frame, ref));
  }

  /** Sends a frame and returns the reply once everything that follows at once has followed. */
  async ask(frame: FrameInit): Promise<ServerFrame["frame"]> {
    const ref = this.send(frame);
    await settle();
    return this.reply(ref);
  }

  /** The reply to a ref; its case is undefined while there is none. Fails if there is more than one. */
  reply(ref: number): ServerFrame["frame"] {
    const replies = this.sink.frames.filter((frame) => frame.replyTo === ref);
    if (replies.length > 1) throw new Error(`ref ${ref} was answered ${replies.length} times`);
    return replies[0]?.frame ?? { case: undefined };
  }

  /** Everything of one case that came, in order. */
  all<C extends Case>(name: C): ServerPush<C>[] {
    return this.sink.frames.flatMap((sent) => {
      const frame: AnyFrame = sent.frame;
      return isCase(frame, name) ? [{ replyTo: sent.replyTo, value: frame.value }] : [];
    });
  }

  /** What came last of one case. Fails if there is none. */
  last<C extends Case>(name: C): ValueOf<C> {
    const found = this.all(name).at(-1);
    if (found === undefined) throw new Error(`no ${name} came, but ${JSON.stringify(this.cases)}`);
    return found.value;
  }

  /** The cases of everything that came, in order. */
  get cases(): (Case | undefined)[] {
    return this.sink.frames.map(({ frame }) => frame.case);
  }

  /** The seqs of a room's events that came, in order. */
  seqs(roomId: string): number[] {
    return this.all("roomEvents")
      .filter(({ value }) => value.roomId === roomId)
      .flatMap(({ value }) => value.events.map((event) => event.position?.seq ?? 0));
  }

  /** The code the connection ended with; undefined: it is open. */
  get endedWith(): CloseCode | undefined {
    return this.sink.ended?.code;
  }

  /** The client reads no more, until `read`. */
  stall(): void {
    this.sink.full = true;
  }

  /** The client reads again. */
  read(): void {
    this.sink.full = false;
    this.connection.drained();
  }
}

interface AnyFrame {
  readonly case: string | undefined;
  readonly value?: unknown;
}

function isCase<C extends Case>(frame: AnyFrame, name: C): frame is { readonly case: C; readonly value: ValueOf<C> } {
  return frame.case === name;
}

export function clientFrame(frame: FrameInit, ref = 0): ClientFrame {
  return create(ClientFrameSchema, { ref, frame });
}

export function hello(
  token: string,
  deviceId: string,
  differing: HelloInit = {},
): Extract<FrameInit, { case: "hello" }> {
  return { case: "hello", value: { protocol: 1, attempt: 1, token, device: { deviceId }, ...differing } };
}

export function text(roomId: string, key: string, words = key): Extract<FrameInit, { case: "publish" }> {
  return {
    case: "publish",
    value: { roomId, clientMessageId: key, body: { kind: { case: "text", value: words } } },
  };
}

export interface CoreOptions {
  readonly limits?: Partial<Limits>;
  readonly tenants?: ReadonlyMap<string, TenantDifferences>;
  readonly engine?: MemoryEngine;
  readonly load?: () => number;
  readonly publishHook?: PublishHookRules;
  readonly outlets?: CoreDependencies["outlets"];
  /** Default: a new one. */
  readonly clock?: StoppedClock;
  readonly accessHook?: AccessHookRules;
  /** Ids of this node begin so. Default: "id". */
  readonly name?: string;
  /** What a node of a cluster has of its own. */
  readonly parts?: Partial<Pick<CoreDependencies, "log" | "directory" | "cluster">>;
}

export class TestCore {
  readonly clock: StoppedClock;
  readonly verifier = new ScriptedVerifier();
  readonly telemetry = new Telemetry();
  readonly engine: MemoryEngine;
  readonly core: Core;
  readonly tenants: TenantLimits;
  #ids = 0;

  constructor(options: CoreOptions) {
    this.clock = options.clock ?? new StoppedClock();
    this.engine = options.engine ?? new MemoryEngine();
    const limits = limitsWith(options.limits ?? {});
    this.tenants = new TenantLimits(limits, options.tenants);
    this.core = createCore({
      log: this.engine.log,
      archive: this.engine.archive,
      fanout: this.engine.fanout,
      directory: options.parts?.directory ?? this.#directory(),
      verifier: this.verifier,
      clock: this.clock,
      ids: {
        random: () => `${options.name ?? "id"}-${++this.#ids}`,
        digest: (of) => createHash("sha256").update(of).digest("base64url").slice(0, 22),
      },
      telemetry: this.telemetry,
      limits,
      tenants: this.tenants,
      load: options.load ?? (() => 0),
      publishHook: options.publishHook,
      ...(options.outlets && { outlets: options.outlets }),
      accessHook: options.accessHook,
      ...(options.parts?.log && { log: options.parts.log }),
      cluster: options.parts?.cluster,
    });
  }

  /** The memory engine's own where it answers later: the embedded one answers at once. */
  #directory(): SessionDirectory {
    const { clock, engine } = this;
    if (!engine.answersLater) return new EmbeddedSessionDirectory({ archive: engine.archive, clock });
    return new MemoryDirectory({ archive: () => engine.archive, clock, answersLater: true }).node();
  }

  /** A connection that has said nothing yet. */
  dial(origin: Partial<ConnectionOrigin> = {}): TestClient {
    return new TestClient(this.core, { transport: "in-process", address: "", ...origin }, new RecordingSink());
  }

  /** A live session of the user: the token is the user's id unless the hello names another. */
  async connect(userId: string, differing: HelloInit = {}, who: Partial<Identity> = {}): Promise<TestClient> {
    const token = differing.token ?? userId;
    this.verifier.answer(token, identity(userId, who));
    const client = this.dial();
    client.send(hello(token, `device-of-${userId}`, differing));
    await settle();
    if (client.all("welcome").length === 0) throw new Error(`${userId} got no welcome: ${client.sink.ended?.reason}`);
    return client;
  }

  /** A group that `owner` makes, with members. Answers its id. */
  async room(owner: TestClient, roomId: string, ...members: readonly string[]): Promise<string> {
    const answer = await owner.ask({
      case: "call",
      value: {
        rpc: {
          case: "createRoom",
          value: { roomId, key: `make-${roomId}`, members: members.map((userId) => ({ userId })) },
        },
      },
    });
    if (answer.case !== "callResult") throw new Error(`${roomId} was not made: ${JSON.stringify(answer.value)}`);
    return roomId;
  }

  /** Time passes, in small steps, and what it brings about happens. */
  async elapse(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= STEP_MS) {
      this.clock.advance(Math.min(left, STEP_MS));
      await settle(2);
    }
    await settle();
  }

  /** Events of one name from now on, in order. */
  record<N extends TelemetryName>(name: N): TelemetryEvents[N][] {
    const seen: TelemetryEvents[N][] = [];
    this.telemetry.on(name, (data) => seen.push(data));
    return seen;
  }
}

/** A started core. It is stopped when the test ends. */
export async function useCore(options: CoreOptions = {}): Promise<TestCore> {
  const test = new TestCore(options);
  await test.core.start();
  onTestFinished(() => test.core.stop());
  return test;
}
