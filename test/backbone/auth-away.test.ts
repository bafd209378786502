// The auth service goes away while the backbone serves.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { createSystemClock, startAuthService, startBackbone } from "../../src/index.js";

const SECRET = "a secret of thirty-two bytes, or more";

interface Frame {
  readonly replyTo?: number;
  readonly [name: string]: unknown;
}

/** A client that speaks JSON. */
class Client {
  readonly frames: Frame[] = [];
  readonly #socket: WebSocket;
  #told: () => void = () => {};

  constructor(address: string) {
    this.#socket = new WebSocket(`ws://${address}/v1/connect`, "trunkline.v1.json");
    this.#socket.on("message", (data: Buffer) => {
      this.frames.push(JSON.parse(data.toString("utf8")));
      this.#told();
    });
    onTestFinished(() => this.#socket.terminate());
  }

  async ask(ref: number, frame: object): Promise<Frame> {
    if (this.#socket.readyState === WebSocket.CONNECTING) {
      await new Promise((resolve) => this.#socket.once("open", resolve));
    }
    this.#socket.send(JSON.stringify({ ref, ...frame }));
    for (;;) {
      const reply = this.frames.find(({ replyTo }) => replyTo === ref);
      if (reply !== undefined) return reply;
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
    }
  }

  hello(token: string, deviceId: string): Promise<Frame> {
    return this.ask(1, { hello: { token, device: { deviceId }, attempt: 1, protocol: 1 } });
  }
}

function tokenOf(user: string): Promise<string> {
  return new SignJWT({ tenant: "acme" })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
}

test("live sessions go on, and new ones are told when to come back", async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "trunkline-auth-away-"));
  onTestFinished(() => rmSync(dataDirectory, { recursive: true, force: true }));
  const jwt = { keys: { secret: SECRET } };
  const auth = await startAuthService({ host: "127.0.0.1", port: 0, clock: createSystemClock(), jwt });
  onTestFinished(() => auth.close());
  const backbone = await startBackbone({
    dataDirectory,
    auth: { address: auth.address, tls: "plain" },
    grpc: { port: 0 },
    bridge: { port: 0 },
  });
  onTestFinished(() => backbone.stop({ spreadMs: 0 }).then(() => {}));

  const live = new Client(backbone.bridgeAddress);
  expect(await live.hello(await tokenOf("ann"), "d1")).toMatchObject({ welcome: { userId: "ann" } });
  await auth.close();

  const late = new Client(backbone.bridgeAddress);
  expect(await late.hello(await tokenOf("bob"), "d2")).toMatchObject({
    error: { code: "ERROR_CODE_UNAVAILABLE", retryable: true, retryAfterMs: expect.any(Number) },
  });
  const made = await live.ask(2, { call: { createRoom: { roomId: "r1", key: "make" } } });
  expect(made).toMatchObject({ callResult: { createRoom: { room: { roomId: "r1" } } } });
  const said = await live.ask(3, {
    publish: { roomId: "r1", clientMessageId: "m1", attempt: 1, body: { text: "on" } },
  });
  expect(said).toMatchObject({ published: { position: { seq: 2 } } });
});
