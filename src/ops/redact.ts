// Nothing secret in a log: what looks like a token is cut out of any text.

const SECRETS: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // A JWT: two or three base64url parts, of which the first two are JSON objects.
  [/\beyJ[\w-]{5,}\.eyJ[\w-]*(?:\.[\w-]*)?/g, "[token]"],
  [/\b(bearer)\s+[\w.~+/=-]+/gi, "$1 [token]"],
  [/\b((?:access_|id_|refresh_)?token|secret|password)(["']?\s*[=:]\s*["']?)[^\s"'&,;}]+/gi, "$1$2[removed]"],
  // Credentials in a URL.
  [/(\/\/)[^\s/@:]*:[^\s/@]+@/g, "$1[removed]@"],
];

/** The text without tokens, secrets and passwords, as far as they can be recognised. */
export function redactText(text: string): string {
  let clean = text;
  for (const [pattern, replacement] of SECRETS) clean = clean.replace(pattern, replacement);
  return clean;
}
