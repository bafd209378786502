// Every transcript of browsers once more, against a bridge in a process of its own: nobody can tell it from a server's.

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type RemoteBridge, startRemoteBridge } from "../../src/backbone/remote-bridge.js";
import { type Endpoints, Schema, TestClient, TRANSPORTS } from "../support/client/index.js";
import { useServer } from "../support/server.js";
import { runCase } from "./runner/run-case.js";
import { readTranscripts } from "./runner/transcript.js";

/** A few cases wait for deadlines of the protocol; none is slow otherwise. */
const CASE_TIMEOUT_MS = 90_000;
const SECRET = "shown to the server";

const server = useServer({ environment: { TRUNKLINE_LINK_SECRET: SECRET } });
const schema = new Schema();
let bridge: RemoteBridge;

beforeAll(async () => {
  bridge = await startRemoteBridge({ backbones: [server.endpoints.grpc], secret: SECRET, port: 0 });
  await vi.waitFor(() => expect(bridge.trouble).toEqual([]), { timeout: 10_000, interval: 10 });
});
afterAll(() => bridge.stop({ spreadMs: 0, deadlineMs: 0 }));

function endpoints(): Endpoints {
  const { bridgeAddress } = bridge;
  return { ...server.endpoints, ws: `ws://${bridgeAddress}/v1/connect`, http: `http://${bridgeAddress}` };
}

const BROWSERS = TRANSPORTS.filter((transport) => transport !== "grpc");
describe.for(BROWSERS)("%s over a link", { concurrent: true, timeout: CASE_TIMEOUT_MS }, (transport) => {
  for (const transcript of readTranscripts()) {
    describe(transcript.name, () => {
      const cases = transcript.cases.filter((testCase) => testCase.transports.includes(transport));
      test.for(cases.map((testCase) => [testCase.title, testCase] as const))("%s", async ([, testCase]) => {
        await runCase(testCase, new TestClient(transport, endpoints(), schema), server.issuer);
      });
    });
  }
});

afterAll(() => {
  if (server.faults.length > 0) throw new Error(`the server logged faults:\n${server.faults.join("\n")}`);
});
