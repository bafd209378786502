// The file that says what leaves the server by itself, and where to.

import { readFileSync } from "node:fs";
import * as z from "zod";
import { webhookUrl } from "../adapters/webhook/signed-post.js";
import type { OutletTargets } from "../backbone/outlets.js";
import type { EventCase } from "../core/outlet/options.js";
import { RoomEventSchema } from "../gen/trunkline/v1/message_pb.js";
import { parseDuration } from "../ops/config/units.js";
import { CommandError } from "./exit-code.js";

const KINDS: ReadonlySet<string> = new Set(
  RoomEventSchema.oneofs.flatMap(({ fields }) => fields.map(({ localName }) => localName)),
);
const MIN_SECRET_LENGTH = 32;
/** A hundred years. */
const LONGEST_MS = 36_500 * 86_400_000;
const MOST_WEBHOOKS = 32;

const name = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "must be 1 to 64 characters of A-Z a-z 0-9 . _ -");
const kind = z.custom<EventCase>(
  (value) => typeof value === "string" && KINDS.has(value),
  `must be one of ${[...KINDS].join(", ")}`,
);
const url = z.string().superRefine((value, context) => {
  try {
    webhookUrl(value);
  } catch (error) {
    context.addIssue(error instanceof Error ? error.message : String(error));
  }
});

function duration(minMs: number, maxMs = LONGEST_MS) {
  return z.union([z.string(), z.number().transform(String)]).transform((text, context): number => {
    const ms = parseDuration(text);
    if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
    context.addIssue(`must be a duration such as 10s, 5m or 2h, from ${minMs} to ${maxMs} milliseconds`);
    return z.NEVER;
  });
}

const target = {
  url,
  secrets: z
    .array(z.string().min(MIN_SECRET_LENGTH, `must have at least ${MIN_SECRET_LENGTH} characters`))
    .min(1, "must hold a secret")
    .max(2, "must hold at most two secrets"),
  deadline: duration(1, 60_000).optional(),
};

const FILE = z.strictObject({
  notifier: z
    .strictObject({
      webhook: z.strictObject(target).optional(),
      grace: duration(1_000, 86_400_000).optional(),
      wideRoom: z.int().min(1).max(1_000).optional(),
      withBody: z.boolean().optional(),
      giveUpAfter: duration(1_000).optional(),
    })
    .optional(),
  webhooks: z
    .array(
      z.strictObject({
        name,
        ...target,
        kinds: z.array(kind).min(1).optional(),
        tenants: z.array(z.string().min(1)).min(1).optional(),
        roomPrefix: z.string().max(128).optional(),
        giveUpAfter: duration(1_000).optional(),
      }),
    )
    .max(MOST_WEBHOOKS)
    .refine((all) => new Set(all.map((each) => each.name)).size === all.length, "names must differ")
    .optional(),
});

/** Throws CommandError with every problem there is; values, which may be secrets, are not shown. */
export function readOutlets(path: string): OutletTargets {
  const parsed = FILE.safeParse(readJson(path));
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path: at, message }) => `${path}: ${place(at)}${message}`);
    throw new CommandError(problems.join("\n"));
  }
  const { notifier, webhooks } = parsed.data;
  return {
    ...(notifier && {
      notifier: { ...timed(notifier), ...(notifier.webhook && { webhook: timed(notifier.webhook) }) },
    }),
    ...(webhooks && { webhooks: webhooks.map(timed) }),
  };
}

interface Times {
  readonly grace?: number | undefined;
  readonly deadline?: number | undefined;
  readonly giveUpAfter?: number | undefined;
}

/** Durations in the file carry their unit, options in their name. What is not set is left out. */
function timed<T extends Times>({ grace, deadline, giveUpAfter, ...rest }: T) {
  return {
    ...defined(rest),
    ...defined({ graceMs: grace, deadlineMs: deadline, giveUpAfterMs: giveUpAfter }),
  };
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function defined<T extends object>(options: T): Defined<T> {
  // Only entries that are set are left.
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Defined<T>;
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new CommandError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function place(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "" : `${path.map(String).join(".")}: `;
}
