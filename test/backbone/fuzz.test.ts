// Requests that nobody should send, to a whole server: each gets an answer of the contract, and none is taken for a fault.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeliveryService } from "../../src/gen/trunkline/v1/delivery_pb.js";
import { PresenceService } from "../../src/gen/trunkline/v1/presence_pb.js";
import { RoomService } from "../../src/gen/trunkline/v1/room_pb.js";
import { ClientFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { type Backbone, startBackbone } from "../../src/index.js";
import { messages } from "../bridge/codec/arbitrary.js";
import { identity, ScriptedVerifier } from "../core/use-core.js";
import { connectWebSocket, kindOf, Schema } from "../support/client/index.js";
import { UNLIMITED_RATES } from "../support/rates.js";

const TIMEOUT_MS = 120_000;
const TOKEN = "of-ann";
const METHODS = [RoomService, DeliveryService, PresenceService].flatMap(({ typeName, methods }) =>
  methods.filter(({ methodKind }) => methodKind === "unary").map(({ name }) => `/${typeName}/${name}`),
);

const directory = mkdtempSync(join(tmpdir(), "trunkline-fuzz-"));
let backbone: Backbone;
const faults: unknown[] = [];
beforeAll(async () => {
  const verifier = new ScriptedVerifier();
  verifier.answer(TOKEN, identity("ann", { grants: new Set(["service"]) }));
  backbone = await startBackbone({
    dataDirectory: directory,
    shards: 2,
    auth: { verifier },
    grpc: { port: 0 },
    bridge: { port: 0 },
    limits: { rates: UNLIMITED_RATES, frameRate: { perSecond: 0, burst: 0 } },
  });
  backbone.telemetry.on("fault", (fault) => faults.push(fault));
}, TIMEOUT_MS);
afterAll(async () => {
  await backbone.stop({ spreadMs: 0, deadlineMs: 5_000 });
  rmSync(directory, { recursive: true, force: true });
}, TIMEOUT_MS);

/** Fields by names that requests have, of values that they should not. */
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom("r1", "ann", "k", "~i.x", "\u0000", -1, 2 ** 40, 0.5),
);
const names = [
  "roomId",
  "key",
  "attempt",
  "userId",
  "userIds",
  "members",
  "kind",
  "messageId",
  "body",
  "metadata",
  "settings",
  "pageSize",
  "pageToken",
  "name",
  "after",
  "blocked",
];
const json = fc.oneof(
  fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 6 }).map((object) => JSON.stringify(object)),
  fc.json(),
  fc.string(),
);

describe.each(METHODS)("%s", (path) => {
  it(
    "answers any JSON by a response or an error of the contract",
    async () => {
      await fc.assert(
        fc.asyncProperty(json, async (body) => {
          const response = await fetch(`http://${backbone.bridgeAddress}${path}`, {
            method: "POST",
            headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
            body,
          });
          const answer: unknown = await response.json();
          if (response.status === 200) return;
          expect(response.status).toBeLessThan(500);
          expect(answer).toMatchObject({ code: expect.any(String) });
        }),
        { numRuns: 25 },
      );
    },
    TIMEOUT_MS,
  );

  it(
    "answers any bytes over gRPC by a response or a status that is the caller's doing",
    async () => {
      const client = new Client(backbone.grpcAddress, credentials.createInsecure());
      const metadata = new Metadata();
      metadata.set("authorization", `Bearer ${TOKEN}`);
      const call = (bytes: Uint8Array): Promise<status> =>
        new Promise((resolve) => {
          const ended = (error: ServiceError | null): void => resolve(error?.code ?? status.OK);
          client.makeUnaryRequest(path, Buffer.from, (raw: Buffer) => raw, bytes, metadata, ended);
        });
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
          expect([status.UNKNOWN, status.INTERNAL, status.UNAVAILABLE]).not.toContain(await call(bytes));
        }),
        { numRuns: 25 },
      );
      client.close();
    },
    TIMEOUT_MS,
  );
});

describe.each(["binary", "json"] as const)("a session over WebSocket, %s", (encoding) => {
  it(
    "answers every frame that has a ref, whatever is in it, and goes on",
    async () => {
      const schema = new Schema();
      const open = async () => {
        const connection = await connectWebSocket(schema, `ws://${backbone.bridgeAddress}/v1/connect`, encoding, {});
        const hello = { token: TOKEN, device: { deviceId: encoding }, attempt: 1, protocol: 1 };
        expect(kindOf(await connection.request({ hello }))).toBe("welcome");
        return connection;
      };
      const connection = await open();
      let ref = 1_000;
      await fc.assert(
        fc.asyncProperty(messages(ClientFrameSchema), async (frame) => {
          const kind = frame.frame.case;
          if (kind === "pong" || kind === undefined) return;
          const asked = { ...frame, ref: ++ref };
          const decoded = schema.decode("trunkline.v1.ClientFrame", Buffer.from(toBinary(ClientFrameSchema, asked)));
          connection.send(decoded);
          const reply = await connection.inbox.take((each) => each.replyTo === ref, `a reply to ${kind}`);
          if (kindOf(reply) !== "error") return;
          expect(JSON.stringify(reply)).not.toContain("ERROR_CODE_INTERNAL");
        }),
        { numRuns: 150 },
      );
      connection.destroy();
    },
    TIMEOUT_MS,
  );
});

it("has taken nothing of it for a fault", () => {
  expect(faults).toEqual([]);
});
