// Every error code and every close code of the contract, as a client of a real server earns it, over each transport.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { CloseCode, ErrorCode } from "../../src/gen/trunkline/v1/error_pb.js";
import { type Backbone, type Identity, type Limits, startBackbone } from "../../src/index.js";
import { TrunklineError } from "../../src/ports/error.js";
import { identity, ScriptedVerifier } from "../core/use-core.js";
import {
  at,
  type Connection,
  contentOf,
  type Frame,
  type JsonObject,
  kindOf,
  Schema,
  TestClient,
  TRANSPORTS,
  type Transport,
} from "../support/client/index.js";

/** A few codes wait for deadlines, which are short here. */
const TIMEOUT_MS = 60_000;
const LIMITS: Partial<Limits> = {
  frameRate: { perSecond: 0, burst: 0 },
  handshakeDeadlineMs: 1_000,
  pingIntervalMs: 2_000,
  pongDeadlineMs: 5_000,
  stallDeadlineMs: 500,
  outboxBytes: 64 * 1024,
  refusalRate: { perSecond: 1, burst: 20 },
};
const ONE = { perSecond: 1, burst: 1 };
const NONE = { perSecond: 0, burst: 0 };
const TENANTS = new Map([
  ["fast", { rates: { publish: { session: NONE, user: NONE, room: NONE } } }],
  ["slow", { rates: { publish: { user: ONE } } }],
  ["small", { maxMembersPerRoom: 1, maxSessionsPerUser: 1, maxTextBytes: 4 }],
]);

const schema = new Schema();
let names = 0;

/** Whoever reads nothing answers no ping either, and is to be closed for what it does not read, on the slowest machine. */
const PATIENT = { ...LIMITS, pongDeadlineMs: 120_000 };

/** A server of its own directory. */
async function start(verifier: ScriptedVerifier, directory: string, limits = LIMITS): Promise<Backbone> {
  return await startBackbone({
    dataDirectory: directory,
    shards: 2,
    auth: { verifier },
    grpc: { port: 0 },
    bridge: { port: 0 },
    limits,
    tenants: TENANTS,
  });
}

/** One client story, with names that no other has. */
class Stage {
  readonly backbone: Backbone;
  readonly verifier: ScriptedVerifier;
  readonly #client: TestClient;

