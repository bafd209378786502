// Every transcript over every transport, against a real server.

import { afterAll, describe, test } from "vitest";
import { Schema, TestClient, TRANSPORTS } from "../support/client/index.js";
import { useServer } from "../support/server.js";
import { runCase } from "./runner/run-case.js";
import { readTranscripts } from "./runner/transcript.js";

/** A few cases wait for deadlines of the protocol; none is slow otherwise. */
const CASE_TIMEOUT_MS = 90_000;

const server = useServer();
const schema = new Schema();

describe.for(TRANSPORTS)("%s", { concurrent: true, timeout: CASE_TIMEOUT_MS }, (transport) => {
  for (const transcript of readTranscripts()) {
    describe(transcript.name, () => {
      const cases = transcript.cases.filter((testCase) => testCase.transports.includes(transport));
      test.for(cases.map((testCase) => [testCase.title, testCase] as const))("%s", async ([, testCase]) => {
        await runCase(testCase, new TestClient(transport, server.endpoints, schema), server.issuer);
      });
    });
  }
});

afterAll(() => {
  if (server.faults.length > 0) throw new Error(`the server logged faults:\n${server.faults.join("\n")}`);
});
