// The same bridge over TLS.

import { once } from "node:events";
import { Agent, get } from "node:https";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { type Certificates, makeCertificates } from "../transport/grpc/certificates.js";
import { useBridge, useTcp } from "./use-bridge.js";

describe("with a certificate", () => {
  let certificates: Certificates;
  beforeAll(() => {
    certificates = makeCertificates();
  });

  it("carries frames of every length both ways", async () => {
    const { core, port } = await useBridge({ tls: certificates.server });
    const socket = new WebSocket(`wss://127.0.0.1:${port}/v1/connect`, ["trunkline.v1.json"], { ca: certificates.ca });
    onTestFinished(() => socket.terminate());
    await once(socket, "open");
    const text = `{"publish":{"roomId":"${"r".repeat(60_000)}"}}`;
    socket.send(text);
    const connection = await core.sessions.connection();
    await connection.until(({ frames }) => frames.length === 1);
    const frame = connection.sink.encoding.roomEvents("x".repeat(200_000), []);
    connection.sink.write([frame, frame]);
    for (let index = 0; index < 2; index++) {
      const [data] = await once(socket, "message");
      expect(JSON.parse(String(data)).roomEvents.roomId).toHaveLength(200_000);
    }
  });

  it("answers over https", async () => {
    const { port } = await useBridge({ tls: certificates.server });
    const [response] = await once(get(`https://127.0.0.1:${port}/health/live`, { ca: certificates.ca }), "response");
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  it("does not wait at its end for a handshake that does not come, nor for a connection kept alive", async () => {
    const { bridge, port } = await useBridge({ tls: certificates.server });
    await useTcp(port);
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const options = { ca: certificates.ca, agent };
    const [response] = await once(get(`https://127.0.0.1:${port}/health/live`, options), "response");
    response.resume();
    await once(response, "end");
    await bridge.close(60_000);
  });
});
