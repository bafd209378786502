// The file that says which client certificates stand for which backend services.

import { readFileSync } from "node:fs";
import * as z from "zod";
import { isId } from "../adapters/auth/identity.js";
import type { CertifiedServices } from "../transport/grpc/certified.js";
import { CommandError } from "./exit-code.js";

const id = z.string().refine(isId, "must be 1 to 128 characters of A-Z a-z 0-9 . _ : ~ -");

const FILE = z.record(
  z.string().min(1),
  z.strictObject({
    tenant: id,
    user: id,
    name: z.string().max(256).optional(),
    grants: z.array(z.enum(["service", "admin"])).optional(),
  }),
);

/** Throws CommandError with everything that is wrong with the file. */
export function readServicesFile(path: string): CertifiedServices {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new CommandError(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const read = FILE.safeParse(parsed);
  if (!read.success) {
    throw new CommandError(
      read.error.issues.map(({ path: at, message }) => `${path}: ${at.join(".")}: ${message}`).join("\n"),
    );
  }
  return new Map(
    Object.entries(read.data).map(([certificate, { tenant, user, name = user, grants = ["service"] }]) => [
      certificate,
      { tenantId: tenant, userId: user, displayName: name, grants },
    ]),
  );
}
