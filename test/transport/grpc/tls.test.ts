// TLS, and client certificates.

import { once } from "node:events";
import { connect } from "node:net";
import { create } from "@bufbuild/protobuf";
import { credentials, status } from "@grpc/grpc-js";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { GetRoomRequestSchema, GetRoomResponseSchema, RoomService } from "../../../src/gen/trunkline/v1/room_pb.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { type Certificates, makeCertificates } from "./certificates.js";
import { ClientStream, callUnary, failure, type ServerUnderTest, useGrpcServer } from "./use-grpc-server.js";

const { getRoom } = serviceDefinition(RoomService);
/** TLS has no server names that are addresses. */
const NAMED = { "grpc.ssl_target_name_override": "localhost" };
let made: Certificates;

beforeAll(() => {
  made = makeCertificates();
});

function getRoomWith(under: ServerUnderTest, channel: ReturnType<typeof credentials.createSsl>) {
  under.core.answer = async () => ({ case: "getRoom", value: create(GetRoomResponseSchema) });
  return callUnary(under.client(channel, NAMED), getRoom, create(GetRoomRequestSchema), { token: "good-ann" });
}

describe("with a certificate", () => {
  it("serves clients that know its authority, streams too", async () => {
    const under = await useGrpcServer({ tls: made.server });
    await getRoomWith(under, credentials.createSsl(made.ca));
    const stream = new ClientStream(under.client(credentials.createSsl(made.ca), NAMED));
    stream.send({ ref: 1 });
    const connection = await under.core.sessions.connection();
    await connection.until(({ frames }) => frames.length === 1);
    expect(connection.origin.address).toMatch(/^127\.0\.0\.1:/);
  });

  it("is not trusted by clients that do not", async () => {
    const under = await useGrpcServer({ tls: made.server });
    expect((await failure(getRoomWith(under, credentials.createSsl()))).code).toBe(status.UNAVAILABLE);
  });

  it("refuses plain text and survives a handshake that is none", async () => {
    const under = await useGrpcServer({ tls: made.server });
    expect((await failure(getRoomWith(under, credentials.createInsecure()))).code).toBe(status.UNAVAILABLE);
    const socket = connect(under.server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.end(Buffer.alloc(1_024, 0x16));
    socket.resume();
    await once(socket, "close");
    await getRoomWith(under, credentials.createSsl(made.ca));
  });

  it("does not wait at its end for a handshake that does not come, but for a call under way", async () => {
    const under = await useGrpcServer({ tls: made.server });
    const silent = connect(under.server.port, "127.0.0.1");
    onTestFinished(() => void silent.destroy());
    await once(silent, "connect");
    let closed: Promise<void> | undefined;
    under.core.answer = async () => {
      closed = under.server.close(10_000);
      return { case: "getRoom", value: create(GetRoomResponseSchema, { room: { roomId: "lobby" } }) };
    };
    const client = under.client(credentials.createSsl(made.ca), NAMED);
    const response = await callUnary(client, getRoom, create(GetRoomRequestSchema), { token: "good-ann" });
    expect(response.room?.roomId).toBe("lobby");
    await closed;
  });

  it("closes in order", async () => {
    const under = await useGrpcServer({ tls: made.server });
    await getRoomWith(under, credentials.createSsl(made.ca));
    await under.server.close(10_000);
    expect(under.server.connections).toBe(0);
  });
});

describe("with an authority for clients", () => {
  const withClient = (pair: Certificates["client"]) => credentials.createSsl(made.ca, pair.key, pair.cert);

  it("serves a client with a certificate of that authority", async () => {
    const under = await useGrpcServer({ tls: { ...made.server, clientCa: made.ca } });
    await getRoomWith(under, withClient(made.client));
  });

  it("refuses a client without one, and one of another authority", async () => {
    const under = await useGrpcServer({ tls: { ...made.server, clientCa: made.ca } });
    for (const channel of [credentials.createSsl(made.ca), withClient(made.stranger)]) {
      expect((await failure(getRoomWith(under, channel))).code).toBe(status.UNAVAILABLE);
    }
    expect(under.core.calls).toEqual([]);
  });

  it("knows a backend service by its certificate, and needs no token of it", async () => {
    const billing = { tenantId: "acme", userId: "billing", displayName: "Billing", grants: ["service"] };
    for (const name of ["client", "DNS:localhost"]) {
      const under = await useGrpcServer({
        tls: { ...made.server, clientCa: made.ca, services: new Map([[name, billing]]) },
      });
      under.core.answer = async () => ({ case: "getRoom", value: create(GetRoomResponseSchema) });
      const client = under.client(withClient(made.client), NAMED);
      await callUnary(client, getRoom, create(GetRoomRequestSchema));
      expect(under.core.calls).toMatchObject([
        { caller: { identity: { tenantId: "acme", userId: "billing", grants: new Set(["service"]) } } },
      ]);
      const until = under.core.calls[0]?.caller.identity.expiresAtMs ?? 0;
      expect(until).toBeGreaterThan(Date.now());
    }
  });

  it("takes a certificate that is nobody's for nobody, and a token before any certificate", async () => {
    const other = { tenantId: "acme", userId: "other", displayName: "", grants: ["service"] };
    const services = new Map([["another", other]]);
    const under = await useGrpcServer({ tls: { ...made.server, clientCa: made.ca, services } });
    const client = under.client(withClient(made.client), NAMED);
    const refused = await failure(callUnary(client, getRoom, create(GetRoomRequestSchema)));
    expect(refused.code).toBe(status.UNAUTHENTICATED);
    await getRoomWith(under, withClient(made.client));
    expect(under.core.calls).toMatchObject([{ caller: { identity: { userId: "ann" } } }]);
  });

  it("asks for none where none is required", async () => {
    const tls = { ...made.server, clientCa: made.ca, requireClientCert: false };
    await getRoomWith(await useGrpcServer({ tls }), credentials.createSsl(made.ca));
  });
});

it("does not start with a certificate that is none", async () => {
  await expect(useGrpcServer({ tls: { cert: "nonsense", key: "nonsense" } })).rejects.toThrow();
});
