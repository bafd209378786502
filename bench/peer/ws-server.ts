// The peer `ws`: the least a room server on `ws` can do. It keeps the members of each room in a set and sends a message, made
// into JSON once, to each of them in a loop. It stores nothing.

import { createServer } from "node:http";
import { type WebSocket, WebSocketServer } from "ws";
import { eventText } from "./event-text.js";
import { reportReady } from "./ready.js";

const BACKLOG = 4_096;

const rooms = new Map<string, Set<WebSocket>>();
const http = createServer();
const sockets = new WebSocketServer({ server: http, perMessageDeflate: false, clientTracking: false });
let seq = 0;

sockets.on("connection", (socket, request) => {
  const room = new URL(request.url ?? "/", "http://peer").searchParams.get("room");
  if (room !== null) {
    const members = rooms.get(room) ?? new Set();
    rooms.set(room, members);
    members.add(socket);
    socket.on("close", () => members.delete(socket));
  }
  socket.on("error", () => socket.terminate());
  socket.on("message", (data) => {
    const message = readMessage(String(data));
    const text = Buffer.from(JSON.stringify(eventText(++seq, message.text)));
    for (const member of rooms.get(message.room) ?? []) member.send(text, { binary: false });
  });
});

http.listen(0, "127.0.0.1", BACKLOG, () => reportReady(http.address()));

function readMessage(json: string): { readonly room: string; readonly text: string } {
  const value: unknown = JSON.parse(json);
  if (typeof value === "object" && value !== null && "room" in value && "text" in value) {
    return { room: String(value.room), text: String(value.text) };
  }
  throw new Error("a message needs room and text");
}
