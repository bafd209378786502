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
let bridges: readonly RemoteBridge[] = [];

beforeAll(async () => {
  const backbones = [server.endpoints.grpc];
  const started = [1, 2].map(() => startRemoteBridge({ backbones, secret: SECRET, port: 0 }));
  bridges = await Promise.all(started);
  const ready = () => expect(bridges.map(({ trouble }) => trouble)).toEqual([[], []]);
  await vi.waitFor(ready, { timeout: 10_000, interval: 10 });
});
afterAll(() => Promise.all(bridges.map((bridge) => bridge.stop({ spreadMs: 0, deadlineMs: 0 }))));

function endpoints(framesElsewhere: boolean): Endpoints {
  const [address, other] = bridges.map(({ bridgeAddress }) => bridgeAddress);
  const frames = framesElsewhere ? { frames: `http://${other}` } : {};
  return { ...server.endpoints, ws: `ws://${address}/v1/connect`, http: `http://${address}`, ...frames };
}

const BROWSERS = TRANSPORTS.filter((transport) => transport !== "grpc").map(
  (transport) => [transport, "", false] as const,
);
const WAYS = [...BROWSERS, ["events", ", sent to another bridge", true] as const];
describe.for(WAYS)("%s over a link%s", { concurrent: true, timeout: CASE_TIMEOUT_MS }, ([transport, , elsewhere]) => {
  for (const transcript of readTranscripts()) {
    describe(transcript.name, () => {
      const cases = transcript.cases.filter((testCase) => testCase.transports.includes(transport));
      test.for(cases.map((testCase) => [testCase.title, testCase] as const))("%s", async ([, testCase]) => {
        await runCase(testCase, new TestClient(transport, endpoints(elsewhere), schema), server.issuer);
      });
    });
  }
});

afterAll(() => {
  if (server.faults.length > 0) throw new Error(`the server logged faults:\n${server.faults.join("\n")}`);
});
