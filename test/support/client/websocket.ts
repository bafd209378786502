// The test client over WebSocket, with protobuf or JSON frames.

import { WebSocket } from "ws";
import { Connection, type ConnectOptions, receiver } from "./connection.js";
import { Inbox, type JsonObject } from "./inbox.js";
import { isObject } from "./json-value.js";
import type { Schema } from "./schema.js";

export interface WebSocketOptions extends ConnectOptions {
  readonly headers?: { readonly [name: string]: string };
  /** Instead of the subprotocol of the encoding. Empty: none. */
  readonly subprotocols?: readonly string[];
}

export async function connectWebSocket(
  schema: Schema,
  url: string,
  encoding: "binary" | "json",
  options: WebSocketOptions = {},
): Promise<Connection> {
  const inbox = new Inbox(options.label ?? `WebSocket ${encoding} client`);
  const protocols = options.subprotocols ?? [`trunkline.v1.${encoding}`];
  const socket = new WebSocket(url, [...protocols], { perMessageDeflate: false, headers: { ...options.headers } });
  const send = (frame: JsonObject): void => {
    socket.send(encoding === "json" ? JSON.stringify(frame) : schema.encode("trunkline.v1.ClientFrame", frame));
  };
  const receive = receiver(inbox, options, send);
  socket.on("message", (data, isBinary) => {
    const bytes = Array.isArray(data)
      ? Buffer.concat(data)
      : Buffer.from(data instanceof ArrayBuffer ? new Uint8Array(data) : data);
    if (isBinary) return receive(schema.decode("trunkline.v1.ServerFrame", bytes));
    const frame: unknown = JSON.parse(bytes.toString("utf8"));
    if (isObject(frame)) receive(frame);
  });
  socket.on("close", (code, reason) => inbox.end({ code, reason: reason.toString("utf8") }));
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.on("error", reject);
  });
  return new Connection(
    {
      send,
      sendRaw: (data) => socket.send(data),
      close: () => socket.close(1000),
      destroy: () => socket.terminate(),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
    },
    inbox,
  );
}
