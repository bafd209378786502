// Bytes nobody should send, on the socket itself.

import { once } from "node:events";
import fc from "fast-check";
import { expect, it } from "vitest";
import { upgrade, useBridge, useClient, useTcp } from "./use-bridge.js";
import { post, useEvents } from "./use-events.js";

const HANDSHAKE = [
  "GET /v1/connect HTTP/1.1",
  "Host: 127.0.0.1",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "\r\n",
].join("\r\n");

it("outlives random bytes instead of requests, and instead of frames", async () => {
  const under = await useBridge();
  const { port, core, url } = under;
  const property = fc.asyncProperty(
    fc.boolean(),
    fc.uint8Array({ minLength: 1, maxLength: 300 }),
    async (open, bytes) => {
      const socket = await useTcp(port);
      socket.on("error", () => {});
      const closed = once(socket, "close");
      socket.resume();
      if (open) {
        const answered = once(socket, "data");
        socket.write(HANDSHAKE);
        await answered;
      }
      socket.write(bytes);
      socket.end();
      // A connection that the bridge has told off stays until its deadline: here the test's own end of it is enough.
      socket.destroySoon();
      await closed;
    },
  );
  await fc.assert(property, { numRuns: 150 });

  for (const connection of core.sessions.connections) await connection.until(({ clean }) => clean !== undefined);
  const client = await useClient(url, ["trunkline.v1.json"]);
  expect(client.socket.protocol).toBe("trunkline.v1.json");
});

it("refuses headers beyond 16 KiB", async () => {
  const { port } = await useBridge();
  expect((await upgrade(port, { cookie: "x".repeat(20_000) })).status).toBe(431);
});

it("reads a message sent together with the handshake, and one sent byte by byte", async () => {
  const { port, core } = await useBridge();
  const socket = await useTcp(port);
  socket.resume();
  // {} as a masked text frame, with a mask of zeros.
  const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x7b, 0x7d]);
  socket.write(Buffer.concat([Buffer.from(HANDSHAKE), frame]));
  const connection = await core.sessions.connection();
  await connection.until(({ frames }) => frames.length === 1);
  for (const byte of frame) await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
  await connection.until(({ frames }) => frames.length === 2);
});

it("does not read for a peer that answers nothing: pongs that pile up end the connection", async () => {
  const { port, core } = await useBridge();
  const socket = await useTcp(port);
  socket.on("error", () => {});
  socket.write(HANDSHAKE);
  const connection = await core.sessions.connection();
  const pings = Buffer.concat(
    Array.from({ length: 4_000 }, () => Buffer.from([0x89, 0xfd, 0, 0, 0, 0, ...new Uint8Array(125)])),
  );
  for (let batch = 0; batch < 64 && connection.clean === undefined; batch++) {
    if (!socket.write(pings))
      await Promise.race([once(socket, "drain"), connection.until(({ clean }) => clean !== undefined)]);
  }
  await connection.until(({ clean }) => clean === false);
});

it("answers whatever is asked of the fallback, and the sessions of others live on", async () => {
  const { http, core } = await useBridge({ limits: { maxFrameBytes: 512 } });
  const other = await useEvents(http);
  const keys = fc.oneof(
    fc.string({ maxLength: 80 }).map((text) => encodeURIComponent(text)),
    fc.stringMatching(/^[\w-]{22}\.[\w-]{22}(\.[\w-]{1,12})?$/),
    fc.constant("own"),
  );
  const headers = fc.record(
    {
      "trunkline-batch": fc.oneof(fc.nat(3).map(String), fc.constantFrom("-1", "1e3", "0x1", "99999999999", "")),
      "trunkline-close": fc.constantFrom("1000", "1001", "99", "x"),
      origin: fc.constantFrom("null", "https://app.example.com", "https://other.example.com"),
      "content-type": fc.constantFrom("text/plain", "application/json", "x"),
    },
    { requiredKeys: [] },
  );
  const property = fc.asyncProperty(
    keys,
    headers,
    fc.uint8Array({ maxLength: 600 }),
    fc.nat(3),
    async (key, more, body, number) => {
      const own = key === "own" ? await useEvents(http) : undefined;
      const { status } = await post(http, own?.key ?? key, number, new Uint8Array(body), more);
      expect([204, 400, 403, 404, 409, 413]).toContain(status);
      own?.cut();
    },
  );
  await fc.assert(property, { numRuns: 150 });
  const [connection] = core.sessions.connections;
  expect(connection?.frames).toEqual([]);
  expect((await other.post(1, '{"ping":{}}')).status).toBe(204);
  for (const each of core.sessions.connections.slice(1)) await each.until(({ clean }) => clean !== undefined);
  expect(connection?.clean).toBeUndefined();
});
