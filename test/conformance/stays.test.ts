// What browsers are told when the link of their bridge moves, as transcripts: each against a bridge of its own, whose link is cut.

import { afterAll, describe, onTestFinished, test, vi } from "vitest";
import { startRemoteBridge } from "../../src/backbone/remote-bridge.js";
import { Schema, TestClient, TRANSPORTS } from "../support/client/index.js";
import { TcpProxy } from "../support/faults/tcp-proxy.js";
import { useServer } from "../support/server.js";
import { runCase } from "./runner/run-case.js";
import { BRIDGE_TRANSCRIPTS, readTranscripts } from "./runner/transcript.js";

const CASE_TIMEOUT_MS = 60_000;
const PATIENCE = { timeout: 20_000, interval: 10 };
const SECRET = "shown to the server";

const server = useServer({ environment: { TRUNKLINE_LINK_SECRET: SECRET } });
const schema = new Schema();

/** A bridge and what moves its link. */
async function useBridge() {
  const proxy = await TcpProxy.to(server.endpoints.grpc);
  onTestFinished(() => proxy.close());
  const bridge = await startRemoteBridge({ backbones: [proxy.address], secret: SECRET, port: 0, spreadMs: 1_000 });
  onTestFinished(async () => {
    await bridge.stop({ spreadMs: 0, deadlineMs: 0 });
  });
  let links = 0;
  bridge.telemetry.on("link.turned", ({ up }) => {
    if (up) links++;
  });
  const isReady = (count: number) => async (): Promise<void> => {
    if (links < count || bridge.trouble.length > 0) throw new Error(`no link: ${bridge.trouble.join()}`);
  };
  await vi.waitFor(isReady(1), PATIENCE);
  const moveLink = async (): Promise<void> => {
    const next = links + 1;
    proxy.interrupt();
    await vi.waitFor(isReady(next), PATIENCE);
  };
  const address = bridge.bridgeAddress;
  const endpoints = { ...server.endpoints, ws: `ws://${address}/v1/connect`, http: `http://${address}` };
  return { endpoints, moveLink };
}

describe.for(TRANSPORTS.filter((transport) => transport !== "grpc"))(
  "%s",
  { timeout: CASE_TIMEOUT_MS },
  (transport) => {
    for (const transcript of readTranscripts(BRIDGE_TRANSCRIPTS)) {
      const cases = transcript.cases.filter((testCase) => testCase.transports.includes(transport));
      test.for(cases.map((testCase) => [testCase.title, testCase] as const))("%s", async ([, testCase]) => {
        const { endpoints, moveLink } = await useBridge();
        await runCase(testCase, new TestClient(transport, endpoints, schema), server.issuer, moveLink);
      });
    }
  },
);

afterAll(() => {
  if (server.faults.length > 0) throw new Error(`the server logged faults:\n${server.faults.join("\n")}`);
});
