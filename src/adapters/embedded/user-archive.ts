// The embedded archive of users: devices, and when they were last online.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
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
import type { GroupCommit, Write } from "./group-commit.js";
import { after, namedKey, userKey } from "./keys.js";
import type { Tables } from "./tables.js";

export class EmbeddedUserArchive implements UserArchive {
  readonly #tables: Tables;
  readonly #commit: GroupCommit;
  /** One write after the other: each looks at what the one before has written. */
  #written: Promise<void> = Promise.resolve();

  constructor(tables: Tables, commit: GroupCommit) {
    this.#tables = tables;
    this.#commit = commit;
  }

  devices(tenantId: string, userId: string): readonly DeviceDocument[] {
    const prefix = userKey(tenantId, userId);
    const entries = this.#tables.devices.getRange({ start: prefix, end: after(prefix) });
    return Array.from(entries, ({ value }) => fromBinary(DeviceDocumentSchema, value));
  }

  putDevices(changes: readonly DeviceChange[]): Promise<void> {
    return this.#inTurn(() => {
      const users = new Map<string, DeviceChange[]>();
      for (const change of changes) {
        const key = userKey(change.tenantId, change.userId);
        const same = users.get(key);
        if (same === undefined) users.set(key, [change]);
        else same.push(change);
      }
      return [...users].flatMap(([key, same]) => this.#deviceWrites(key, same));
    });
  }

  #deviceWrites(prefix: string, changes: readonly DeviceChange[]): Write[] {
    const table = this.#tables.devices;
    const writes: Write[] = changes.map(({ document }) => ({
      table,
      key: namedKey(prefix, document.device?.deviceId ?? ""),
      value: toBinary(DeviceDocumentSchema, document),
    }));
    // Only a device that is new can be one too many.
    if (writes.every(({ key }) => table.doesExist(key))) return writes;
    const seen = new Map<string, number>();
    for (const { key, value } of table.getRange({ start: prefix, end: after(prefix) })) {
      seen.set(key, fromBinary(DeviceDocumentSchema, value).lastSeenMs);
    }
    for (const [index, { key }] of writes.entries()) seen.set(key, changes[index]?.document.lastSeenMs ?? 0);
    const byAge = [...seen].sort(([, a], [, b]) => a - b);
    for (const [key] of byAge.slice(0, Math.max(0, byAge.length - DEVICES_PER_USER))) {
      writes.push({ table, key, value: undefined });
    }
    return writes;
  }

  lastSeen(tenantId: string, userIds: readonly string[]): readonly (LastSeenDocument | undefined)[] {
    return userIds.map((userId) => this.#lastSeen(userKey(tenantId, userId)));
  }

  putLastSeen(changes: readonly LastSeenChange[]): Promise<void> {
    return this.#inTurn(() => {
      const documents = new Map<string, LastSeenDocument>();
      for (const { tenantId, userId, atMs, visibility } of changes) {
        const key = userKey(tenantId, userId);
        const document = documents.get(key) ?? this.#lastSeen(key) ?? create(LastSeenDocumentSchema);
        document.atMs = Math.max(document.atMs, atMs ?? 0);
        document.visibility = visibility ?? document.visibility;
        documents.set(key, document);
      }
      return Array.from(documents, ([key, document]) => ({
        table: this.#tables.lastSeen,
        key,
        value: toBinary(LastSeenDocumentSchema, document),
      }));
    });
  }

  #lastSeen(key: string): LastSeenDocument | undefined {
    const stored = this.#tables.lastSeen.getBinary(key);
    return stored && fromBinary(LastSeenDocumentSchema, stored);
  }

  #inTurn(writes: () => readonly Write[]): Promise<void> {
    const written = this.#written.then(() => this.#commit.commit(writes()));
    this.#written = written.catch(() => {});
    return written;
  }
}
