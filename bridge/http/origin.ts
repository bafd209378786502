// Which web pages may talk to the bridge.

import type { IncomingMessage } from "node:http";

/** What the request's `Origin` amounts to. */
export type OriginVerdict =
  /** No browser, or a page of this very server: nothing to allow. */
  | "own"
  /** A page of a listed origin. */
  | "listed"
  | "foreign";

/**
 * Judges a request by its `Origin`. Hosts are compared rather than whole origins, because a proxy that ends TLS makes an
 * https page's request arrive as http.
 *
 * @param allowed Origins like `https://app.example.com`; `*` allows every page.
 */
export function judgeOrigin(request: IncomingMessage, allowed: ReadonlySet<string>): OriginVerdict {
  const { origin, host } = request.headers;
  if (origin === undefined) return "own";
  if (URL.canParse(origin) && host !== undefined && new URL(origin).host === host.toLowerCase()) return "own";
  return allowed.has("*") || allowed.has(origin) ? "listed" : "foreign";
}

const LOOPBACK_HOST = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(?::\d+)?$/i;

/**
 * Whether the request names this machine itself. A page of a foreign name that resolves to a loopback address does not, and
 * that is the one way a web page could pass for the server's own.
 */
export function namesLoopback(request: IncomingMessage): boolean {
  return LOOPBACK_HOST.test(request.headers.host ?? "");
}
