// The application's hooks: where they are, and what the log says of them.

import { createAccessHook } from "../adapters/hook/access-hook.js";
import { createPublishHook } from "../adapters/hook/publish-hook.js";
import type { AccessHookRules, PublishHookRules } from "../core/hook/rules.js";
import type { HookName, Telemetry } from "../core/telemetry.js";
import { RoomKind } from "../gen/trunkline/v1/message_pb.js";
import type { Clock } from "../ports/clock.js";
import type { AccessHookOptions, PublishHookOptions } from "./options.js";

const KINDS = {
  direct: RoomKind.DIRECT,
  group: RoomKind.GROUP,
  channel: RoomKind.CHANNEL,
  inbox: RoomKind.INBOX,
} as const;

const USUAL_ROOMS = ["direct", "group", "channel"] as const;

/** A hook as the core takes it, and what ends its connection. */
export interface Hooked<R> {
  readonly rules: R;
  close(): void;
}

export function publishHookOf(
  options: PublishHookOptions,
  clock: Clock,
  telemetry: Telemetry,
): Hooked<PublishHookRules> {
  const { failure = "closed", services = false, rooms = USUAL_ROOMS, bodies, tenants = [] } = options;
  const where = {
    failure,
    services,
    roomKinds: new Set(rooms.map((room) => KINDS[room])),
    bodies: bodies && new Set(bodies),
    tenants: tenants.length === 0 ? undefined : new Set(tenants),
  };
  if ("hook" in options) return { rules: { ...where, hook: options.hook }, close: () => {} };
  const { address, tls, timeoutMs } = options;
  const hook = createPublishHook({
    address,
    tls,
    clock,
    ...(timeoutMs !== undefined && { timeoutMs }),
    onTurn: turned(telemetry, "publish"),
  });
  return { rules: { ...where, hook }, close: () => hook.close() };
}

export function accessHookOf(options: AccessHookOptions, clock: Clock, telemetry: Telemetry): Hooked<AccessHookRules> {
  const { failure = "closed", rooms = ["group", "channel"], tenants = [] } = options;
  const where = {
    failure,
    roomKinds: new Set(rooms.map((room) => KINDS[room])),
    tenants: tenants.length === 0 ? undefined : new Set(tenants),
  };
  if ("hook" in options) return { rules: { ...where, hook: options.hook }, close: () => {} };
  const { address, tls, timeoutMs } = options;
  const hook = createAccessHook({
    address,
    tls,
    clock,
    ...(timeoutMs !== undefined && { timeoutMs }),
    onTurn: turned(telemetry, "access"),
  });
  return { rules: { ...where, hook }, close: () => hook.close() };
}

function turned(telemetry: Telemetry, hook: HookName) {
  return (away: { readonly cause: unknown } | undefined): void =>
    telemetry.emit("hook.turned", { hook, away: away !== undefined, cause: away?.cause });
}
