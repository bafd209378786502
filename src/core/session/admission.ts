// Whether there is a place for one session more, and who has to go for it.

import { DeviceKind } from "../../gen/trunkline/v1/message_pb.js";
import type { DeviceKindName, DeviceLimit, Limits } from "../limit/limits.js";
import type { Quota } from "../limit/refusal.js";

/** What of a session counts. */
export interface Counted {
  readonly device: { readonly kind: DeviceKind };
}

export type Verdict<S> =
  /** There is a place once these have been closed. */
  | { readonly admitted: true; readonly oldest: readonly S[] }
  | { readonly admitted: false; readonly quota: Quota; readonly limit: number; readonly current: number };

/**
 * Judges a newcomer. First by the kind of its device, then by its user, then by its tenant: whoever is closed for the one is not counted by
 * the next. A tenant that is full refuses, and nobody is closed then.
 *
 * @param others The user's other live sessions, oldest first, without the one that the newcomer replaces.
 * @param elsewhere Live sessions of the tenant's other users.
 */
export function admit<S extends Counted>(
  newcomer: Counted,
  others: readonly S[],
  elsewhere: number,
  limits: Pick<Limits, "deviceLimits" | "maxSessionsPerUser" | "sessionPolicy" | "maxSessionsPerTenant">,
): Verdict<S> {
  const { kind } = newcomer.device;
  const ofKind = others.filter(({ device }) => device.kind === kind);
  const limitOfKind = limits.deviceLimits[NAMES[kind] ?? "unspecified"];
  const crowd = excess(ofKind, limitOfKind);
  if (crowd === "refused") {
    const { max: limit = 0 } = limitOfKind ?? {};
    return { admitted: false, quota: "sessions_per_device_kind", limit, current: ofKind.length };
  }
  const left = others.filter((each) => !crowd.includes(each));
  const older = excess(left, { max: limits.maxSessionsPerUser, policy: limits.sessionPolicy });
  if (older === "refused") {
    return {
      admitted: false,
      quota: "sessions_per_user",
      limit: limits.maxSessionsPerUser,
      current: left.length,
    };
  }
  const oldest = [...crowd, ...older];
  const current = elsewhere + others.length - oldest.length;
  const limit = limits.maxSessionsPerTenant;
  if (limit > 0 && current >= limit) return { admitted: false, quota: "sessions_per_tenant", limit, current };
  return { admitted: true, oldest };
}

/**
 * Which of a user's live sessions, on whatever nodes, are too many: where two have connected at the same moment on two nodes, neither has
 * counted the other. The same whoever asks.
 *
 * @param sessions The one that connected first first.
 */
export function surplus<S extends Counted>(
  sessions: readonly S[],
  limits: Pick<Limits, "deviceLimits" | "maxSessionsPerUser" | "sessionPolicy">,
): readonly S[] {
  const beyond = (of: readonly S[], { max, policy }: DeviceLimit): readonly S[] => {
    if (of.length <= max) return [];
    return policy === "refuse-new" ? of.slice(max) : of.slice(0, of.length - max);
  };
  const crowd: S[] = [];
  for (const kind of new Set(sessions.map(({ device }) => device.kind))) {
    const limit = limits.deviceLimits[NAMES[kind] ?? "unspecified"];
    if (limit === undefined) continue;
    crowd.push(
      ...beyond(
        sessions.filter(({ device }) => device.kind === kind),
        limit,
      ),
    );
  }
  const left = sessions.filter((each) => !crowd.includes(each));
  return [...crowd, ...beyond(left, { max: limits.maxSessionsPerUser, policy: limits.sessionPolicy })];
}

/** Which of the sessions are too many beside one more. */
function excess<S>(sessions: readonly S[], limit: DeviceLimit | undefined): readonly S[] | "refused" {
  if (limit === undefined || sessions.length < limit.max) return [];
  return limit.policy === "refuse-new" ? "refused" : sessions.slice(0, sessions.length + 1 - limit.max);
}

/** A kind that this server does not know yet has no name. */
const NAMES: { readonly [K in DeviceKind]?: DeviceKindName } = {
  [DeviceKind.UNSPECIFIED]: "unspecified",
  [DeviceKind.WEB]: "web",
  [DeviceKind.MOBILE]: "mobile",
  [DeviceKind.DESKTOP]: "desktop",
  [DeviceKind.SERVICE]: "service",
};
