// What the archive keeps of users beside their rooms, in MongoDB.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type AnyBulkWriteOperation, Binary } from "mongodb";
import {
  type DeviceDocument,
  DeviceDocumentSchema,
  type LastSeenDocument,
  LastSeenDocumentSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import {
  DEVICES_PER_USER,
  type DeviceChange,
  type LastSeenChange,
  type UserArchive,
} from "../../ports/user-archive.js";
import { asking, type Collections, type DeviceRow, type LastSeenRow, named, userKey, within } from "./mongo.js";

export class MongoUserArchive implements UserArchive {
  readonly #collections: Collections;
  /** One write after the other, in the order of the calls. */
  #written: Promise<void> = Promise.resolve();

  constructor(collections: Collections) {
    this.#collections = collections;
  }

  devices(tenantId: string, userId: string): Promise<readonly DeviceDocument[]> {
    return asking(async () => {
      const rows = await this.#collections.devices
        .find({ _id: within(userKey(tenantId, userId)) })
        .sort({ _id: 1 })
        .toArray();
      return rows.map(({ doc }) => fromBinary(DeviceDocumentSchema, doc.buffer.subarray(0, doc.position)));
    });
  }

  putDevices(changes: readonly DeviceChange[]): Promise<void> {
    return this.#inTurn(async () => {
      const operations: AnyBulkWriteOperation<DeviceRow>[] = changes.map(({ tenantId, userId, document }) => ({
        updateOne: {
          filter: { _id: named(userKey(tenantId, userId), document.device?.deviceId ?? "") },
          update: {
            $set: { seen: document.lastSeenMs, doc: new Binary(toBinary(DeviceDocumentSchema, document)) },
          },
          upsert: true,
        },
      }));
      if (operations.length === 0) return;
      await this.#collections.devices.bulkWrite(operations);
      for (const user of new Set(changes.map(({ tenantId, userId }) => userKey(tenantId, userId)))) {
        await this.#letGo(user);
      }
    });
  }

  lastSeen(tenantId: string, userIds: readonly string[]): Promise<readonly (LastSeenDocument | undefined)[]> {
    return asking(async () => {
      const keys = userIds.map((userId) => userKey(tenantId, userId));
      const rows = await this.#collections.lastSeen.find({ _id: { $in: keys } }).toArray();
      const byKey = new Map(rows.map((row) => [row._id, row]));
      return keys.map((key) => {
        const row = byKey.get(key);
        return row && create(LastSeenDocumentSchema, { atMs: row.at ?? 0, visibility: row.visibility ?? 0 });
      });
    });
  }

  putLastSeen(changes: readonly LastSeenChange[]): Promise<void> {
    return this.#inTurn(async () => {
      const operations: AnyBulkWriteOperation<LastSeenRow>[] = changes
        .filter(({ atMs, visibility }) => atMs !== undefined || visibility !== undefined)
        .map(({ tenantId, userId, atMs, visibility }) => ({
          updateOne: {
            filter: { _id: userKey(tenantId, userId) },
            update: {
              ...(atMs === undefined ? {} : { $max: { at: atMs } }),
              ...(visibility === undefined ? {} : { $set: { visibility } }),
            },
            upsert: true,
          },
        }));
      if (operations.length > 0) await this.#collections.lastSeen.bulkWrite(operations);
    });
  }

  /** Keeps the user's devices that were seen last. */
  async #letGo(user: string): Promise<void> {
    const { devices } = this.#collections;
    const rows = await devices
      .find({ _id: within(user) })
      .project<{ readonly _id: string }>({ _id: 1 })
      .sort({ seen: -1, _id: -1 })
      .skip(DEVICES_PER_USER)
      .toArray();
    if (rows.length > 0) await devices.deleteMany({ _id: { $in: rows.map(({ _id }) => _id) } });
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    const written = this.#written.then(() => asking(write));
    this.#written = written.catch(() => {});
    return written;
  }
}