  constructor(backbone: Backbone, verifier: ScriptedVerifier, transport: Transport) {
    this.backbone = backbone;
    this.verifier = verifier;
    const { grpcAddress: grpc, bridgeAddress: bridge } = backbone;
    const endpoints = { grpc, ws: `ws://${bridge}/v1/connect`, http: `http://${bridge}` };
    this.#client = new TestClient(transport, endpoints, schema);
    onTestFinished(() => this.#client.destroy());
  }

  name(what: string): string {
    return `${what}-${++names}`;
  }

  /** A token that stands for this user, or is refused so. */
  token(answer: Error | Promise<Identity> | string, differing: Partial<Identity> = {}): string {
    const token = this.name("token");
    this.verifier.answer(token, typeof answer === "string" ? identity(answer, differing) : answer);
    return token;
  }

  /** A connection on which nothing has been said. */
  async dial(mute = false): Promise<Connection> {
    return await this.#client.connect({ label: this.#client.transport, mute });
  }

  hello(token: string, differing: JsonObject = {}): JsonObject {
    return { hello: { token, device: { deviceId: "d" }, attempt: 1, protocol: 1, ...differing } };
  }

  /** A live session of a new user, unless said whose. */
  async open(
    userId = this.name("user"),
    differing: Partial<Identity> = {},
    said: JsonObject = {},
    mute = false,
  ): Promise<{ readonly connection: Connection; readonly userId: string }> {
    const connection = await this.dial(mute);
    const reply = await connection.request(this.hello(this.token(userId, differing), said));
    expect(kindOf(reply)).toBe("welcome");
    return { connection, userId };
  }

  async room(owner: Connection, differing: JsonObject = {}): Promise<string> {
    const roomId = this.name("room");
    const reply = await owner.request({ call: { createRoom: { roomId, key: roomId, ...differing } } });
    expect(kindOf(reply)).toBe("callResult");
    return roomId;
  }
}

function say(roomId: string, key: string, text = "text"): JsonObject {
  return { publish: { roomId, clientMessageId: key, body: { text } } };
}

type Refused = (stage: Stage) => Promise<Frame>;

/** The reply that carries the error. */
const ERRORS: { readonly [C in Exclude<keyof typeof ErrorCode, "UNSPECIFIED">]: Refused } = {
  UNAUTHENTICATED: async (stage) => (await stage.dial()).request(stage.hello("nobody's")),
  TOKEN_EXPIRED: async (stage) => {
    const token = stage.token(new TrunklineError(ErrorCode.TOKEN_EXPIRED, "the token has expired"));
    return (await stage.dial()).request(stage.hello(token));
  },
  PERMISSION_DENIED: async (stage) => {
    const [ann, eve] = [await stage.open(), await stage.open()];
    const roomId = await stage.room(ann.connection);
    return await eve.connection.request({ call: { joinRoom: { roomId, key: "join" } } });
  },
  NOT_A_MEMBER: async (stage) => {
    const [ann, eve] = [await stage.open(), await stage.open()];
    return await eve.connection.request(say(await stage.room(ann.connection), "k"));
  },
  BLOCKED: async (stage) => {
    const [ann, eve] = [await stage.open(), await stage.open()];
    await ann.connection.request({ call: { blockUser: { userId: eve.userId, blocked: true, key: "block" } } });
    const members = [{ userId: ann.userId }];
    return await eve.connection.request({ call: { createRoom: { kind: "ROOM_KIND_DIRECT", key: "make", members } } });
  },
  NOT_FOUND: async (stage) => (await stage.open()).connection.request({ subscribe: { roomId: "nowhere" } }),
  ALREADY_EXISTS: async (stage) => {
    const { connection } = await stage.open();
    const roomId = await stage.room(connection);
    return await connection.request({ call: { createRoom: { roomId, key: "again" } } });
  },
  INVALID_ARGUMENT: async (stage) => (await stage.open()).connection.request(say("no room's id", "k")),
  TOO_LARGE: async (stage) => {
    const { connection } = await stage.open(undefined, { tenantId: "small" });
    return await connection.request(say(await stage.room(connection), "k", "12345"));
  },
  CONFLICT: async (stage) => {
    const { userId } = await stage.open(undefined, {}, { attempt: 7 });
    return (await stage.dial()).request(stage.hello(stage.token(userId), { attempt: 3 }));
  },
  RATE_LIMITED: async (stage) => {
    const { connection } = await stage.open(undefined, { tenantId: "slow" });
    const roomId = await stage.room(connection);
    connection.send(say(roomId, "first"));
    return await connection.request(say(roomId, "second"));
  },
  LIMIT_EXCEEDED: async (stage) => {
    const { connection } = await stage.open(undefined, { tenantId: "small" });
    const roomId = await stage.room(connection);
    const members = [{ userId: stage.name("user") }];
    return await connection.request({ call: { addMembers: { roomId, key: "add", members } } });
  },
  UNAVAILABLE: async (stage) => {
    const away = new TrunklineError(ErrorCode.UNAVAILABLE, "the auth service is away", { retryAfterMs: 500 });
    return (await stage.dial()).request(stage.hello(stage.token(away)));
  },
  DEADLINE: async (stage) => {
    const never = new Promise<Identity>(() => {});
    return (await stage.dial()).request(stage.hello(stage.token(never)));
  },
  UNSUPPORTED: async (stage) => (await stage.dial()).request(stage.hello(stage.token("ann"), { protocol: 99 })),
  INTERNAL: async (stage) => {
    const { connection } = await stage.open();
    const token = stage.token(new Error("a bug of whoever verifies"));
    return await connection.request({ refreshToken: { token } });
  },
};

type Closed = (stage: Stage) => Promise<Connection>;

/** A connection that the server ends with the code. */
const CLOSES: { readonly [C in Exclude<keyof typeof CloseCode, "UNSPECIFIED">]: Closed } = {
  HEARTBEAT_LOST: async (stage) => (await stage.open(undefined, {}, {}, true)).connection,
  GOING_AWAY: async (stage) => {
    const { connection } = await stage.open();
    await stage.backbone.stop({ spreadMs: 0, deadlineMs: 5_000 });
    return connection;
  },
  SLOW_CONSUMER: async (stage) => {
    const fast = { tenantId: "fast" };
    const [reader, writer] = [await stage.open(undefined, fast), await stage.open(undefined, fast)];
    const roomId = await stage.room(writer.connection, { members: [{ userId: reader.userId }] });
    await reader.connection.request({ subscribe: { roomId } });
    let closed = false;
    stage.backbone.telemetry.on("session.closed", ({ userId }) => {
      if (userId === reader.userId) closed = true;
    });
    reader.connection.pause();
    const words = "x".repeat(16 * 1024);
    // As long as the network takes it in for the reader, nothing is late: what is written here is more than it holds.
    for (let count = 0; !closed; count++) await writer.connection.request(say(roomId, `k${count}`, words));
    reader.connection.resume();
    return reader.connection;
  },
  OVERLOADED: async (stage) => {
    const { connection } = await stage.open(undefined, { tenantId: "slow" });
    for (let count = 0; count < 40; count++) connection.send({ ref: 1_000 + count, ...say("nowhere", "k") });
    return connection;
  },
  UNAVAILABLE: async (stage) => {
    const connection = await stage.dial();
    connection.send(stage.hello(stage.token(new TrunklineError(ErrorCode.UNAVAILABLE, "away"))));
    return connection;
  },
  TOKEN_EXPIRED: async (stage) => (await stage.open(undefined, { expiresAtMs: Date.now() + 1_500 })).connection,
  UNAUTHENTICATED: async (stage) => {
    const connection = await stage.dial();
    connection.send(stage.hello("nobody's"));
    return connection;
  },
  REPLACED: async (stage) => {
    const { connection, userId } = await stage.open();
    await stage.open(userId, {}, { attempt: 2 });
    return connection;
  },
  KICKED: async (stage) => {
    const { connection, userId } = await stage.open();
    const other = await stage.open(userId, {}, { device: { deviceId: "other" } });
    await other.connection.request({ call: { closeDevice: { deviceId: "d" } } });
    return connection;
  },
  REVOKED: async (stage) => {
    const { connection, userId } = await stage.open();
    stage.verifier.revoke({ tenantId: "acme", subject: { userId }, atMs: Date.now() });
    return connection;
  },
  PROTOCOL_ERROR: async (stage) => {
    const connection = await stage.dial();
    connection.send({ ping: { id: 1 } });
    return connection;
  },
  TOO_MANY_SESSIONS: async (stage) => {
    const { connection, userId } = await stage.open(undefined, { tenantId: "small" });
    await stage.open(userId, { tenantId: "small" }, { device: { deviceId: "other" } });
    return connection;
  },
  UNSUPPORTED_PROTOCOL: async (stage) => {
    const connection = await stage.dial();
    connection.send(stage.hello(stage.token("ann"), { protocol: 99 }));
    return connection;
  },
};

const directories: string[] = [];
function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "trunkline-codes-"));
  directories.push(directory);
  return directory;
}

