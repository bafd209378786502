// A repair of kafkajs 2.2.4: its connections are to rest while they have nothing to do.
//
// After each answer, a connection's request queue schedules a look at the requests that wait, at the time until which the broker
// has throttled it. When nothing waits and nothing is throttled, that time is -1: the timer is due decades ago, fires a millisecond
// later, and schedules itself again, for ever. Every connection so costs a thousand wake-ups a second, and Node warns of each
// process (TimeoutNegativeWarning). The repair asks first whether there is anything to look at.

import { KafkajsRequestQueue } from "./internals.js";

let repaired = false;

/** Repairs every connection of kafkajs in this process, once. To be called before the first is made. */
export function restIdleConnections(): void {
  if (repaired) return;
  repaired = true;
  const { prototype } = KafkajsRequestQueue;
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: KafkajsRequestQueue): void {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this);
  };
}
