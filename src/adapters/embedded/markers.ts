// Markers in the tables, and what unread counts need of the messages.

import { toBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { MarkerDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import { ActorSchema, RoomEventSchema } from "../../gen/trunkline/v1/message_pb.js";
import type { MarkerChange } from "../../ports/archive.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { GroupCommit, Write } from "./group-commit.js";
import { after, namedKey, numberedKey, roomKey } from "./keys.js";
import { appliedSeqOf, readEvent, readMessage, writeDocument } from "./records.js";
import { RemovedRooms } from "./removed.js";
import type { Tables } from "./tables.js";

const ACTOR = RoomEventSchema.field.actor.number;
const USER_ID = ActorSchema.field.userId.number;

export class MarkerTable {
  readonly #tables: Tables;
  readonly #commit: GroupCommit;
  /** One `put` after the other: each looks at what the one before has written. */
  #put: Promise<void> = Promise.resolve();

  constructor(tables: Tables, commit: GroupCommit) {
    this.#tables = tables;
    this.#commit = commit;
  }

  put(markers: readonly MarkerChange[]): Promise<void> {
    const put = this.#put.then(() => this.#commit.commit(this.#writes(markers)));
    this.#put = put.catch(() => {});
    return put;
  }

  /** Resolves when what was put by now is stored, or has failed. */
  async settled(): Promise<void> {
    await this.#put;
  }

  sentBy(room: RoomRef, userId: string, afterIndex: number, throughIndex: number): number {
    if (throughIndex <= afterIndex) return 0;
    const key = roomKey(room);
    const range = { start: numberedKey(key, afterIndex + 1), end: after(numberedKey(key, throughIndex)) };
    let count = 0;
    for (const { value } of this.#tables.messages.getRange(range)) {
      const created = this.#tables.events.getBinary(numberedKey(key, readMessage(value).createdSeq));
      if (created !== undefined && actorOf(readEvent(created).bytes) === userId) count += 1;
    }
    return count;
  }

  #writes(markers: readonly MarkerChange[]): readonly Write[] {
    const writes = new Map<string, { readonly revision: number; readonly write: Write }>();
    const removed = new RemovedRooms(this.#tables);
    for (const { room, document } of markers) {
      if (removed.isDismissed(room)) continue;
      const { revision, userId } = document;
      const key = namedKey(roomKey(room), userId);
      const stored = this.#tables.markers.getBinary(key);
      const known = writes.get(key)?.revision ?? (stored === undefined ? -1 : appliedSeqOf(stored));
      if (known >= revision) continue;
      const value = writeDocument(revision, toBinary(MarkerDocumentSchema, document));
      writes.set(key, { revision, write: { table: this.#tables.markers, key, value } });
    }
    return Array.from(writes.values(), ({ write }) => write);
  }
}

/** Who did it, without decoding the rest of the event. */
function actorOf(event: Uint8Array): string | undefined {
  const reader = new BinaryReader(event);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === ACTOR && type === WireType.LengthDelimited) return userIdOf(reader.bytes());
    reader.skip(type, field);
  }
  return undefined;
}

function userIdOf(actor: Uint8Array): string | undefined {
  const reader = new BinaryReader(actor);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === USER_ID && type === WireType.LengthDelimited) return reader.string();
    reader.skip(type, field);
  }
  return undefined;
}
