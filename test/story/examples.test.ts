// The examples run as they stand.

import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { expect } from "vitest";
import { TestClient } from "../support/client/index.js";
import { TestServer, useServer } from "../support/server.js";
import { call } from "../support/story/read-room.js";
import { pythonStubs, run } from "../support/stubs.js";
import { signToken } from "../support/token.js";
import { testWith } from "../support/tool.js";

const EXAMPLES = fileURLToPath(new URL("../../examples/", import.meta.url));
const CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];

const server = useServer();

async function createRoom(at: TestServer, roomId: string, user: string): Promise<string> {
  const token = signToken(at.issuer, { user, name: user });
  await call(new TestClient("grpc", at.endpoints), token, "CreateRoom", { roomId, key: "create", attempt: 1 });
  return token;
}

testWith(
  "python",
  "the Python example talks in a room and shows what was said",
  async (python) => {
    const stubs = await pythonStubs(python);
    try {
      const token = await createRoom(server, "snakes", "py");
      const talk = (text: string) =>
        run(python, [`${EXAMPLES}python-client/chat.py`, server.endpoints.grpc, "snakes", text], {
          env: { ...process.env, PYTHONPATH: stubs, TRUNKLINE_TOKEN: token },
          timeout: 30_000,
        });
      await talk("hello");
      const { stdout } = await talk("again");
      expect(stdout).toContain("py: hello\n");
      expect(stdout).toContain("py: again\n");
    } finally {
      rmSync(stubs, { recursive: true, force: true });
    }
  },
  90_000,
);

testWith(
  "python",
  "the Python examples tell a user something, and learn that it was read",
  async (python) => {
    const stubs = await pythonStubs(python);
    const start = (program: string, args: readonly string[], user: string, grants: readonly string[] = []) =>
      spawn(python, [`${EXAMPLES}python-client/${program}`, server.endpoints.grpc, ...args], {
        env: { ...process.env, PYTHONPATH: stubs, TRUNKLINE_TOKEN: signToken(server.issuer, { user, grants }) },
        stdio: ["ignore", "pipe", "inherit"],
      });
    const notify = async (): Promise<string> => {
      const said: string[] = [];
      for await (const line of createInterface({
        input: start("notify.py", ["a parcel!", "nora"], "mailer", ["service"]).stdout,
      }))
        said.push(line);
      return said.join();
    };
    expect(await notify()).toBe("nora: stored");
    const inbox = start("inbox.py", ["nora"], "nora");
    try {
      const lines: string[] = [];
      for await (const line of createInterface({ input: inbox.stdout })) {
        lines.push(line);
        if (lines.length === 2) break;
      }
      expect(lines.sort()).toEqual(["mailer: a parcel!", "nora is online reading the inbox"]);
      let became = await notify();
      // The mark follows what was shown.
      while (became === "nora: stored") became = await notify();
      expect(became).toBe("nora: stored, delivered, read");
    } finally {
      inbox.kill();
      rmSync(stubs, { recursive: true, force: true });
    }
  },
  90_000,
);

testWith(
  "grpcurl",
  "the shell example creates a room, talks, and reads what was said",
  async (grpcurl) => {
    const token = signToken(server.issuer, { user: "sh" });
    const { stdout } = await run("bash", [`${EXAMPLES}grpcurl.sh`, server.endpoints.grpc, "shells"], {
      env: { ...process.env, GRPCURL: grpcurl, TRUNKLINE_TOKEN: token },
      timeout: 60_000,
    });
    expect(stdout).toContain("trunkline.v1.SessionService");
    expect(stdout).toContain('"published"');
    expect(stdout).toMatch(/"text": "hello from a shell"/);
  },
  90_000,
);

testWith(
  "chromium",
  "the browser example talks, also after the server was killed and started again",
  async (executablePath) => {
    const page = createServer((_request, response) => {
      response.setHeader("content-type", "text/html").end(readFileSync(`${EXAMPLES}browser.html`));
    });
    await new Promise<void>((resolve) => page.listen(0, "127.0.0.1", resolve));
    const address = page.address();
    const origin = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    const own = new TestServer({ environment: { TRUNKLINE_ALLOWED_ORIGINS: origin } });
    const browser = await chromium.launch({ executablePath, args: CHROMIUM_FLAGS });
    try {
      await own.start();
      const token = await createRoom(own, "lobby", "ann");
      const tab = await browser.newPage();
      await tab.goto(`${origin}/#ws=${own.endpoints.ws}&room=lobby&token=${token}`);
      await tab.getByText("connected as ann").waitFor();
      await tab.fill("#text", "before");
      await tab.press("#text", "Enter");
      await tab.getByText("ann: before").waitFor();

      await own.kill();
      await tab.getByText("closed").waitFor();
      await tab.fill("#text", "while it was down");
      await tab.press("#text", "Enter");
      await own.start();
      await tab.getByText("ann: while it was down").waitFor();
      expect(await tab.locator("#said li").allTextContents()).toEqual(["ann: before", "ann: while it was down"]);
    } finally {
      await browser.close();
      await own.dispose();
      page.close();
    }
  },
  90_000,
);
