// What the memory engine keeps of users: devices, and when they were last online.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type DeviceDocument,
  DeviceDocumentSchema,
  type LastSeenDocument,
  LastSeenDocumentSchema,
} from "../../src/gen/trunkline/store/v1/documents_pb.js";
import { DEVICES_PER_USER, type DeviceChange, type LastSeenChange } from "../../src/ports/user-archive.js";
import type { MemoryState } from "./memory-engine-state.js";

export function devicesOf(state: MemoryState, tenantId: string, userId: string): readonly DeviceDocument[] {
  const kept = state.devices.get(`${tenantId}/${userId}`) ?? new Map<string, Uint8Array>();
  return [...kept].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => fromBinary(DeviceDocumentSchema, bytes));
}

export function putDevices(state: MemoryState, changes: readonly DeviceChange[]): void {
  for (const { tenantId, userId, document } of changes) {
    const key = `${tenantId}/${userId}`;
    const kept = state.devices.get(key) ?? new Map<string, Uint8Array>();
    state.devices.set(key, kept);
    kept.set(document.device?.deviceId ?? "", toBinary(DeviceDocumentSchema, document));
    const byAge = devicesOf(state, tenantId, userId).toSorted((a, b) => a.lastSeenMs - b.lastSeenMs);
    for (const { device } of byAge.slice(0, Math.max(0, byAge.length - DEVICES_PER_USER))) {
      kept.delete(device?.deviceId ?? "");
    }
  }
}

export function lastSeenOf(state: MemoryState, tenantId: string, userId: string): LastSeenDocument | undefined {
  const bytes = state.lastSeen.get(`${tenantId}/${userId}`);
  return bytes && fromBinary(LastSeenDocumentSchema, bytes);
}

export function putLastSeen(state: MemoryState, changes: readonly LastSeenChange[]): void {
  for (const { tenantId, userId, atMs, visibility } of changes) {
    const kept = lastSeenOf(state, tenantId, userId) ?? create(LastSeenDocumentSchema);
    kept.atMs = Math.max(kept.atMs, atMs ?? 0);
    kept.visibility = visibility ?? kept.visibility;
    state.lastSeen.set(`${tenantId}/${userId}`, toBinary(LastSeenDocumentSchema, kept));
  }
}
