// What the classes about people need of a client, in time that a test lets run, and a record of what they say.

import { RefusedError } from "../../../../bridge/client/error.js";
import type { ClientFrame, ServerFrame, Error as WireError } from "../../../../bridge/client/gen/types.js";
import { World } from "../support/world.js";

export function usePeople() {
  const world = new World();
  const said: ClientFrame[] = [];
  const server = {
    live: true,
    /** What a request is answered with, and when. */
    answer: (_frame: ClientFrame): ServerFrame | WireError => ({ done: {} }),
    takesMs: 0,
  };
  const context = {
    platform: {
      now: () => world.nowMs,
      monotonic: () => world.nowMs,
      random: () => 1,
      after: (ms: number, action: () => void) => world.after(ms, action),
    },
    live: () => server.live,
    self: () => ({ userId: "ada" }),
    post: (frame: ClientFrame) => {
      said.push(frame);
    },
    request: (frame: ClientFrame, answered?: (frame: ServerFrame) => void): Promise<ServerFrame> => {
      said.push(frame);
      return new Promise((resolve, reject) => {
        world.after(server.takesMs, () => {
          const answer = server.answer(frame);
          if ("code" in answer) reject(new RefusedError(answer));
          else {
            answered?.(answer as ServerFrame);
            resolve(answer as ServerFrame);
          }
        });
      });
    },
  };
  return {
    world,
    server,
    context,
    run: (ms = 0) => world.run(ms),
    /** What was said since the last time that this was asked. */
    take: () => said.splice(0),
  };
}
