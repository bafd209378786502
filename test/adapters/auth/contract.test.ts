// The verifier keeps its port's guarantees against the ready auth service, whoever issued the tokens.

import { startAuthService } from "../../../src/adapters/auth/auth-service.js";
import { createDevIssuer } from "../../../src/adapters/auth/dev-issuer.js";
import { createTokenVerifier } from "../../../src/adapters/auth/token-verifier.js";
import { describeTokenVerifier } from "../../contract/token-verifier.js";
import { clockOf2026 } from "./use-auth.js";

for (const cacheMs of [60_000, 0]) {
  describeTokenVerifier(`gRPC with answers kept for ${cacheMs} ms`, async () => {
    const clock = clockOf2026();
    const issuer = await createDevIssuer({ clock });
    const service = await startAuthService({ clock, jwt: { keys: { development: issuer } } });
    const verifier = createTokenVerifier({ address: service.address, clock, cacheMs });
    return {
      verifier,
      issue: (token) => issuer.issue(token),
      revoke: (request) => service.revoke(request),
      advance: (ms) => clock.advance(ms),
      now: () => clock.now(),
      close: async () => {
        await verifier.close();
        await service.close();
      },
    };
  });
}
