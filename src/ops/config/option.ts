// An option is declared once: its type, default, bounds and meaning. Help, validation, .env.example and the documentation's
// table all come from the declaration.

import * as z from "zod";
import { isRate } from "../../core/limit/rates.js";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.js";

/** One setting. Its name is its key in the declaration; the flag's and the variable's names follow from that. */
export interface Option<T> {
  /** How a value looks, in help: "PORT". Empty for a switch, which takes none. */
  readonly placeholder: string;
  /** Accepts the text of a flag or variable and the value of a JSON file. */
  readonly schema: z.ZodType<T>;
  readonly fallback: T;
  /** What it does, with its unit and, where the default is not obvious, why. One or two sentences. */
  readonly doc: string;
  /** A value as one would write it in a variable. Empty: not set. */
  format(value: T): string;
  /** Never shown as it is, and not to be given as a flag, which others on the machine can see. */
  readonly secret: boolean;
  /** What is shown of a secret that is set. Default: that it is. */
  masked?(value: T): string;
  /** Whether the flag may be repeated, each adding a value. */
  readonly list: boolean;
  /** The choices, where there are only these. */
  readonly choices: readonly string[];
}

/** The type of an option's value. */
export type ValueOf<O> = O extends Option<infer T> ? T : never;

/** A token bucket as options know it. */
export interface RateValue {
  readonly perSecond: number;
  readonly burst: number;
}

export function option<T>(
  declared: Pick<Option<T>, "placeholder" | "schema" | "fallback" | "doc"> & Partial<Option<T>>,
): Option<T> {
  return { format: (value) => `${value ?? ""}`, secret: false, list: false, choices: [], ...declared };
}

/** Text that must not be empty. */
const filled = z.string("must be text").trim().min(1, "must not be empty");

export function text(placeholder: string, fallback: string, doc: string): Option<string> {
  return option({ placeholder, fallback, doc, schema: filled });
}

export function optionalText(placeholder: string, doc: string): Option<string | undefined> {
  return option<string | undefined>({ placeholder, fallback: undefined, doc, schema: filled });
}

export function secret(placeholder: string, doc: string): Option<string | undefined> {
  return { ...optionalText(placeholder, doc), secret: true };
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const NAME_PROBLEM = "must be 1 to 64 letters, digits, dots, hyphens and underscores, and begin with a letter or digit";
/** A name that others build names of their own with. */
const named = filled.regex(NAME, NAME_PROBLEM);

export function name(fallback: string, doc: string): Option<string> {
  return option({ placeholder: "NAME", fallback, doc, schema: named });
}

export function optionalName(doc: string): Option<string | undefined> {
  return option<string | undefined>({ placeholder: "NAME", fallback: undefined, doc, schema: named });
}

/** A host, of IPv6 in brackets, and a port. */
const address = z
  .string("must be text")
  .trim()
  .refine((text) => {
    const port = Number(/^(?:\[[^\]\s]+\]|[^:\s[\]/@]+):(\d{1,5})$/.exec(text)?.[1]);
    return port > 0 && port < 65_536;
  }, "must be HOST:PORT");

export function optionalAddress(doc: string): Option<string | undefined> {
  return option<string | undefined>({ placeholder: "HOST:PORT", fallback: undefined, doc, schema: address });
}

/** Addresses, as a list. */
export function addresses(doc: string): Option<readonly string[]> {
  const texts = list("HOST:PORT", [], doc);
  return { ...texts, schema: texts.schema.pipe(z.array(address)) };
}

/** An address with a password in it, perhaps: what comes before the host is not shown, nor what comes after the path. */
export function secretUrl(placeholder: string, doc: string): Option<string | undefined> {
  const masked = (value: string | undefined) =>
    (value ?? "").replace(/^([\w+]+:\/\/)(?:.*@)?([^?]*)(\?.*)?$/s, (_, scheme: string, rest: string) => scheme + rest);
  return { ...secret(placeholder, doc), masked };
}

/** A comma-separated list, a repeated flag, or a JSON array. */
export function list(placeholder: string, fallback: readonly string[], doc: string): Option<readonly string[]> {
  const split = z
    .union([z.array(z.string()), z.string().transform((joined) => joined.split(","))], "must be a list of texts")
    .transform((items) => items.map((item) => item.trim()).filter((item) => item !== ""));
  return option<readonly string[]>({
    placeholder,
    fallback,
    doc,
    schema: split,
    list: true,
    format: (v) => v.join(","),
  });
}

/** A list of some of the choices. */
export function someOf<const T extends string>(
  choices: readonly T[],
  fallback: readonly T[],
  doc: string,
): Option<readonly T[]> {
  const split = z.union(
    [z.array(z.string()), z.string().transform((joined) => joined.split(",").map((item) => item.trim()))],
    "must be a list of texts",
  );
  const schema = split.pipe(z.array(z.literal(choices, `must be some of ${choices.join(", ")}`)));
  return option<readonly T[]>({
    placeholder: choices.join(","),
    fallback,
    doc,
    schema,
    choices,
    list: true,
    format: (v) => v.join(","),
  });
}

