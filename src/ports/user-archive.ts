// What the archive keeps of users beside their rooms: devices, and when they were last online. Not folded from the log.
//
// Answers as those of the archive do. Writes are all or nothing, in the order of the calls, durable when they resolve; they reject with
// UNAVAILABLE. Nothing of it is a promise to anybody: what a crash takes is at most what was not written yet.

import type { DeviceDocument, LastSeenDocument } from "../gen/trunkline/store/v1/documents_pb.js";
import type { Awaitable } from "./room-ref.js";

/** Devices of a user that are kept: those seen last. */
export const DEVICES_PER_USER = 50;

export interface DeviceChange {
  readonly tenantId: string;
  readonly userId: string;
  readonly document: DeviceDocument;
}

export interface LastSeenChange {
  readonly tenantId: string;
  readonly userId: string;
  /** What is not stated stays as it is. Times do not go back. */
  readonly atMs?: number;
  readonly visibility?: LastSeenDocument["visibility"];
}

export interface UserArchive {
  /** The user's devices, by device id. */
  devices(tenantId: string, userId: string): Awaitable<readonly DeviceDocument[]>;

  /** Keeps devices as they are now; of a user that has more than DEVICES_PER_USER then, those unseen for longest go. Idempotent. */
  putDevices(changes: readonly DeviceChange[]): Promise<void>;

  /** When users were last online, in the order asked for; undefined: nothing is known. */
  lastSeen(tenantId: string, userIds: readonly string[]): Awaitable<readonly (LastSeenDocument | undefined)[]>;

  /** Keeps what the changes state. Idempotent. */
  putLastSeen(changes: readonly LastSeenChange[]): Promise<void>;
}
