// The listener for other nodes: with certificates on both sides, and never in the clear beyond this machine unless asked for.

import { create } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { GrpcPeers } from "../../../src/adapters/cluster/grpc-peers.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { LookedSchema, LookSchema } from "../../../src/gen/trunkline/cluster/v1/peer_pb.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import { ErrorCode } from "../../../src/ports/error.js";
import type { ClientTls, ServerTls } from "../../../src/rpc/tls.js";
import { startPeerServer } from "../../../src/transport/grpc/peer-server.js";
import { makeCertificates } from "./certificates.js";

const SECRET = "a secret between us";
const clock = createSystemClock();

async function serve(tls: ServerTls) {
  const server = await startPeerServer({
    handler: async () => ({ case: "looked", value: create(LookedSchema, { membersSeq: 7 }) }),
    secret: SECRET,
    host: "127.0.0.1",
    port: 0,
    tls,
    telemetry: new Telemetry(),
    clock,
  });
  onTestFinished(() => server.close(1_000));
  return { nodeId: "other", address: `localhost:${server.port}`, since: 0, leaving: false };
}

function usePeers(tls: ClientTls): GrpcPeers {
  const peers = new GrpcPeers({ placement: { nodes: () => [], onChanged: () => {} }, clock, tls, secret: SECRET });
  onTestFinished(() => peers.stop());
  return peers;
}

const QUESTION = { case: "look", value: create(LookSchema, {}) } as const;

it("answers nodes that show a certificate, and only those", async () => {
  const { ca, server, client } = makeCertificates();
  const node = await serve({ certificate: server.cert, key: server.key, clientCa: ca });
  const shown = usePeers({ ca, identity: { certificate: client.cert, key: client.key } });
  expect(await shown.ask(node, QUESTION)).toMatchObject({ case: "looked", value: { membersSeq: 7 } });
  await expect(usePeers({ ca }).ask(node, QUESTION)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  await expect(usePeers("plain").ask(node, QUESTION)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
});

it("does not listen in the clear for other machines unless asked to", async () => {
  const options = {
    handler: async () => Promise.reject(new Error("nobody asks")),
    secret: SECRET,
    host: "0.0.0.0",
    port: 0,
  };
  const started = startPeerServer({ ...options, telemetry: new Telemetry(), clock });
  await expect(started).rejects.toThrow("0.0.0.0 is not a loopback address");
});
