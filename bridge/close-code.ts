// How a connection's end is told on the wire.

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
