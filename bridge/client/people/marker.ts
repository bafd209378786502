// How far a user has received and read a room. A marker never goes back, whatever is told of it in which order.

import type { Marker } from "../gen/types.js";

/** The furthest of both; `held` itself where nothing of the other is further. */
export function furthest(held: Marker | undefined, told: Marker): Marker {
  const { deliveredSeq = 0, readSeq = 0, readMessageIndex = 0 } = held ?? {};
  const read = Math.max(readSeq, told.readSeq ?? 0);
  const index = Math.max(readMessageIndex, told.readMessageIndex ?? 0);
  // What is read has been received.
  const delivered = Math.max(deliveredSeq, told.deliveredSeq ?? 0, read);
  if (held !== undefined && delivered === deliveredSeq && read === readSeq && index === readMessageIndex) return held;
  return { userId: told.userId ?? "", deliveredSeq: delivered, readSeq: read, readMessageIndex: index };
}

/** As `marker`, with nothing of what was read. */
export function withoutReading({ userId = "", deliveredSeq = 0 }: Marker): Marker {
  return { userId, deliveredSeq, readSeq: 0, readMessageIndex: 0 };
}
