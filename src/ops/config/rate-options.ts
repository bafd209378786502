// The rates of each class of operations as options. Their defaults are the core's own.

import * as z from "zod";
import {
  DEFAULT_RATES,
  OPERATION_CLASSES,
  type OperationClass,
  type RateDifferences,
  type Rates,
  ratesWith,
  type Scope,
  type ScopedRates,
  scopesOf,
} from "../../core/limit/rates.js";
import { formatRate, type Option, option, RATE_PROBLEM, rateSchema } from "./option.js";

const MEANINGS: Readonly<Record<OperationClass, string>> = {
  publish: "New messages",
  edit: "Edits, deletions, reactions and pins",
  mark: "Markers",
  typing: "Typing frames",
  signal: "The application's own signals",
  presence: "Setting and watching presence",
  read: "Subscriptions, history, events, lists and receipts",
  administer: "Making, changing and deleting rooms, joining, leaving and other changes of members",
  settings: "Settings, blocks, hidden messages, devices and fresh tokens",
  service: "Calls of DeliveryService and PresenceService",
};

/**
 * "user=100/200,tenant=0": some scopes, the others as they are by default. "0": no limit in any. In a file also an object.
 */
export function scopedRatesSchema(of: OperationClass): z.ZodType<Partial<ScopedRates>> {
  const scopes = scopesOf(of);
  const problem = `must be 0 (no limit) or rates by scope, of ${scopes.join(", ")}: ${scopes[0]}=50/100,tenant=0`;
  const none = z.union([z.literal(0), z.literal("0")]).transform(() => noneOf(scopes));
  const shape = Object.fromEntries(scopes.map((scope) => [scope, rateSchema.optional()]));
  const object = z.strictObject(shape).transform(stated);
  const written = z.string().transform((text, context): Partial<ScopedRates> => {
    const read = object.safeParse(Object.fromEntries(text.split(",").map((part) => pairOf(part))));
    if (read.success) return read.data;
    context.addIssue(problem);
    return z.NEVER;
  });
  return z.union([none, object, written], { error: `${problem}; a rate ${RATE_PROBLEM}` });
}

function pairOf(part: string): readonly [string, string] {
  const at = part.indexOf("=");
  return [part.slice(0, Math.max(at, 0)).trim(), part.slice(at + 1).trim()];
}

function noneOf(scopes: readonly Scope[]): Partial<ScopedRates> {
  return Object.fromEntries(scopes.map((scope) => [scope, { perSecond: 0, burst: 0 }]));
}

/** Without what is not stated. */
function stated(rates: Partial<Record<string, ScopedRates[Scope]>>): Partial<ScopedRates> {
  return Object.fromEntries(Object.entries(rates).filter(([, rate]) => rate !== undefined));
}

function scopedRates(of: OperationClass): Option<ScopedRates> {
  const fallback = DEFAULT_RATES[of];
  const format = (rates: ScopedRates) =>
    scopesOf(of)
      .map((scope) => `${scope}=${formatRate(rates[scope])}`)
      .join(",");
  const schema = scopedRatesSchema(of).transform((differing): ScopedRates => ({ ...fallback, ...differing }));
  return option({ placeholder: "RATES", fallback, doc: `${MEANINGS[of]}, a second and at once.`, schema, format });
}

export const RATE_OPTIONS = {
  publishRate: scopedRates("publish"),
  editRate: scopedRates("edit"),
  markRate: scopedRates("mark"),
  typingRate: scopedRates("typing"),
  signalRate: scopedRates("signal"),
  presenceRate: scopedRates("presence"),
  readRate: scopedRates("read"),
  administerRate: scopedRates("administer"),
  settingsRate: scopedRates("settings"),
  serviceRate: scopedRates("service"),
} satisfies { readonly [C in OperationClass as `${C}Rate`]: Option<ScopedRates> };

type RateValues = { readonly [K in keyof typeof RATE_OPTIONS]: ScopedRates };

/** The rates as the core takes them. */
export function ratesOf(values: RateValues): Rates {
  return ratesWith(
    Object.fromEntries(OPERATION_CLASSES.map((of) => [of, values[`${of}Rate`]])) satisfies RateDifferences,
  );
}
