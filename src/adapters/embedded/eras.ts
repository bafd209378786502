// The eras of a store: one for each time that it was opened, with where each shard's log ended then. A copy has those up to its moment and
// goes on in one of its own, so that what was read of a history that is lost is known: by its era, or by an offset its era never came to.

import { randomBytes } from "node:crypto";
import type { RootDatabase } from "lmdb";
import { after, lastUint32, numberedKey, shardKey } from "./keys.js";
import { readShard } from "./records.js";
import type { Table } from "./table.js";

/** Eras that are remembered: what was read so many starts ago is taken for another store's. */
const MAX_ERAS = 4_096;
const ID_BYTES = 12;
/** 12 bytes in base64url. */
const ID_LENGTH = 16;
const OFFSET_BYTES = 8;

/** Begins every key. */
const PREFIX = "era";
const LAST_FIRST = { start: after(PREFIX), end: PREFIX, reverse: true };

/** Of a store's tables, those that eras are about. */
interface EraTables {
  readonly root: RootDatabase<Uint8Array, string>;
  readonly eras: Table;
  readonly shards: Table;
  readonly shardCount: number;
}

/** Begins an era, and returns its id once it is on stable storage. */
export async function beginEra(tables: EraTables): Promise<string> {
  const { root, eras } = tables;
  const [last] = eras.getKeys({ ...LAST_FIRST, limit: 1 });
  const [first] = eras.getKeys({ start: PREFIX, end: after(PREFIX), limit: 1 });
  const number = last === undefined ? 0 : lastUint32(last) + 1;
  const id = randomBytes(ID_BYTES).toString("base64url");
  const ends = endsOf(tables);
  const value = Buffer.alloc(ID_LENGTH + ends.length * OFFSET_BYTES);
  value.write(id, "latin1");
  for (const [shard, end] of ends.entries()) value.writeDoubleBE(end, ID_LENGTH + shard * OFFSET_BYTES);
  await root.batch(() => {
    eras.put(numberedKey(PREFIX, number), value);
    if (first !== undefined && number - lastUint32(first) >= MAX_ERAS) eras.remove(first);
  });
  return id;
}

/** Whether what was read up to `offsets` in an era is what the log holds. */
export function continuesEra(tables: EraTables, era: string, offsets: readonly number[]): boolean {
  if (offsets.length !== tables.shardCount) return false;
  // How far the log had come when the era was over.
  let ends = endsOf(tables);
  for (const { value } of tables.eras.getRange(LAST_FIRST)) {
    const begun = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    if (begun.toString("latin1", 0, ID_LENGTH) === era) {
      return offsets.every((offset, shard) => offset <= (ends[shard] ?? -1));
    }
    ends = ends.map((_, shard) => begun.readDoubleBE(ID_LENGTH + shard * OFFSET_BYTES));
  }
  return false;
}

function endsOf({ shards, shardCount }: EraTables): readonly number[] {
  return Array.from({ length: shardCount }, (_, shard) => readShard(shards.getBinary(shardKey(shard))).end);
}
