// How a POST is signed: HMAC-SHA256 over the time and the body, so that neither can be changed nor an old one be sent again.

import { createHmac } from "node:crypto";

/** Names the content: the same whenever the same content is posted again. */
export const ID_HEADER = "trunkline-id";
/** When it was signed, in whole seconds since 1970. */
export const TIMESTAMP_HEADER = "trunkline-timestamp";
/** One signature for each secret, "v1=" and hexadecimal digits, separated by commas. */
export const SIGNATURE_HEADER = "trunkline-signature";

/** The value of the signature header. While secrets are rotated there are two: a receiver needs to know one of them. */
export function signatures(secrets: readonly string[], timestamp: string, body: string): string {
  return secrets
    .map((secret) => `v1=${createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")}`)
    .join(",");
}
