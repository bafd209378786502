// The examples of the browser's client run as they stand, in the files and in docs/client.md.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { expect, test } from "vitest";
import { TestClient } from "../support/client/index.js";
import { TestServer, useServer } from "../support/server.js";
import { call } from "../support/story/read-room.js";
import { run } from "../support/stubs.js";
import { signToken } from "../support/token.js";
import { testWith } from "../support/tool.js";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const EXAMPLES = `${REPOSITORY}examples/`;
const DOCUMENT = readFileSync(`${REPOSITORY}docs/client.md`, "utf8");
const CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];

const server = useServer();

async function createRoom(at: TestServer, roomId: string, user: string): Promise<string> {
  const token = signToken(at.issuer, { user, name: user });
  await call(new TestClient("grpc", at.endpoints), token, "CreateRoom", { roomId, key: "create", attempt: 1 });
  return token;
}

/** The server's address as a client wants it. */
function urlOf(at: TestServer): string {
  return new URL(at.endpoints.ws).origin.replace(/^ws/, "http");
}

test("the document shows the examples as they are", () => {
  const node = readFileSync(`${EXAMPLES}client.mjs`, "utf8").replace(/^\/\/.*\n/, "");
  const [, script = ""] =
    /<script type="module">\n([\s\S]*?)<\/script>/.exec(readFileSync(`${EXAMPLES}client.html`, "utf8")) ?? [];
  expect(DOCUMENT).toContain(node);
  expect(script).not.toBe("");
  expect(DOCUMENT).toContain(script.replaceAll(/^ {2}/gm, ""));
});

test("the Node example says something and shows what was said", async () => {
  const token = await createRoom(server, "nodes", "ned");
  const talk = (text: string) =>
    run(process.execPath, [`${EXAMPLES}client.mjs`, urlOf(server), "nodes", text], {
      env: { ...process.env, TRUNKLINE_TOKEN: token },
      timeout: 15_000,
    });
  expect((await talk("hello")).stdout).toBe("ned: hello\n");
  expect((await talk("again")).stdout).toBe("ned: hello\nned: again\n");
}, 40_000);

testWith(
  "chromium",
  "the browser example of the client talks, also after the server was killed and started again",
  async (executablePath) => {
    const page = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? "/", "http://page");
      const [, module] = /^\/node_modules\/trunkline\/(dist\/bridge\/client\/[\w/-]+\.js)$/.exec(pathname) ?? [];
      response.setHeader("content-type", module === undefined ? "text/html" : "text/javascript");
      response.end(readFileSync(module === undefined ? `${EXAMPLES}client.html` : `${REPOSITORY}${module}`));
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
      await tab.goto(`${origin}/#url=${urlOf(own)}&room=lobby&token=${token}`);
      const say = async (text: string): Promise<void> => {
        await tab.fill("#text", text);
        await tab.press("#text", "Enter");
      };
      await say("before");
      await tab.getByText("ann: before", { exact: true }).waitFor();
      await own.kill();
      await say("while it was down");
      await tab.getByText("… ann: while it was down").waitFor();
      await own.start();
      await tab.getByText("ann: while it was down", { exact: true }).waitFor();
      expect(await tab.locator("#said li").allTextContents()).toEqual(["ann: before", "ann: while it was down"]);
    } finally {
      await browser.close();
      await own.dispose();
      page.close();
    }
  },
  60_000,
);
