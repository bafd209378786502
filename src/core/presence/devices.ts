// The devices of users: kept in the archive as they come and go, collected, and never in the way of a hello.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type DeviceDocument, DeviceDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import { type DeviceInfo, DeviceInfoSchema } from "../../gen/trunkline/v1/room_pb.js";
import type { Timer } from "../../ports/clock.js";
import type { SessionEntry } from "../../ports/session-directory.js";
import { DEVICES_PER_USER } from "../../ports/user-archive.js";
import type { CoreDependencies } from "../core.js";

const COLLECT_MS = 1_000;
/** More in one commit would hold up the publishes that share it. */
const WRITTEN_AT_ONCE = 500;
/** Beyond, while the archive is away, a device that comes or goes is not kept. */
const MOST_WAITING = 100_000;

interface Seen {
  readonly session: SessionEntry;
  readonly atMs: number;
}

export class DeviceRegistry {
  readonly #deps: Pick<CoreDependencies, "archive" | "clock" | "directory" | "telemetry">;
  readonly #waiting = new Map<string, Seen>();
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;

  constructor(deps: Pick<CoreDependencies, "archive" | "clock" | "directory" | "telemetry">) {
    this.#deps = deps;
  }

  /** The session's device is there, or goes. */
  saw(session: SessionEntry): void {
    const key = `${session.tenantId}/${session.userId}/${session.device.deviceId}`;
    if (this.#waiting.size >= MOST_WAITING && !this.#waiting.has(key)) return;
    this.#waiting.set(key, { session, atMs: this.#deps.clock.now() });
    this.#arm();
  }

  /** The user's devices, the one seen last first. */
  async list(tenantId: string, userId: string): Promise<DeviceInfo[]> {
    const devices = new Map<string, DeviceInfo>();
    for (const document of await this.#deps.archive.devices(tenantId, userId)) {
      if (document.device !== undefined) devices.set(document.device.deviceId, infoOf(document, false));
    }
    const prefix = `${tenantId}/${userId}/`;
    for (const [key, seen] of this.#waiting) {
      if (key.startsWith(prefix)) devices.set(seen.session.device.deviceId, infoOf(documentOf(seen), false));
    }
    const atMs = this.#deps.clock.now();
    for (const session of await this.#deps.directory.sessions(tenantId, userId)) {
      devices.set(session.device.deviceId, infoOf(documentOf({ session, atMs }), true));
    }
    const seenLast = [...devices.values()].sort((a, b) => secondsOf(b) - secondsOf(a));
    return seenLast.slice(0, DEVICES_PER_USER);
  }

  /** Writes what waits. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#writing;
    await this.#write(false);
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer ??= this.#deps.clock.after(COLLECT_MS, () => {
      this.#timer = undefined;
      this.#writing ??= this.#write(true).finally(() => {
        this.#writing = undefined;
      });
    });
  }

  async #write(again: boolean): Promise<void> {
    const waiting = [...this.#waiting];
    for (let from = 0; from < waiting.length; from += WRITTEN_AT_ONCE) {
      const some = waiting.slice(from, from + WRITTEN_AT_ONCE);
      try {
        await this.#deps.archive.putDevices(
          some.map(([, seen]) => {
            const { tenantId, userId } = seen.session;
            return { tenantId, userId, document: documentOf(seen) };
          }),
        );
      } catch (cause) {
        this.#deps.telemetry.emit("fault", { where: "devices", cause });
        if (again) this.#arm();
        return;
      }
      for (const [key, seen] of some) if (this.#waiting.get(key) === seen) this.#waiting.delete(key);
    }
    if (again && this.#waiting.size > 0) this.#arm();
  }
}

function documentOf({ session: { device, addressClass }, atMs }: Seen): DeviceDocument {
  const { deviceId, kind, name, appVersion } = device;
  return create(DeviceDocumentSchema, {
    device: { deviceId, kind, name, appVersion },
    lastSeenMs: atMs,
    addressClass,
  });
}

function infoOf({ device, lastSeenMs, addressClass }: DeviceDocument, connected: boolean): DeviceInfo {
  return create(DeviceInfoSchema, {
    deviceId: device?.deviceId ?? "",
    name: device?.name ?? "",
    appVersion: device?.appVersion ?? "",
    lastSeen: timestampFromMs(lastSeenMs),
    connected,
    ...(device === undefined ? {} : { kind: device.kind }),
    addressClass,
  });
}

function secondsOf({ lastSeen }: DeviceInfo): number {
  return Number(lastSeen?.seconds ?? 0);
}
