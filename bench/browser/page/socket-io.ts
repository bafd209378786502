// Runs in the page: an application on Socket.IO's own client that listens to its rooms.

import { io } from "socket.io-client";
import { offer } from "./receiver.js";

offer(({ url, rooms }, heard) => {
  const socket = io(url, { transports: ["websocket"], query: { room: rooms.join(",") } });
  socket.on("event", (event: { readonly text: string }) => {
    // Each event is a message of its own.
    heard.frame();
    heard.message(event.text);
  });
  return new Promise((resolve, reject) => {
    socket.on("connect", resolve);
    socket.on("connect_error", reject);
  });
});
