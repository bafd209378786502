// Whether and when to come back after a connection has ended: the close code's range decides.

export type Verdict =
  | { readonly kind: "reconnect"; readonly delayMs: number; readonly freshToken: boolean }
  /** Not by itself. */
  | { readonly kind: "stop" };

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;

/**
 * @param code The WebSocket close code; 1006 where the connection just went.
 * @param failures How many attempts in a row have failed before this one.
 * @param reconnectAfterMs What the server's Goodbye said.
 * @param random From 0 to 1.
 */
export function judgeClose(
  code: number,
  failures: number,
  reconnectAfterMs: number | undefined,
  random: () => number,
): Verdict {
  if (code >= 4500 && code <= 4999) return { kind: "stop" };
  // Full jitter: anywhere between nothing and the bound, so that those who were cut together do not return together.
  const bound = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures, 10));
  const jittered = Math.round(random() * bound);
  if (code >= 4100 && code <= 4199) {
    const stated = reconnectAfterMs ?? 1_000 + Math.round(random() * 9_000);
    return { kind: "reconnect", delayMs: Math.max(stated, failures === 0 ? 0 : jittered), freshToken: false };
  }
  return { kind: "reconnect", delayMs: jittered, freshToken: code >= 4200 && code <= 4299 };
}

/** Why a connection has ended, for people. */
export function describeClose(code: number): string {
  switch (code) {
    case 4000:
      return "the connection went silent";
    case 4100:
      return "the server is restarting";
    case 4101:
      return "this device could not keep up";
    case 4102:
    case 4103:
      return "the server is busy";
    case 4200:
      return "the token has expired";
    case 4500:
      return "the token was refused";
    case 4501:
      return "this device has connected elsewhere";
    case 4502:
      return "you were disconnected by an administrator";
    case 4503:
      return "the token was revoked";
    case 4504:
    case 4506:
      return "this page and the server do not understand each other";
    case 4505:
      return "you are connected too many times";
    default:
      return "the connection was lost";
  }
}
