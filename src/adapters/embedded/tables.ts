// The tables of an LMDB environment, and what is written once when it is created.

import { type FileHandle, open as openFile } from "node:fs/promises";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { beginEra } from "./eras.js";
import { keyEncoder } from "./keys.js";
import { Table } from "./table.js";

export interface Tables {
  readonly root: RootDatabase<Uint8Array, string>;
  /** [shard, offset] → pointer to an event. */
  readonly log: Table;
  /** [shard] → end of the log, end of the archive. */
  readonly shards: Table;
  /** [shard] → offset in the log up to which, exclusive, the retention has removed what stood there. */
  readonly expired: Table;
  /** [room, seq] → event. */
  readonly events: Table;
  /** [room, event id] → seq. */
  readonly ids: Table;
  /** [room, message index] → seq of the creating event, document. */
  readonly messages: Table;
  /** [room] → document. */
  readonly rooms: Table;
  /** [room, user] → document, of present members only: they page without stepping over those who left. */
  readonly members: Table;
  /** [room, user] → document, of those who left or were banned. */
  readonly formerMembers: Table;
  /** [tenant/user, room id] → nothing, of present members. */
  readonly memberships: Table;
  /** [root, room id] → nothing, of rooms under another that were not deleted. */
  readonly subRooms: Table;
  /** [when, room, event id] → nothing, of messages that expire. */
  readonly expirations: Table;
  /** [when, room] → nothing: when to see whether it is idle. */
  readonly idleLooks: Table;
  /** [inbox, room id, message index] → nothing, of messages that the inbox's user has hidden. */
  readonly hidden: Table;
  /** [room, message index, inbox's room id] → nothing, of the same: whose hiding goes with the message. */
  readonly hiders: Table;
  /** [room, by what] → how far it was emptied, or that its members were dismissed. */
  readonly removed: Table;
  /** [shard, follower] → offset in the log. */
  readonly followers: Table;
  /** [room, user] → marker. */
  readonly markers: Table;
  /** [tenant/user] → nothing, of users whose reading is hidden. */
  readonly hiddenReading: Table;
  /** [tenant/user, device id] → document. */
  readonly devices: Table;
  /** [tenant/user] → when they were last online. */
  readonly lastSeen: Table;
  /** [outlet, room, user] → document, of what could not be handed over yet. */
  readonly parked: Table;
  /** [outlet, letter id] → document. */
  readonly deadLetters: Table;
  /** [outlet, letter id] → nothing, of dead letters that are to be tried once more. */
  readonly retries: Table;
  /** [room, user] → what they were told while they were away. */
  readonly bursts: Table;
  /** [when, notification id] → document. */
  readonly notifications: Table;
  /** [number] → an era's id, and where each shard's log ended when it began. */
  readonly eras: Table;
  /** The era that began when the environment was opened. */
  readonly era: string;
  /** How many shards the store was created with. */
  readonly shardCount: number;
}

/** The layout of keys and values. Raise it with every change that an older version could not read. */
export const SCHEMA = 1;

// Shards are two bytes of a key, and 0xffff says "none".
const MAX_SHARDS = 0xffff;

/** LMDB's own name for the data within a directory. */
export const DATA_FILE = "data.mdb";

/** Opens or creates the environment. Throws where the data is none of ours or was written by a newer version. */
export async function openTables(directory: string, shards: number): Promise<Tables> {
  if (!Number.isInteger(shards) || shards < 1 || shards >= MAX_SHARDS) {
    throw new RangeError(`shards: a whole number from 1 to ${MAX_SHARDS - 1}`);
  }
  await assertEnvironment(join(directory, DATA_FILE));
  const root = open<Uint8Array, string>({
    path: directory,
    noSubdir: false,
    maxDbs: 32,
    encoding: "binary",
    // A commit is flushed before readers can see it, so nothing is ever shown that a power cut takes back. Overlapping
    // would show first and flush after.
    overlappingSync: false,
    // Writes are grouped by GroupCommit. lmdb's own grouping leaves a promise without a handler when a commit fails.
    eventTurnBatching: false,
  });
  try {
    const meta = openTable(root, "meta");
    const schema = readText(meta, "schema");
    if (schema !== undefined && !(Number(schema) <= SCHEMA)) {
      throw new Error(
        `the data in ${directory} has schema ${schema}, this version reads up to ${SCHEMA}: start the version that wrote it`,
      );
    }
    const shardCount = Number(readText(meta, "shards") ?? shards);
    const tables: Omit<Tables, "era"> = {
      root,
      eras: openTable(root, "eras"),
      log: openTable(root, "log"),
      shards: openTable(root, "shards"),
      expired: openTable(root, "expired"),
      events: openTable(root, "events"),
      ids: openTable(root, "ids"),
      messages: openTable(root, "messages"),
      rooms: openTable(root, "rooms"),
      members: openTable(root, "members"),
      formerMembers: openTable(root, "former-members"),
      memberships: openTable(root, "memberships"),
      subRooms: openTable(root, "sub-rooms"),
      expirations: openTable(root, "expirations"),
      idleLooks: openTable(root, "idle-looks"),
      hidden: openTable(root, "hidden"),
      hiders: openTable(root, "hiders"),
      removed: openTable(root, "removed"),
      followers: openTable(root, "followers"),
      markers: openTable(root, "markers"),
      hiddenReading: openTable(root, "hidden-reading"),
      devices: openTable(root, "devices"),
      lastSeen: openTable(root, "last-seen"),
      parked: openTable(root, "parked"),
      deadLetters: openTable(root, "dead-letters"),
      retries: openTable(root, "retries"),
      bursts: openTable(root, "bursts"),
      notifications: openTable(root, "notifications"),
      shardCount,
    };
    if (schema === undefined) {
      await root.batch(() => {
        meta.put("shards", Buffer.from(String(shardCount)));
        meta.put("schema", Buffer.from(String(SCHEMA)));
      });
    }
    return { ...tables, era: await beginEra(tables) };
  } catch (error) {
    await root.close();
    throw error;
  }
}

/** Waits for transactions that are under way. Reads throw from the call on. */
export async function closeTables(tables: Tables): Promise<void> {
  for (const table of Object.values(tables)) if (table instanceof Table) table.shut();
  await tables.root.close();
}

function openTable(root: RootDatabase<Uint8Array, string>, name: string): Table {
  const options = { name, encoding: "binary" as const, cache: false, keyEncoder };
  return new Table(root.openDB<Uint8Array, string>(options));
}

function readText(table: Table, key: string): string | undefined {
  return table.getBinary(key)?.toString("latin1");
}

// Where a file of this LMDB begins to differ from any other: the magic number of its first page, little-endian.
const MAGIC_AT = 24;
const MAGIC = 0xbeefc0de;

/** lmdb takes a file that is something else for one of its own, and the process dies of it. */
async function assertEnvironment(path: string): Promise<void> {
  let file: FileHandle;
  try {
    file = await openFile(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
    throw error;
  }
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(MAGIC_AT + 4), position: 0 });
    if (bytesRead > 0 && buffer.readUInt32LE(MAGIC_AT) !== MAGIC) throw new Error(`${path} is not a store`);
  } finally {
    await file.close();
  }
}
