// An inbox that is asked for by a session that does not live to see it.

import { expect, it } from "vitest";
import type { Fanout } from "../../../src/ports/fanout.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { gate, settle, useCore } from "../use-core.js";

/** Keeps count of who listens. */
class CountingEngine extends MemoryEngine {
  listening = 0;

  override get fanout(): Fanout {
    const inner = super.fanout;
    return {
      announce: (room, events) => inner.announce(room, events),
      signal: (room, frame) => inner.signal(room, frame),
      top: (room, seq) => inner.top(room, seq),
      lossy: inner.lossy,
      subscribe: async (...asked) => {
        const subscription = await inner.subscribe(...asked);
        this.listening++;
        return {
          close: () => {
            this.listening--;
            subscription.close();
          },
        };
      },
    };
  }
}

it("leaves nothing behind of an inbox that is opened for a session that ends meanwhile", async () => {
  const engine = new CountingEngine();
  const core = await useCore({ engine });
  const ada = await core.connect("ada");
  const stored = gate<void>();
  engine.faultOf = () => ({ kind: "hold", until: stored.promise });
  ada.send({ case: "subscribe", value: { roomId: ada.last("welcome").inboxRoomId } });
  await settle();
  expect(engine.listening).toBe(1);
  ada.connection.gone(true);
  stored.resolve();
  await settle();
  expect(engine.listening).toBe(0);
});
