// A node that was paused: what others said to its sessions meanwhile comes before anything is done for them.

import { expect, it } from "vitest";
import { EmbeddedSessionDirectory } from "../../../src/adapters/embedded/session-directory.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { text, useCore } from "../use-core.js";

it("does nothing for a session before the directory has looked, and says when to ask again", async () => {
  const [clock, engine] = [new StoppedClock(), new MemoryEngine()];
  let current = true;
  const directory = new EmbeddedSessionDirectory({ archive: engine.archive, clock });
  Object.defineProperty(directory, "current", { get: () => current });
  const core = await useCore({ clock, engine, parts: { directory } });
  const anna = await core.connect("anna");
  const roomId = await core.room(anna, "r1");
  const publish = text(roomId, "p1");
  const frames = [
    publish,
    { case: "subscribe" as const, value: { roomId } },
    { case: "typing" as const, value: { roomId } },
  ];
  current = false;
  for (const frame of frames) {
    expect((await anna.ask(frame)).value).toMatchObject({ code: ErrorCode.UNAVAILABLE, retryAfterMs: 500 });
  }
  expect((await anna.ask({ case: "ping", value: { id: 1 } })).case).toBe("pong");
  current = true;
  expect((await anna.ask(publish)).case).toBe("published");
});
