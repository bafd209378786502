// Who verifies tokens, and what the log says of it.

import { createTokenVerifier, type TokenVerifierEvent } from "../adapters/auth/token-verifier.js";
import type { Logger } from "../ops/log.js";
import type { Clock } from "../ports/clock.js";
import type { TokenVerifier } from "../ports/token-verifier.js";
import { reasonOf } from "./dependency.js";
import type { BackboneOptions } from "./options.js";

/** The verifier that the options name, or one that asks the auth service and logs how that goes. */
export function verifierOf(auth: BackboneOptions["auth"], clock: Clock, logger: Logger): TokenVerifier {
  if ("verifier" in auth) return auth.verifier;
  return createTokenVerifier({ ...auth, clock, report: (event) => logAuth(event, logger) });
}

function logAuth(event: TokenVerifierEvent, logger: Logger): void {
  switch (event.kind) {
    case "auth.down":
      logger.error(
        { reason: reasonOf(event.cause) },
        "the auth service does not answer: only known tokens are accepted",
      );
      break;
    case "auth.up":
      logger.info("the auth service answers again");
      break;
    case "auth.bad_answer":
      logger.error({ reason: event.reason }, "the auth service gave an answer that the contract does not allow");
      break;
    case "revocations.lost":
      logger.warn({ reason: reasonOf(event.cause), retryInMs: event.retryInMs }, "the stream of revocations has ended");
      break;
    case "revocations.unsupported":
      logger.warn("the auth service offers no revocations: a revoked token works until it expires");
      break;
    default:
      event satisfies never;
  }
}
