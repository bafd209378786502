// Development tokens for the users of a benchmark, signed here: the server has nothing to do for them until they come.

import { createDevIssuer } from "../../src/adapters/auth/dev-issuer.js";
import { createSystemClock } from "../../src/ops/clock.js";

/** Gives a token of the user, who has these grants. */
export type Tokens = (user: string, grants?: readonly string[]) => Promise<string>;

/** Signs with the server's key. */
export async function createTokens(keyFile: string): Promise<Tokens> {
  const issuer = await createDevIssuer({ clock: createSystemClock(), keyFile });
  return (userId, grants = []) => issuer.issue({ userId, grants });
}
