// Why something was not done, for people: what the server says of it is for developers.

import { DisconnectedError, GivenUpError, RefusedError } from "../../client/error.js";

const REFUSED: Readonly<Record<string, string>> = {
  ERROR_CODE_PERMISSION_DENIED: "you may not do that here",
  ERROR_CODE_NOT_A_MEMBER: "you are not in this room",
  ERROR_CODE_BLOCKED: "one of you two has blocked the other",
  ERROR_CODE_NOT_FOUND: "it is not there, or not any more",
  ERROR_CODE_ALREADY_EXISTS: "it is there already",
  ERROR_CODE_TOO_LARGE: "it is too long",
  ERROR_CODE_RATE_LIMITED: "that is too much at once, try it again in a while",
  ERROR_CODE_LIMIT_EXCEEDED: "there are as many of them as there may be",
  ERROR_CODE_UNAVAILABLE: "the server cannot do it just now",
  ERROR_CODE_DEADLINE: "the server takes too long",
  ERROR_CODE_INTERNAL: "something went wrong at the server",
};

const GIVEN_UP: Readonly<Record<GivenUpError["reason"], string>> = {
  expired: "it has waited for too long",
  discarded: "it was given up",
  full: "too much waits already",
};

/** In a few words, to go on a sentence: "it is too long". */
export function whyNot(error: unknown): string {
  if (error instanceof GivenUpError) return GIVEN_UP[error.reason];
  if (error instanceof DisconnectedError) return "there is no connection";
  if (!(error instanceof RefusedError)) return error instanceof Error ? error.message : String(error);
  // A hook of the application says it in words of its own.
  // Others name the field of the request first, which nobody here has seen.
  return error.details.reason || REFUSED[error.code] || error.message.replace(/^[\w.[\]]+: /, "");
}

/** The same as a sentence. */
export function faultText(error: unknown): string {
  const why = whyNot(error);
  return `${why.slice(0, 1).toUpperCase()}${why.slice(1)}.`;
}
