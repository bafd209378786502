// The peer `socket.io`: its own rooms and `io.to(room).emit`, WebSocket transport only. It stores nothing.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { eventText } from "./event-text.js";
import { reportReady } from "./ready.js";

const BACKLOG = 4_096;

const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });
let seq = 0;

io.on("connection", (socket) => {
  const rooms = socket.handshake.query.room;
  if (typeof rooms === "string") void socket.join(rooms.split(","));
  socket.on("publish", (to: unknown, text: unknown) => {
    io.to(String(to)).emit("event", eventText(++seq, String(text)));
  });
});

http.listen(0, "127.0.0.1", BACKLOG, () => reportReady(http.address()));
