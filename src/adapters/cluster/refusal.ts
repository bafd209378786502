// A service that is there but does not take this node, or that this node does not take: who it is or what it may does not mend itself by waiting.

/** What ioredis calls an error that Redis has answered. By name: whoever asks why something failed may have nothing to do with Redis. */
const REDIS_REPLY = "ReplyError";
/** What Redis answers whom it does not know, or who may not do what is asked. */
const REDIS_REFUSALS = /^(?:WRONGPASS|NOAUTH|NOPERM|ERR AUTH|ERR invalid password)\b/;
/** https://www.mongodb.com/docs/manual/reference/error-codes/: Unauthorized, AuthenticationFailed. */
/** What ioredis says when no Sentinel is of use: how the last one did not take it. */
const SENTINEL_REFUSAL = /^All sentinels are unreachable.* Last error: ((?:WRONGPASS|NOAUTH|NOPERM)\b.*)$/;
const MONGO_REFUSALS: ReadonlySet<unknown> = new Set([13, 18]);
const KAFKA_REFUSAL = "KafkaJSSASLAuthenticationError";
/** How this side judges a certificate. https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const CERTIFICATE_FAULTS: ReadonlySet<unknown> = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "CERT_REJECTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "HOSTNAME_MISMATCH",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);
/** How the other side judges this one's, after OpenSSL's words for alerts. */
const ALERT =
  /\balert ((?:bad|unsupported) certificate|certificate (?:revoked|expired|unknown|required)|unknown ca|access denied)\b/;

/** Why, in one line for an operator, where an error says so; undefined: it says something else. */
export function refusalOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return error.errors.map(refusalOf).find((refusal) => refusal !== undefined);
  if (!(error instanceof Error)) return undefined;
  return ownRefusal(error) ?? refusalOf(error.cause);
}

function ownRefusal(error: Error): string | undefined {
  const [line = ""] = error.message.split("\n", 1);
  const alert = ALERT.exec(line)?.[1];
  if (alert !== undefined) return `it does not take this node's certificate: ${alert}`;
  const code = "code" in error ? error.code : undefined;
  if (CERTIFICATE_FAULTS.has(code)) return `its certificate is not trusted: ${withoutAdvice(line)}`;
  if (error.name === REDIS_REPLY) return REDIS_REFUSALS.test(line) ? line : undefined;
  const sentinel = SENTINEL_REFUSAL.exec(line)?.[1];
  if (sentinel !== undefined) return `Sentinel: ${sentinel}`;
  if (error.name === KAFKA_REFUSAL) return line;
  return error.name === "MongoServerError" && MONGO_REFUSALS.has(code) ? line : undefined;
}

/** What a library says around it, and what Node adds for developers. */
function withoutAdvice(line: string): string {
  return line.replace(/^Connection error: /, "").replace(/; if the root CA is installed locally.*$/, "");
}
