// The road between a browser and the server, on which things can be held up.
import { connect, createServer } from "node:net";

/** Listens on a port of its own and passes everything on to `port`. */
export async function openRoad(port) {
  /** What of a new connection may come back; then nothing does until it is open again. */
  let allowance = Number.POSITIVE_INFINITY;
  const sockets = new Set();
  const held = new Set();

  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    let left = allowance;
    const waiting = [];
    const pass = (data) => {
      const now = data.subarray(0, left);
      left -= now.length;
      if (now.length > 0) near.write(now);
      if (now.length < data.length) waiting.push(data.subarray(now.length));
    };
    const release = () => {
      left = Number.POSITIVE_INFINITY;
      for (const data of waiting.splice(0)) near.write(data);
    };
    held.add(release);
    far.on("data", pass);
    near.on("data", (data) => far.write(data));
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        held.delete(release);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    port: server.address().port,
    /** From now on only so many bytes come back over each new connection. */
    holdAfter(bytes) {
      allowance = bytes;
    },
    open() {
      allowance = Number.POSITIVE_INFINITY;
      for (const release of held) release();
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
