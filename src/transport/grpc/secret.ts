// A secret that callers share with this process, shown as `authorization: <scheme> <secret>`.

import { createHash, timingSafeEqual } from "node:crypto";
import type { Metadata } from "@grpc/grpc-js";

/** Compared as digests: neither length nor contents can be told from the time it takes. */
export function showsSecret(metadata: Metadata, scheme: string, secret: string): boolean {
  const value = metadata.get("authorization")[0];
  if (typeof value !== "string") return false;
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(value), digest(`${scheme} ${secret}`));
}
