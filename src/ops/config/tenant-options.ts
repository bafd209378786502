// What may be said of single tenants, as a file says it: the names and the spelling of the options that hold for all.

import * as z from "zod";
import { OPERATION_CLASSES, type ScopedRates } from "../../core/limit/rates.js";
import type { TenantDifferences } from "../../core/limit/tenants.js";
import { LIMIT_OPTIONS } from "./limit-options.js";
import { scopedRatesSchema } from "./rate-options.js";

const QUOTAS = [
  "maxSessionsPerTenant",
  "maxSessionsPerUser",
  "maxRoomsPerTenant",
  "maxMembersPerRoom",
  "maxTextBytes",
  "maxMetadataBytes",
] as const satisfies readonly (keyof typeof LIMIT_OPTIONS & keyof TenantDifferences)[];

const TENANT_ID = /^[A-Za-z0-9._:~-]{1,128}$/;

/** Spelt with their unit, and so named without it. */
const DURATIONS = { archiveAfter: LIMIT_OPTIONS.archiveAfter.schema.optional() };

const quotas = Object.fromEntries(QUOTAS.map((name) => [name, LIMIT_OPTIONS[name].schema.optional()]));
const rates = Object.fromEntries(OPERATION_CLASSES.map((of) => [`${of}Rate`, scopedRatesSchema(of).optional()]));
const tenants = z.record(
  z.string().regex(TENANT_ID, "is no tenant id"),
  z.strictObject({ ...quotas, ...DURATIONS, ...rates }),
);

export type TenantsRead =
  | { readonly tenants: ReadonlyMap<string, TenantDifferences> }
  /** Each names the tenant and the option. */
  | { readonly problems: readonly string[] };

/** Reads a parsed file: `{"acme": {"maxTextBytes": "8KiB", "publishRate": "tenant=500"}}`. */
export function readTenants(parsed: unknown): TenantsRead {
  const read = tenants.safeParse(parsed);
  if (!read.success) {
    return { problems: read.error.issues.map(({ path, message }) => [...path.map(String), message].join(": ")) };
  }
  return { tenants: new Map(Object.entries(read.data).map(([id, said]) => [id, differencesOf(said)])) };
}

function differencesOf(said: { readonly [name: string]: unknown }): TenantDifferences {
  const stated = Object.entries(said).filter(([, value]) => value !== undefined);
  const byClass = OPERATION_CLASSES.flatMap((of) => {
    const rate = stated.find(([name]) => name === `${of}Rate`)?.[1];
    return isRates(rate) ? [[of, rate] as const] : [];
  });
  const numbers = stated.filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const limits = numbers.map(([name, value]) => [name in DURATIONS ? `${name}Ms` : name, value]);
  return { ...Object.fromEntries(limits), rates: Object.fromEntries(byClass) };
}

/** As the schema has read it. */
function isRates(value: unknown): value is Partial<ScopedRates> {
  return typeof value === "object" && value !== null;
}
