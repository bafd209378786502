// A user's sessions on other nodes: they count for the same limits, and of one device only one stays.
//
// A newcomer is judged by what the directory knows, as by the sessions of this node; and once it is in the directory, whoever is too many
// is closed: of several that connected at the same moment on several nodes the last to be entered sees all the others, and each node
// picks the same ones. While the directory is away only the sessions of each node count.

import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import type { SessionEntry } from "../../ports/session-directory.js";
import type { CoreDependencies } from "../core.js";
import { quotaRefusal } from "../limit/quota.js";
import { admit, surplus } from "./admission.js";
import { outdated } from "./registry.js";
import { TenantPlaces } from "./tenant-places.js";

/** Of a session that is about to be. */
export type Newcomer = Pick<SessionEntry, "tenantId" | "userId" | "device" | "attempt">;

export class SessionsElsewhere {
  readonly #deps: Pick<CoreDependencies, "directory" | "telemetry" | "tenants">;
  readonly #places: TenantPlaces | undefined;

  constructor(
    deps: Pick<CoreDependencies, "directory" | "telemetry" | "tenants" | "clock" | "cluster">,
    sessionsOf: (tenantId: string) => number,
  ) {
    this.#deps = deps;
    const tenantSessions = deps.cluster?.tenantSessions;
    this.#places = tenantSessions && new TenantPlaces({ ...deps, tenantSessions, sessionsOf });
  }

  /**
   * Before a session is made. Rejects with CONFLICT where its device has a session of a higher attempt, with LIMIT_EXCEEDED where the user
   * has as many as may be and new ones are refused, or the tenant. Resolves with what is to be called once the session is made, or will not be.
   */
  async judge({ tenantId, userId, device, attempt }: Newcomer): Promise<() => void> {
    const { directory, telemetry, tenants } = this.#deps;
    let sessions: readonly SessionEntry[];
    try {
      sessions = await directory.sessions(tenantId, userId);
    } catch (cause) {
      // Whoever comes is served: the limit holds again when it can be told.
      telemetry.emit("fault", { where: "sessions on other nodes", cause });
      return () => {};
    }
    const { deviceId } = device;
    for (const other of sessions) {
      if (other.device.deviceId === deviceId && other.attempt > attempt) throw outdated(other.attempt);
    }
    const others = oneOfEachDevice(sessions).filter((other) => other.device.deviceId !== deviceId);
    const verdict = admit({ device }, others, 0, { ...tenants.of(tenantId), maxSessionsPerTenant: 0 });
    if (verdict.admitted) {
      const replaces = sessions.some((other) => other.device.deviceId === deviceId);
      return (await this.#places?.claim(tenantId, verdict.oldest.length + (replaces ? 1 : 0))) ?? (() => {});
    }
    const { quota, limit, current } = verdict;
    const message = "there would be too many sessions";
    throw quotaRefusal(telemetry, tenantId, quota, { message, limit, current });
  }

  /** A session of this node has ended. */
  left(tenantId: string): void {
    this.#places?.left(tenantId);
  }

  stop(): void {
    this.#places?.stop();
  }

  /** After a session has been entered in the directory: closes who is too many, on whatever node. Never throws; nobody waits for it. */
  settle(session: SessionEntry): void {
    this.#settle(session).catch((cause: unknown) => {
      this.#deps.telemetry.emit("fault", { where: "sessions on other nodes", cause });
    });
  }

  async #settle({ tenantId, userId }: SessionEntry): Promise<void> {
    const { directory, tenants } = this.#deps;
    const sessions = oneOfEachDevice(await directory.sessions(tenantId, userId));
    for (const { sessionId } of surplus(sessions, tenants.of(tenantId))) {
      await directory.close(tenantId, { sessionId }, CloseCode.TOO_MANY_SESSIONS, "the user has too many sessions");
    }
  }
}

/** Without those that another session of their device replaces: they are about to go. In the order given. */
function oneOfEachDevice(sessions: readonly SessionEntry[]): readonly SessionEntry[] {
  const latest = new Map<string, SessionEntry>();
  for (const session of sessions) {
    const { deviceId } = session.device;
    if (session.attempt >= (latest.get(deviceId)?.attempt ?? 0)) latest.set(deviceId, session);
  }
  return sessions.filter((session) => latest.get(session.device.deviceId) === session);
}
