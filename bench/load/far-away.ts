// A network between a page and its server: it delays what goes through it, and can be cut.

import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface FarAway {
  readonly port: number;
  /** Ends the connections there are. Those that come are held until `restore`. */
  cut(): void;
  restore(): void;
  close(): void;
}

/** Forwards to a port of this machine. @param oneWayMs How long a byte takes, each way; opening a connection takes no time. */
export async function startFarAway(port: number, oneWayMs: number): Promise<FarAway> {
  const open = new Set<Socket>();
  let held: (() => void)[] | undefined;
  const server = createServer({ noDelay: true }, (near) => {
    const forward = (): void => {
      const far = connect({ port, host: "127.0.0.1", noDelay: true });
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        open.add(from);
        from.on("data", (data) => later(oneWayMs, () => to.write(data)));
        from.on("error", () => {});
        from.on("close", () => {
          open.delete(from);
          to.destroy();
        });
      }
    };
    if (held === undefined) forward();
    else held.push(forward);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    cut() {
      held ??= [];
      for (const socket of open) socket.destroy();
    },
    restore() {
      const waiting = held ?? [];
      held = undefined;
      for (const forward of waiting) forward();
    },
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Timers of the same length fire in the order they were set in: bytes do not overtake each other. */
function later(ms: number, action: () => void): void {
  if (ms === 0) action();
  else setTimeout(action, ms);
}
