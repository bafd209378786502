// The example of a backend service, as a program that uses the package: it answers once, whatever is killed.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { type Connection, contentOf, isArray, isObject, TestClient, text } from "../support/client/index.js";
import { TestServer } from "../support/server.js";
import { signToken } from "../support/token.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

test("the support bot answers every message that names it once, though server and bot are killed", async () => {
  const server = new TestServer();
  const home = mkdtempSync(join(tmpdir(), "trunkline-service-"));
  onTestFinished(async () => {
    await server.dispose();
    rmSync(home, { recursive: true, force: true });
  });
  mkdirSync(join(home, "node_modules"));
  symlinkSync(ROOT, join(home, "node_modules/trunkline"), "dir");
  copyFileSync(join(ROOT, "examples/service/support-bot.mjs"), join(home, "support-bot.mjs"));
  await server.start();

  const ann = signToken(server.issuer, { user: "ann", name: "Ann" });
  const bot = signToken(server.issuer, { user: "support-bot", grants: ["service"] });
  const client = new TestClient("grpc", server.endpoints);
  onTestFinished(() => client.destroy());
  await client.call(ann, "CreateRoom", { roomId: "desk", key: "create" });

  const startBot = async (): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ["support-bot.mjs", server.endpoints.grpc, "cursor"], {
      cwd: home,
      env: { ...process.env, TRUNKLINE_TOKEN: bot },
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const listening = once(createInterface({ input: child.stdout }), "line");
    await Promise.race([listening, once(child, "exit").then(([code]) => Promise.reject(new Error(`ended: ${code}`)))]);
    return child;
  };
  const ask = async (key: string): Promise<void> => {
    const connection = await client.connect();
    await connection.request({ hello: { token: ann, device: { deviceId: key }, attempt: 1, protocol: 1 } });
    const body = { text: `help with ${key}` };
    const mentions = [{ userId: "support-bot" }];
    await connection.request({ publish: { roomId: "desk", clientMessageId: key, attempt: 1, body, mentions } });
    connection.destroy();
  };
  /** How many answers there are, once there are as many as questions. */
  const answers = async (questions: number): Promise<number> => {
    const connection = await client.connect();
    await connection.request({
      hello: { token: ann, device: { deviceId: "reader" }, attempt: Date.now() % 1e9, protocol: 1 },
    });
    const after = { seq: 0, tag: 0 };
    await connection.request({ subscribe: { roomId: "desk", after } });
    const answered = await readAnswers(connection, questions);
    connection.destroy();
    return answered;
  };

  let child = await startBot();
  await ask("one");
  expect(await answers(1)).toBe(1);

  await server.kill();
  await server.start();
  await ask("two");
  expect(await answers(2)).toBe(2);

  child.kill("SIGKILL");
  await once(child, "exit");
  await ask("three");
  child = await startBot();
  await ask("four");
  expect(await answers(4)).toBe(4);
}, 90_000);

async function readAnswers(connection: Connection, wanted: number): Promise<number> {
  let answers = 0;
  while (answers < wanted) {
    const frame = await connection.inbox.take((each) => "roomEvents" in each, "events", 20_000);
    const { events } = contentOf(frame);
    for (const event of isArray(events) ? events : []) {
      const created = isObject(event) ? event.messageCreated : undefined;
      if (isObject(created) && text(created.replyTo) !== "") answers++;
    }
  }
  return answers;
}
