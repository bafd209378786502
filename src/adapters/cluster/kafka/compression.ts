// How the records of a batch are compressed: together, what comes before them never. https://kafka.apache.org/documentation/#recordbatch

import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** `zstd` needs Node 22.15. */
export type Compression = "none" | "gzip" | "zstd";

/** The lowest three of a batch's attributes say how it is compressed; 0: it is not. */
const CODEC_MASK = 0x07;
const GZIP = 1;
const ZSTD = 4;
/** A record or two are made hardly smaller, for some 30 µs. */
const LEAST_BYTES = 1_024;
/** Levels above save a few per cent more for several times the work. */
const LEVEL = 1;
/** A batch holds less by far: what becomes more was not written by a node. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Throws RangeError where this Node cannot write what is asked for. */
export function requireCompression(compression: Compression): void {
  if (compression === "zstd" && !hasZstd()) throw new RangeError("compression by zstd needs Node 22.15 or newer");
}

/** The batch with everything from `from` on compressed, and the codec for its attributes; 0 and the same bytes where that makes it no smaller. */
export function compressed(
  batch: Buffer,
  from: number,
  compression: Compression,
): { readonly bytes: Buffer; readonly codec: number } {
  const plain = { bytes: batch, codec: 0 };
  if (compression === "none" || batch.length - from < LEAST_BYTES) return plain;
  const records = batch.subarray(from);
  const smaller =
    compression === "gzip"
      ? gzipSync(records, { level: LEVEL })
      : zstdCompressSync(records, { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } });
  if (smaller.length >= records.length) return plain;
  const bytes = Buffer.concat([batch.subarray(0, from), smaller]);
  return { bytes, codec: compression === "gzip" ? GZIP : ZSTD };
}

/** The records of a batch with these attributes. Throws where they are compressed in a way that no node writes, or are damaged. */
export function decompressed(records: Buffer, attributes: number, base: number): Buffer {
  const codec = attributes & CODEC_MASK;
  if (codec === 0) return records;
  const isKnown = codec === GZIP || (codec === ZSTD && hasZstd());
  if (!isKnown) {
    const why = codec === ZSTD ? "by zstd, which needs Node 22.15 or newer" : "as no node does";
    const what = `the record batch at offset ${base} is compressed ${why}`;
    throw new Error(`${what}: compression.type of the topic must be producer`);
  }
  const limit = { maxOutputLength: MOST_BYTES };
  try {
    return codec === GZIP ? gunzipSync(records, limit) : zstdDecompressSync(records, limit);
  } catch (cause) {
    throw new Error(`the record batch at offset ${base} is damaged`, { cause });
  }
}

function hasZstd(): boolean {
  return typeof zstdCompressSync === "function";
}
