// A tenant's quota of rooms as clients of a real server meet it, over each transport, and after a restart.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Backbone, startBackbone } from "../../src/index.js";
import { identity, ScriptedVerifier } from "../core/use-core.js";
import {
  type Connection,
  contentOf,
  type JsonObject,
  kindOf,
  Schema,
  TestClient,
  TRANSPORTS,
  type Transport,
} from "../support/client/index.js";

const schema = new Schema();

async function start(dataDirectory: string): Promise<Backbone> {
  const verifier = new ScriptedVerifier();
  verifier.answer("token", identity("ann", { tenantId: "small" }));
  const tenants = new Map([["small", { maxRoomsPerTenant: 2 }]]);
  const ports = { grpc: { port: 0 }, bridge: { port: 0 } };
  const backbone = await startBackbone({ dataDirectory, shards: 2, auth: { verifier }, tenants, ...ports });
  onTestFinished(() => backbone.stop({ spreadMs: 0 }).then(() => {}));
  return backbone;
}

async function connect({ grpcAddress: grpc, bridgeAddress: bridge }: Backbone, transport: Transport) {
  const client = new TestClient(transport, { grpc, ws: `ws://${bridge}/v1/connect`, http: `http://${bridge}` }, schema);
  onTestFinished(() => client.destroy());
  const connection = await client.connect({ label: transport, mute: false });
  const hello = { token: "token", device: { deviceId: "d" }, attempt: 1, protocol: 1 };
  expect(kindOf(await connection.request({ hello }))).toBe("welcome");
  return connection;
}

async function call(connection: Connection, rpc: JsonObject) {
  return contentOf(await connection.request({ call: rpc }));
}

describe.each(TRANSPORTS)("over %s", (transport) => {
  test("rooms are made up to the quota, kept count of over a restart, and made again for those deleted", async () => {
    const directory = mkdtempSync(join(tmpdir(), "trunkline-room-quota-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const make = (roomId: string) => ({ createRoom: { roomId, key: roomId, attempt: 2 } });
    const refused = {
      code: "ERROR_CODE_LIMIT_EXCEEDED",
      details: { quota: "rooms_per_tenant", limit: "2", current: "2" },
    };

    const before = await start(directory);
    const ann = await connect(before, transport);
    for (const roomId of ["a", "b"]) expect(await call(ann, make(roomId))).toHaveProperty("createRoom");
    expect(await call(ann, make("c"))).toMatchObject(refused);
    await before.stop({ spreadMs: 0 });

    const again = await connect(await start(directory), transport);
    expect(await call(again, make("c"))).toMatchObject(refused);
    expect(await call(again, make("b"))).toMatchObject({ createRoom: { room: { roomId: "b" } } });
    expect(await call(again, { deleteRoom: { roomId: "a", key: "end" } })).toHaveProperty("deleteRoom");
    expect(await call(again, make("c"))).toHaveProperty("createRoom");
    expect(await call(again, make("d"))).toMatchObject(refused);
  });
});
