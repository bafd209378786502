// Who gets a WebSocket, and what the others are told.

import { once } from "node:events";
import { request } from "node:http";
import { describe, expect, it, vi } from "vitest";
import { handshake, upgrade, useBridge, useClient, useTcp } from "../use-bridge.js";

describe("origins", () => {
  it("lets clients in that send none: they are no browsers", async () => {
    const { port } = await useBridge();
    expect((await upgrade(port)).status).toBe(101);
  });

  it("lets pages of the bridge's own host in, also behind a proxy that ends TLS", async () => {
    const { port } = await useBridge({ allowedOrigins: [] });
    expect((await upgrade(port, { origin: `http://127.0.0.1:${port}` })).status).toBe(101);
    expect((await upgrade(port, { origin: "https://chat.example.com", host: "chat.example.com" })).status).toBe(101);
  });

  it("lets listed origins in and no others", async () => {
    const { port, core } = await useBridge();
    expect((await upgrade(port, { origin: "https://app.example.com" })).status).toBe(101);
    for (const origin of ["https://app.example.com.evil.test", "http://app.example.com", "null", "nonsense"]) {
      expect((await upgrade(port, { origin })).status, origin).toBe(403);
    }
    expect(core.sessions.asked).toBe(1);
  });

  it("lets every origin in where * is stated", async () => {
    const { port } = await useBridge({ allowedOrigins: ["*"] });
    expect((await upgrade(port, { origin: "https://anywhere.test" })).status).toBe(101);
  });
});

describe("subprotocols", () => {
  it.each(["trunkline.v1.binary", "trunkline.v1.json"])("speaks %s where it is offered", async (name) => {
    const { port } = await useBridge();
    const { status, text } = await upgrade(port, { "sec-websocket-protocol": `unknown, ${name}` });
    expect(status).toBe(101);
    expect(text).toContain(`Sec-WebSocket-Protocol: ${name}`);
  });

  it("takes the first of those it knows", async () => {
    const { url } = await useBridge();
    const client = await useClient(url, ["trunkline.v1.json", "trunkline.v1.binary"]);
    expect(client.socket.protocol).toBe("trunkline.v1.json");
  });

  it("refuses a client that offers only unknown ones", async () => {
    const { port, core } = await useBridge();
    const { status, text } = await upgrade(port, { "sec-websocket-protocol": "trunkline.v2, chat" });
    expect(status).toBe(400);
    expect(text).toContain("trunkline.v1.binary, trunkline.v1.json");
    expect(core.sessions.connections).toHaveLength(0);
  });
});

function until(isSo: () => boolean): Promise<void> {
  return vi.waitFor(() => expect(isSo()).toBe(true), { timeout: 10_000, interval: 5 });
}

describe("admission", () => {
  it("answers 503 with Retry-After when the core admits nobody", async () => {
    const { port, core } = await useBridge();
    core.sessions.admission = { admitted: false, retryAfterMs: 2_500 };
    const { status, text } = await upgrade(port);
    expect(status).toBe(503);
    expect(text).toMatch(/^Retry-After: 3\r$/m);
    expect(text).toContain('"code":"UNAVAILABLE"');
    expect(core.sessions.connections).toHaveLength(0);
  });

  it("holds a handshake until its turn comes, and does not answer it before", async () => {
    const { port, core } = await useBridge();
    core.sessions.holds = true;
    let answered = false;
    const answer = upgrade(port).finally(() => {
      answered = true;
    });
    await until(() => core.sessions.held.size === 1);
    expect(answered).toBe(false);
    for (const admit of core.sessions.held) admit({ admitted: true });
    expect((await answer).status).toBe(101);
    expect(core.sessions.connections).toHaveLength(1);
  });

  it("answers 503 to one that was held and did not come in", async () => {
    const { port, core } = await useBridge();
    core.sessions.holds = true;
    const answer = upgrade(port);
    await until(() => core.sessions.held.size === 1);
    for (const admit of core.sessions.held) admit({ admitted: false, retryAfterMs: 1_000 });
    expect((await answer).status).toBe(503);
  });

  it("lets go of one whose client goes while it is held, whether it says so or breaks off", async () => {
    const { port, core } = await useBridge({ maxConnections: 1 });
    core.sessions.holds = true;
    for (const end of ["destroy", "resetAndDestroy"] as const) {
      const socket = await useTcp(port);
      socket.write(handshake(port));
      await until(() => core.sessions.held.size === 1);
      socket[end]();
      await until(() => core.sessions.held.size === 0);
    }
    core.sessions.holds = false;
    expect((await upgrade(port)).status).toBe(101);
  });

  it("counts those that are held among the connections it may have", async () => {
    const { port, core } = await useBridge({ maxConnections: 1 });
    core.sessions.holds = true;
    const answer = upgrade(port);
    await until(() => core.sessions.held.size === 1);
    expect((await upgrade(port)).status).toBe(503);
    for (const admit of core.sessions.held) admit({ admitted: true });
    expect((await answer).status).toBe(101);
  });

  it("leaves without waiting for those that are held", async () => {
    const { port, core, bridge } = await useBridge();
    core.sessions.holds = true;
    const answer = upgrade(port);
    await until(() => core.sessions.held.size === 1);
    await bridge.close(1_000);
    await answer;
    await until(() => core.sessions.held.size === 0);
  });

  it("answers 503 beyond the connections it may hold, and takes new ones when others leave", async () => {
    const { port, url, core } = await useBridge({ maxConnections: 1 });
    const client = await useClient(url);
    expect((await upgrade(port)).status).toBe(503);
    client.socket.close();
    const connection = await core.sessions.connection();
    await connection.until(({ clean }) => clean !== undefined);
    expect((await upgrade(port)).status).toBe(101);
  });

  it("says which connections it has refused", async () => {
    const { port, telemetry } = await useBridge();
    const refused: number[] = [];
    telemetry.on("session.refused", ({ code }) => refused.push(code));
    await upgrade(port, { origin: "https://evil.test" });
    expect(refused).toEqual([403]);
  });
});

describe("requests that are no WebSocket handshake", () => {
  it("get 404 on other paths", async () => {
    const { port } = await useBridge();
    expect((await upgrade(port, {}, "/elsewhere")).status).toBe(404);
  });

  it("are answered as if they asked for no upgrade where it is one to HTTP/2, as some clients offer with every request", async () => {
    const { port, http } = await useBridge();
    const offer = { upgrade: "h2c", connection: "Upgrade, HTTP2-Settings, close", "http2-settings": "AAMAAABkAAQ" };
    expect(await upgrade(port, offer, "/health/live")).toMatchObject({ status: 200 });
    expect(await upgrade(port, offer)).toMatchObject({ status: 426 });
    const headers = { ...offer, "content-type": "application/json", authorization: "Bearer good-ann" };
    const call = request(`${http}/trunkline.v1.DeliveryService/SendToRoom`, { method: "POST", headers }).end("{}");
    const [response] = await once(call, "response");
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  it("get 400 for a key that is none", async () => {
    const { port } = await useBridge();
    expect((await upgrade(port, { "sec-websocket-key": "short" })).status).toBe(400);
  });

  it("get 426 without an upgrade", async () => {
    const { http } = await useBridge();
    expect((await fetch(`${http}/v1/connect`)).status).toBe(426);
  });
});