export function oneOf<const T extends string>(choices: readonly T[], fallback: T, doc: string): Option<T> {
  const schema = z.literal(choices, `must be one of ${choices.join(", ")}`);
  return option<T>({ placeholder: choices.join("|"), fallback, doc, schema, choices });
}

export function toggle(fallback: boolean, doc: string): Option<boolean> {
  const words = z.enum(["true", "false", "1", "0", "yes", "no", "on", "off"]);
  const schema = z.union(
    [z.boolean(), words.transform((word) => ["true", "1", "yes", "on"].includes(word))],
    "must be true or false",
  );
  return option({ placeholder: "", fallback, doc, schema });
}

export function integer(placeholder: string, fallback: number, min: number, max: number, doc: string): Option<number> {
  return option({ placeholder, fallback, doc, schema: wholeNumber(min, max) });
}

export function port(fallback: number, doc: string): Option<number> {
  return integer("PORT", fallback, 0, 65_535, doc);
}

export function optionalPort(doc: string): Option<number | undefined> {
  return option<number | undefined>({ placeholder: "PORT", fallback: undefined, doc, schema: wholeNumber(0, 65_535) });
}

/** Longest duration unless stated otherwise, in milliseconds: more does not fit the frames that tell of it, nor a timer. */
const LONGEST_MS = 24 * 3_600_000;
/** Largest size, in bytes: more does not fit the frames that tell of it, and nobody means it. */
const LARGEST_BYTES = 1024 ** 3;

/** Milliseconds; written with a unit ("10s") or as a bare number of them. */
export function duration(fallback: number, min: number, doc: string, max = LONGEST_MS): Option<number> {
  const problem = "must be a duration such as 250ms, 10s, 5m, 2h or 30d";
  const schema = measured(parseDuration, { min, max }, formatDuration, problem);
  return option({ placeholder: "DURATION", fallback, doc, schema, format: formatDuration });
}

/** Bytes; written with a unit ("64KiB") or as a bare number of them. */
export function size(fallback: number, min: number, doc: string): Option<number> {
  const bounds = { min, max: LARGEST_BYTES };
  const schema = measured(parseSize, bounds, formatSize, "must be a size such as 512, 64KiB or 1MiB");
  return option({ placeholder: "SIZE", fallback, doc, schema, format: formatSize });
}

export const RATE_PROBLEM = "must be a rate such as 50 (a second), 50/100 (a second / at once) or 0 (no limit)";

/** "50/100": 50 a second, 100 at once. "50": twice as many at once. "0": no limit. */
export const rateSchema: z.ZodType<RateValue> = makeRateSchema();

export function formatRate({ perSecond, burst }: RateValue): string {
  return perSecond === 0 ? "0" : `${perSecond}/${burst}`;
}

export function rate(fallback: RateValue, doc: string): Option<RateValue> {
  return option({ placeholder: "RATE", fallback, doc, schema: rateSchema, format: formatRate });
}

function makeRateSchema(): z.ZodType<RateValue> {
  const written = z.union([z.string(), z.number().transform(String)]).transform((text, context): RateValue => {
    const match = /^(\d{1,9})(?:\/(\d{1,9}))?$/.exec(text.trim());
    const perSecond = Number(match?.[1]);
    const burst = match?.[2] === undefined ? perSecond * 2 : Number(match[2]);
    if (match !== null && (perSecond === 0 || burst > 0)) return { perSecond, burst };
    context.addIssue(RATE_PROBLEM);
    return z.NEVER;
  });
  const whole = z.int().min(0);
  // A bucket that never holds a token would refuse for ever.
  const object = z.strictObject({ perSecond: whole, burst: whole }).refine(isRate, RATE_PROBLEM);
  return z.union([written, object], { error: RATE_PROBLEM });
}

function wholeNumber(min: number, max: number): z.ZodType<number> {
  const range = `must be a whole number from ${min} to ${max}`;
  const digits = z
    .string()
    .trim()
    .regex(/^\d{1,16}$/)
    .transform(Number);
  return z.union([z.number(), digits], range).pipe(z.int(range).min(min, range).max(max, range));
}

function measured(
  parse: (text: string) => number | undefined,
  { min, max }: { readonly min: number; readonly max: number },
  format: (value: number) => string,
  problem: string,
): z.ZodType<number> {
  const written = z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue(problem);
    return z.NEVER;
  });
  return z.union([z.number(), written], { error: problem }).pipe(
    z
      .int(problem)
      .min(min, min === 0 ? problem : `must be at least ${format(min)}`)
      .max(max, `must be at most ${format(max)}`),
  );
}
