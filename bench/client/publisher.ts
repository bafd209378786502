// The one who publishes to a room at a given rate.

import { answeredSlot, createPublishSlot } from "./publish.js";
import { openSession, type Session } from "./session.js";
import type { Dial } from "./wire.js";

export interface Publisher {
  readonly session: Session;
  /** Publishes message `n`, in order; queues what the server does not take yet. */
  readonly publish: (n: number) => void;
}

/** Publishes in order over one session; keeps what is over the server's limit of requests in flight until answers come. */
export async function openPublisher(
  dial: Dial,
  token: string,
  roomId: string,
  fail: (reason: string) => void,
): Promise<Publisher> {
  const waiting: number[] = [];
  const free: number[] = [];
  const session = await openSession(dial, {
    token,
    deviceId: "publisher",
    attempt: 1,
    rooms: [],
    raw(buffer, start, end) {
      const slot = answeredSlot(buffer, start, end);
      if (slot < 0) return false;
      free.push(slot);
      flush();
      return true;
    },
    failed: (reason) => fail(`publisher: ${reason}`),
  });
  const slots = Array.from({ length: session.maxInFlight }, (_, slot) => {
    free.push(slot);
    return createPublishSlot(session.wire, slot, roomId, "m-");
  });

  function flush(): void {
    while (waiting.length > 0) {
      const slot = free.pop();
      if (slot === undefined) return;
      const n = waiting.shift();
      const frame = slots[slot]?.frame(n ?? 0);
      if (frame !== undefined) session.wire.write(frame);
    }
  }

  return {
    session,
    publish(n) {
      waiting.push(n);
      flush();
    },
  };
}
