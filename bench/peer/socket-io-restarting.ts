// The peer `socket.io` as it is advised for servers that are restarted: connection-state recovery, acknowledged publishes, and a
// server that ends its connections when it is told to leave.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { eventText } from "./event-text.js";
import { reportReady } from "./ready.js";

const BACKLOG = 4_096;
const RECOVERABLE_MS = 2 * 60_000;

const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  connectionStateRecovery: { maxDisconnectionDuration: RECOVERABLE_MS },
});
let seq = 0;

io.on("connection", (socket) => {
  const room = socket.handshake.query.room;
  if (typeof room === "string" && !socket.recovered) void socket.join(room);
  socket.on("publish", (to: unknown, text: unknown, acknowledge: unknown) => {
    io.to(String(to)).emit("event", eventText(++seq, String(text)));
    if (typeof acknowledge === "function") acknowledge();
  });
});
process.once("SIGTERM", () => {
  void io.close().then(() => process.exit(0));
});

http.listen(Number(process.argv[2] ?? 0), "127.0.0.1", BACKLOG, () => reportReady(http.address()));
