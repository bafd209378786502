// Presence as the rest of the core sees it: sessions that come and go, and what follows from that.

import { create } from "@bufbuild/protobuf";
import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import type { DeviceInfo } from "../../gen/trunkline/v1/room_pb.js";
import * as rpc from "../../gen/trunkline/v1/room_pb.js";
import { LastSeenVisibility, type SetPresence } from "../../gen/trunkline/v1/session_pb.js";
import type { LocalSession } from "../../ports/session-directory.js";
import type { CoreDependencies } from "../core.js";
import type { Caller } from "../room/calls.js";
import type { RoomOwner } from "../room/owner.js";
import { validateOptionalId } from "../validate.js";
import { DeviceRegistry } from "./devices.js";
import { PresenceHub } from "./hub.js";
import { Rechecks } from "./rechecks.js";
import { RoomWatches } from "./room-watches.js";
import { PresenceService } from "./service.js";
import { SessionPresence, type WatchingSession, type WatchServices } from "./session-presence.js";
import { Visibility } from "./visibility.js";
import { choiceOf } from "./wire.js";

/** Codes from here on are final: the client does not come back by itself. */
const FINAL_CODES = 4500;
/** What a connection ends with that its client has closed in order (RFC 6455, 7.4.1). */
const CLOSED_CLEANLY = 1000;

export class PresenceCore {
  readonly calls: PresenceService;
  readonly #deps: CoreDependencies;
  readonly #devices: DeviceRegistry;
  readonly #watching: WatchServices;

  constructor(deps: CoreDependencies, owner: RoomOwner) {
    const hub = new PresenceHub(deps, owner.blocks, owner.notices);
    this.#deps = deps;
    this.#devices = new DeviceRegistry(deps);
    this.calls = new PresenceService(deps, hub);
    this.#watching = {
      directory: deps.directory,
      hub,
      rooms: new RoomWatches(deps, owner, hub),
      visibility: new Visibility(deps),
      rechecks: new Rechecks(deps.clock),
    };
  }

  start(): void {
    this.calls.start();
  }

  /** Ends what services follow: the node leaves. */
  drain(): void {
    this.calls.stop();
  }

  /** Ends every timer. Sessions have ended before. */
  async stop(): Promise<void> {
    this.calls.stop();
    this.#watching.rechecks.stop();
    this.#watching.rooms.stop();
    this.#watching.hub.stop();
    await Promise.all([this.#devices.stop(), this.#deps.directory.stop()]);
  }

  connected(session: LocalSession): void {
    this.#deps.directory.connect(session);
    this.#devices.saw(session);
  }

  /** `code` as the session has ended with it. One that may come back by itself is waited for a little. */
  disconnected(session: LocalSession, code: number): void {
    this.#deps.directory.disconnect(session, code !== CLOSED_CLEANLY && code < FINAL_CODES);
    this.#devices.saw(session);
  }

  async set(session: LocalSession, frame: SetPresence): Promise<void> {
    const choice = choiceOf("set_presence.", frame);
    const { tenantId, userId } = session;
    const { directory } = this.#deps;
    if (frame.lastSeenVisibility !== LastSeenVisibility.UNSPECIFIED) {
      await directory.setLastSeenVisibility(tenantId, userId, frame.lastSeenVisibility);
    }
    directory.choose(session, choice);
  }

  /** What a session watches from its first watch on. */
  watchOf(session: WatchingSession): SessionPresence {
    return new SessionPresence(this.#watching, session);
  }

  // — devices —

  /** The user's devices, the one seen last first. */
  devicesOf(tenantId: string, userId: string): Promise<DeviceInfo[]> {
    return this.#devices.list(tenantId, userId);
  }

  async listDevices({ identity }: Caller): Promise<rpc.ListDevicesResponse> {
    const devices = await this.#devices.list(identity.tenantId, identity.userId);
    return create(rpc.ListDevicesResponseSchema, { devices });
  }

  async closeDevice(caller: Caller, { deviceId }: rpc.CloseDeviceRequest): Promise<rpc.CloseDeviceResponse> {
    validateOptionalId("device_id", deviceId);
    const { tenantId, userId } = caller.identity;
    const which = deviceId === "" ? { userId, exceptDeviceId: caller.deviceId } : { userId, deviceId };
    const closed = await this.#deps.directory.close(tenantId, which, CloseCode.KICKED, "closed by the user");
    return create(rpc.CloseDeviceResponseSchema, { closed });
  }
}
