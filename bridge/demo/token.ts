// Where the page gets its token from. It stays in memory.

import { RefusedError } from "./wire.js";

/** The server issues no tokens: the user must bring one. */
export class NoIssuerError extends RefusedError {
  constructor() {
    super({ message: "this server issues no tokens" });
  }
}

/** A token from the development issuer. Rejects with NoIssuerError, another RefusedError, or what `fetch` says. */
export async function issuedToken(user: string, name: string): Promise<string> {
  const response = await fetch("dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user, name }),
  });
  if (response.status === 404) throw new NoIssuerError();
  const answer: { readonly token?: string; readonly message?: string; readonly retryAfterMs?: number } =
    await response.json();
  if (response.ok && answer.token !== undefined) return answer.token;
  throw new RefusedError({
    message: answer.message ?? `the server answered ${response.status}`,
    retryable: response.status >= 500,
    ...(answer.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs }),
  });
}