const verifier = new ScriptedVerifier();
let shared: Backbone;
let patient: Backbone;
beforeAll(async () => {
  shared = await start(verifier, newDirectory());
  patient = await start(verifier, newDirectory(), PATIENT);
}, TIMEOUT_MS);
afterAll(async () => {
  await Promise.all([shared, patient].map((server) => server.stop({ spreadMs: 0, deadlineMs: 5_000 })));
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
}, TIMEOUT_MS);

async function serverFor(code: string): Promise<Backbone> {
  if (code === "SLOW_CONSUMER") return patient;
  // What ends the server has one of its own.
  return code === "GOING_AWAY" ? await start(verifier, newDirectory()) : shared;
}

describe.each(TRANSPORTS)("over %s", (transport) => {
  test.each(Object.entries(ERRORS))(
    "a client earns the error %s",
    async (name, earn) => {
      const reply = await earn(new Stage(shared, verifier, transport));
      expect(at(reply, "error", "code")).toBe(`ERROR_CODE_${name}`);
      expect(at(contentOf(reply), "message")).not.toBe("");
    },
    TIMEOUT_MS,
  );

  test.each(Object.entries(CLOSES))(
    "a client earns the close code %s",
    async (name, earn) => {
      const connection = await earn(new Stage(await serverFor(name), verifier, transport));
      const { code } = await connection.inbox.ended();
      expect(code).toBe(CloseCode[name as keyof typeof CloseCode]);
    },
    TIMEOUT_MS,
  );
});

test("no code is left out", () => {
  const named = (codes: object) =>
    Object.keys(codes).filter((name) => Number.isNaN(Number(name)) && name !== "UNSPECIFIED");
  expect(Object.keys(ERRORS).sort()).toEqual(named(ErrorCode).sort());
  expect(Object.keys(CLOSES).sort()).toEqual(named(CloseCode).sort());
});
