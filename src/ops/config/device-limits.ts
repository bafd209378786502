// How many sessions of each kind of device a user may have, as an option.

import * as z from "zod";
import { DEVICE_KINDS, type DeviceLimit, type DeviceLimits, SESSION_POLICIES } from "../../core/limit/limits.js";
import { type Option, option } from "./option.js";

const PROBLEM = `must be limits by kind of device (${DEVICE_KINDS.join(", ")}), each with ${SESSION_POLICIES.join(" or ")}: web=5,mobile=2:refuse-new`;
const [CLOSE_OLDEST] = SESSION_POLICIES;
const MOST = 10_000;

/** "5", "2:refuse-new". */
const written = z.string().transform((text, context): DeviceLimit => {
  const [, max, policy] = /^(\d{1,6})(?::([a-z-]+))?$/.exec(text.trim()) ?? [];
  const known = policy === undefined ? CLOSE_OLDEST : SESSION_POLICIES.find((each) => each === policy);
  if (max !== undefined && known !== undefined) return { max: Number(max), policy: known };
  context.addIssue(PROBLEM);
  return z.NEVER;
});
const object = z.strictObject({ max: z.number(), policy: z.literal(SESSION_POLICIES).default(CLOSE_OLDEST) });
const limit = z
  .union([written, z.number().transform(String).pipe(written), object])
  .refine(({ max }) => Number.isInteger(max) && max >= 1 && max <= MOST);

const byKind = z.partialRecord(z.literal(DEVICE_KINDS), limit);
const joined = z.string().transform((text, context): DeviceLimits => {
  const parts = text.split(",").filter((part) => part.trim() !== "");
  const pairs = parts.map((part) => {
    const at = part.indexOf("=");
    return [part.slice(0, Math.max(at, 0)).trim(), part.slice(at + 1)];
  });
  const read = byKind.safeParse(Object.fromEntries(pairs));
  if (read.success) return read.data;
  context.addIssue(PROBLEM);
  return z.NEVER;
});

/** Kinds that are not named have no limit of their own. */
export function deviceLimits(fallback: DeviceLimits, doc: string): Option<DeviceLimits> {
  const schema = z.union([joined, byKind], { error: PROBLEM });
  return option<DeviceLimits>({ placeholder: "LIMITS", fallback, doc, schema, format: formatDeviceLimits });
}

function formatDeviceLimits(limits: DeviceLimits): string {
  const parts = DEVICE_KINDS.flatMap((kind) => {
    const found = limits[kind];
    if (found === undefined) return [];
    return [`${kind}=${found.max}${found.policy === CLOSE_OLDEST ? "" : `:${found.policy}`}`];
  });
  return parts.join(",");
}
