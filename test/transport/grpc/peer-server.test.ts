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

async function serve(tls: ServerTls, port = 0) {
  const server = await startPeerServer({
    handler: async () => ({ case: "looked", value: create(LookedSchema, { membersSeq: 7 }) }),
    secret: SECRET,
    host: "127.0.0.1",
    port,
    tls,
    telemetry: new Telemetry(),
    clock,
  });
  const close = () => server.close(1_000);
  onTestFinished(close);
  return { nodeId: "other", address: `localhost:${server.port}`, since: 0, leaving: false, port: server.port, close };
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

function useTold(secret: string) {
  const turns: string[] = [];
  const peers = new GrpcPeers({
    placement: { nodes: () => [], onChanged: () => {} },
    clock,
    tls: "plain",
    secret,
    onTurn: ({ nodeId }, away) => {
      const reason = away?.cause instanceof Error ? away.cause.message : "answers";
      turns.push(`${nodeId}: ${reason}`);
    },
  });
  onTestFinished(() => peers.stop());
  return { peers, turns };
}

it("tells once who cannot be asked, and why", async () => {
  const node = await serve("plain");
  const { peers, turns } = useTold("a secret of somebody else");
  await expect(peers.ask(node, QUESTION)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  await expect(peers.ask(node, QUESTION)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  expect(turns).toEqual(["other: 16 UNAUTHENTICATED: only nodes of the cluster may ask"]);
});

it("tells that a node that could not be asked answers again", async () => {
  const node = await serve("plain");
  const { peers, turns } = useTold(SECRET);
  await node.close();
  await expect(peers.ask(node, QUESTION)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  await serve("plain", node.port);
  await expect
    .poll(() => peers.ask(node, QUESTION), { timeout: 10_000 })
    .toMatchObject({ case: "looked", value: { membersSeq: 7 } });
  expect(turns).toEqual([expect.stringContaining("other: 14 UNAVAILABLE"), "other: answers"]);
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
