// Where the page gets its token from. It stays in memory.

/** The server issues no tokens: the user must bring one. */
export class NoIssuerError extends Error {
  override readonly name = "NoIssuerError";
}

/** The issuer does not want to. */
export class NoTokenError extends Error {
  override readonly name = "NoTokenError";
}

/** A token from the development issuer. Rejects with NoIssuerError, NoTokenError, or what `fetch` says where there is nobody. */
export async function issuedToken(user: string, name: string): Promise<string> {
  const response = await fetch("dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user, name }),
  });
  if (response.status === 404) throw new NoIssuerError("this server issues no tokens");
  // What stands between may answer with a page of its own.
  const answer: { readonly token?: string; readonly message?: string } = await response.json().catch(() => ({}));
  if (response.ok && answer.token !== undefined) return answer.token;
  throw new NoTokenError(
    response.status === 403
      ? "This server issues tokens to pages that are opened at localhost alone."
      : (answer.message ?? `The server has no token to give just now (${response.status}).`),
  );
}
