// How a connection's end is told on the wire.

/** The close code of a peer that vanished without a close frame (RFC 6455, section 7.1.5). */
const ABNORMAL_CLOSURE = 1006;
/** What browsers close with when their page is left or loaded anew: it may be back at once. */
const GOING_AWAY = 1001;
/** From here to before the other: the client has lost the connection, and comes back. */
const LOST = { from: 4_000, to: 4_100 };

/** Whether the client, by what it closes with, is gone, and not only its connection. */
export function saysGone(code: number): boolean {
  const lost = code >= LOST.from && code < LOST.to;
  return !lost && code !== ABNORMAL_CLOSURE && code !== GOING_AWAY;
}

/** A close frame carries at most so many bytes of reason (RFC 6455, section 5.5). */
const MAX_REASON_BYTES = 123;

/** The reason, cut to what a close frame can carry, never inside a character. */
export function closeReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON_BYTES) return reason;
  let end = MAX_REASON_BYTES;
  // A UTF-8 continuation byte is 10xxxxxx: step back to where a character begins.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString("utf8", 0, end);
}
