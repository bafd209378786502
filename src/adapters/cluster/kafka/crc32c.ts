// CRC-32C (Castagnoli), which Kafka's record batches carry: RFC 3720, appendix B.4, four bytes at a time.

/** The polynomial, bits reversed. */
const POLYNOMIAL = 0x82f63b78;

function makeTables(): readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let rest = byte;
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ POLYNOMIAL : rest >>> 1;
    return rest;
  });
  const next = (table: Uint32Array): Uint32Array => table.map((rest) => (rest >>> 8) ^ (first[rest & 0xff] ?? 0));
  const second = next(first);
  const third = next(second);
  return [first, second, third, next(third)];
}

const [T0, T1, T2, T3] = makeTables();

/** Of the bytes from `from` to the end. */
export function crc32c(bytes: Buffer, from: number): number {
  let crc = 0xffff_ffff;
  let at = from;
  for (const whole = bytes.length - 3; at < whole; at += 4) {
    const word = crc ^ bytes.readUInt32LE(at);
    crc =
      (T3[word & 0xff] ?? 0) ^
      (T2[(word >>> 8) & 0xff] ?? 0) ^
      (T1[(word >>> 16) & 0xff] ?? 0) ^
      (T0[word >>> 24] ?? 0);
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ (T0[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  return (crc ^ 0xffff_ffff) >>> 0;
}
