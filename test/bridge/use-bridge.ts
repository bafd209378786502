// A bridge on a free port over a fake core, and clients that speak to it. All of it ends with the test.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { WebSocket } from "ws";
import type { Bridge, BridgeOptions } from "../../bridge/options.js";
import { startBridge } from "../../bridge/server.js";
import { Telemetry } from "../../src/core/telemetry.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import { FakeCore } from "./fake-core.js";

/** A clock that stands still until a test moves it. */
export class StoppedClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly action: () => void }>();

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): Timer {
    const timer = { at: this.#now + delayMs, action };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  soon(action: () => void): void {
    setImmediate(action);
  }

  /** How many calls are scheduled. */
  get pending(): number {
    return this.#timers.size;
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#now || !this.#timers.delete(timer)) continue;
      timer.action();
    }
  }
}

export interface BridgeUnderTest {
  readonly bridge: Bridge;
  readonly core: FakeCore;
  readonly clock: StoppedClock;
  readonly telemetry: Telemetry;
  readonly http: string;
  readonly url: string;
  readonly port: number;
}

export async function useBridge(options: Partial<BridgeOptions> = {}): Promise<BridgeUnderTest> {
  const core = new FakeCore();
  const clock = new StoppedClock();
  const telemetry = new Telemetry();
  const bridge = await startBridge({
    core,
    port: 0,
    allowedOrigins: ["https://app.example.com"],
    limits: { maxFrameBytes: 64 * 1024 },
    telemetry,
    clock,
    ...options,
  });
  onTestFinished(async () => {
    const closed = bridge.close(0);
    clock.advance(0);
    await closed;
  });
  const authority = `127.0.0.1:${bridge.port}`;
  return {
    bridge,
    core,
    clock,
    telemetry,
    http: `http://${authority}`,
    url: `ws://${authority}/v1/connect`,
    port: bridge.port,
  };
}

export interface Message {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

/** A WebSocket client that keeps what it receives. */
export interface Client {
  readonly socket: WebSocket;
  /** The next message, in order. */
  next(): Promise<Message>;
  /** Resolves with the close code and reason. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

export async function useClient(url: string, protocols: string[] = []): Promise<Client> {
  const socket = new WebSocket(url, protocols);
  onTestFinished(() => socket.terminate());
  const messages: Message[] = [];
  const waiting: ((message: Message) => void)[] = [];
  socket.on("message", (data, isBinary) => {
    const message = { data: Buffer.isBuffer(data) ? data : Buffer.alloc(0), isBinary };
    const waiter = waiting.shift();
    if (waiter === undefined) messages.push(message);
    else waiter(message);
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  await once(socket, "open");
  return {
    socket,
    closed,
    next: () => {
      const message = messages.shift();
      return message === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(message);
    },
  };
}

/** A TCP connection that says what the test wants. */
export async function useTcp(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, "connect");
  return socket;
}

/** An upgrade request. */
export function handshake(port: number, headers: Readonly<Record<string, string>> = {}, path = "/v1/connect"): string {
  const all = {
    host: `127.0.0.1:${port}`,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
}

/** The answer to an upgrade request with these headers: the status, and the headers and body as text. */
export async function upgrade(
  port: number,
  headers: Readonly<Record<string, string>> = {},
  path = "/v1/connect",
): Promise<{ readonly status: number; readonly text: string }> {
  const socket = await useTcp(port);
  socket.write(handshake(port, headers, path));
  let text = "";
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.startsWith("HTTP/1.1 101") && text.includes("\r\n\r\n")) break;
  }
  return { status: Number(text.split(" ", 2)[1]), text };
}
