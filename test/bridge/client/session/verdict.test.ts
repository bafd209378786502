// Whether and when to come back, by the number that a connection ended with.

import { describe, expect, it } from "vitest";
import { backoffMs, closeNumber, judge } from "../../../../bridge/client/session/verdict.js";
import { CloseCode } from "../../../../src/gen/trunkline/v1/error_pb.js";

const first = { failures: 0, reconnectAfterMs: 0 };
const half = { random: () => 0.5 };

it.each([
  [CloseCode.UNAUTHENTICATED, "unauthenticated"],
  [CloseCode.REPLACED, "replaced"],
  [CloseCode.KICKED, "kicked"],
  [CloseCode.REVOKED, "revoked"],
  [CloseCode.PROTOCOL_ERROR, "protocol"],
  [CloseCode.TOO_MANY_SESSIONS, "too-many-sessions"],
  [CloseCode.UNSUPPORTED_PROTOCOL, "protocol"],
  [4599, "protocol"],
  [4999, "protocol"],
])("%d stops, because %s", (code, reason) => {
  expect(judge({ ...first, code, reconnectAfterMs: 1_000 }, half)).toEqual({ kind: "stop", reason });
});

it.each([
  [CloseCode.HEARTBEAT_LOST, "silent"],
  [4099, "unreachable"],
  [1006, "unreachable"],
  [1000, "unreachable"],
  [1011, "unreachable"],
  [0, "unreachable"],
  [4300, "unreachable"],
  [5000, "unreachable"],
])("%d is tried again after a backoff, because %s", (code, reason) => {
  const verdict = judge({ ...first, code, reconnectAfterMs: 60_000 }, half);
  expect(verdict).toEqual({ kind: "wait", reason, delayMs: 250, freshToken: false, stated: false });
});

describe.each([
  [CloseCode.GOING_AWAY, "going-away"],
  [CloseCode.SLOW_CONSUMER, "slow"],
  [CloseCode.OVERLOADED, "busy"],
  [CloseCode.UNAVAILABLE, "busy"],
  [4199, "unreachable"],
])("%d, %s,", (code, reason) => {
  it("comes back when the server has said", () => {
    const verdict = judge({ ...first, code, reconnectAfterMs: 45_000 }, half);
    expect(verdict).toEqual({ kind: "wait", reason, delayMs: 45_000, freshToken: false, stated: true });
  });

  it("comes back between one and ten seconds later where it has not", () => {
    const delays = [0, 0.5, 1].map((random) => judge({ ...first, code }, { random: () => random }));
    expect(delays).toMatchObject([{ delayMs: 1_000 }, { delayMs: 5_500 }, { delayMs: 10_000 }]);
  });

  it("comes back when the server has said where that has failed before, for a few times", () => {
    for (const failures of [1, 2, 3]) {
      expect(judge({ code, failures, reconnectAfterMs: 700 }, { random: () => 1 })).toMatchObject({ delayMs: 700 });
    }
    expect(judge({ code, failures: 4, reconnectAfterMs: 700 }, { random: () => 1 })).toMatchObject({ delayMs: 1_000 });
  });

  it("comes back later and later where it has failed again and again", () => {
    expect(judge({ code, failures: 20, reconnectAfterMs: 2_000 }, half)).toMatchObject({ delayMs: 15_000 });
    expect(judge({ code, failures: 20, reconnectAfterMs: 20_000 }, half)).toMatchObject({ delayMs: 20_000 });
  });
});

it.each([CloseCode.TOKEN_EXPIRED, 4299])(
  "%d comes back at once with a fresh token, and later where that is over, too",
  (code) => {
    const verdict = judge({ ...first, code }, half);
    expect(verdict).toEqual({ kind: "wait", reason: "token-expired", delayMs: 0, freshToken: true, stated: false });
    expect(judge({ code, failures: 2, reconnectAfterMs: 0 }, half)).toMatchObject({ delayMs: 1_000, freshToken: true });
  },
);

it("backs off anywhere between nothing and a bound that doubles, rests at 4 seconds and doubles up to 30", () => {
  const bounds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2_000].map((failures) => backoffMs(failures, { random: () => 1 }));
  expect(bounds).toEqual([500, 1_000, 2_000, 4_000, 4_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  expect(backoffMs(100, { random: () => 0 })).toBe(0);
  expect(backoffMs(100, half)).toBe(15_000);
});

it("knows the number of every reason that a goodbye of the contract gives", () => {
  const reasons = Object.entries(CloseCode).filter(([, code]) => typeof code === "number" && code > 0);
  expect(reasons.length).toBeGreaterThan(10);
  for (const [name, code] of reasons)
    expect([name, closeNumber(`CLOSE_CODE_${name}` as "CLOSE_CODE_KICKED")]).toEqual([name, code]);
  expect(closeNumber(4199)).toBe(4199);
});

it("takes a reason that it does not know for none", () => {
  expect(closeNumber("CLOSE_CODE_OF_A_NEWER_SERVER" as "CLOSE_CODE_KICKED")).toBe(1006);
});
