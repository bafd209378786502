// A client in another language, made from the .proto files alone.

import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { useServer } from "../../support/server.js";
import { pythonStubs, run } from "../../support/stubs.js";
import { signToken } from "../../support/token.js";
import { testWith } from "../../support/tool.js";

const CLIENT = fileURLToPath(new URL("session.py", import.meta.url));

const server = useServer();

testWith(
  "python",
  "a Python client says hello, publishes, resumes where it was, and sees who is there and who has read",
  async (python) => {
    const stubs = await pythonStubs(python);
    try {
      const token = signToken(server.issuer, { user: "py" });
      const friend = signToken(server.issuer, { user: "friend" });
      const { stdout } = await run(python, [CLIENT, stubs, server.endpoints.grpc, token, "snakes", friend], {
        timeout: 60_000,
      });
      expect(
        stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
      ).toEqual([
        { step: "hello", user: "py", session: true },
        { step: "create", seq: 1 },
        { step: "subscribe", top: 1, outcome: "caught_up" },
        { step: "publish", seq: 2, text: "one", same: true },
        { step: "repeat", duplicate: true, seq: 2 },
        { step: "resume", outcome: "replaying", count: 2, texts: ["m2", "m3"] },
        {
          step: "presence",
          before: "PRESENCE_STATUS_ONLINE",
          set: "done",
          after: "PRESENCE_STATUS_AWAY",
          text: "lunch",
        },
        { step: "receipts", mark: "done", read: ["friend"] },
      ]);
    } finally {
      rmSync(stubs, { recursive: true, force: true });
    }
  },
  90_000,
);
