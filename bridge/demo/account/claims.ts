// What a token says of its user, for those that are JWTs. It is not verified here: the server does that.

export interface Claims {
  readonly tenantId: string;
  readonly userId: string;
  readonly name: string | undefined;
}

/** Undefined: it cannot be read, or names no user. */
export function claimsOf(token: string): Claims | undefined {
  const [, payload = ""] = token.split(".");
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (letter) =>
      letter.charCodeAt(0),
    );
    const { tenant, sub, name }: Readonly<Record<string, unknown>> = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof tenant !== "string" || typeof sub !== "string") return undefined;
    return { tenantId: tenant, userId: sub, name: typeof name === "string" ? name : undefined };
  } catch {
    return undefined;
  }
}
