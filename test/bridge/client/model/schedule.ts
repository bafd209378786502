// What may happen to a client: one thing after the other, with time between them.

import fc from "fast-check";
import { CloseCode } from "../../../../src/gen/trunkline/v1/error_pb.js";

export const ROOMS = ["tea", "cup", "pot"] as const;

const room = fc.constantFrom(...ROOMS);
const momentMs = fc.oneof(fc.nat(20), fc.nat(500), fc.nat(12_000), { arbitrary: fc.nat(60_000), weight: 1 });

const arbitraries = {
  say: fc.record({ do: fc.constant("say" as const), room, count: fc.integer({ min: 1, max: 12 }) }),
  publish: fc.record({ do: fc.constant("publish" as const), room }),
  open: fc.record({ do: fc.constant("open" as const), room, from: fc.constantFrom("here", "beginning", "beyond") }),
  close: fc.record({ do: fc.constant("close" as const), room }),
  client: fc.record({ do: fc.constant("client" as const), call: fc.constantFrom("connect", "close", "drop") }),
  network: fc.record({ do: fc.constant("network" as const), how: fc.constantFrom("cut", "silence") }),
  reach: fc.record({ do: fc.constant("reach" as const), online: fc.boolean() }),
  page: fc.record({ do: fc.constant("page" as const), how: fc.constantFrom("freeze", "thaw", "timers first", "show") }),
  goodbye: fc.record({
    do: fc.constant("goodbye" as const),
    code: fc.constantFrom(
      CloseCode.HEARTBEAT_LOST,
      CloseCode.GOING_AWAY,
      CloseCode.SLOW_CONSUMER,
      CloseCode.OVERLOADED,
      CloseCode.UNAVAILABLE,
      CloseCode.TOKEN_EXPIRED,
      CloseCode.KICKED,
      CloseCode.REVOKED,
      CloseCode.PROTOCOL_ERROR,
    ),
    reconnectAfterMs: fc.constantFrom(0, 200, 3_000, 45_000),
    silently: fc.boolean(),
  }),
  stay: fc.record({
    do: fc.constant("stay" as const),
    code: fc.constantFrom(CloseCode.GOING_AWAY, CloseCode.OVERLOADED),
    reconnectAfterMs: fc.constantFrom(0, 200, 3_000, 45_000),
  }),
  server: fc.record({ do: fc.constant("server" as const), up: fc.boolean() }),
  history: fc.record({ do: fc.constant("history" as const), room, how: fc.constantFrom("forget", "rewrite") }),
  subscription: fc.record({
    do: fc.constant("subscription" as const),
    room,
    how: fc.constantFrom("reset", "repeat", "ACCESS_LOST", "UNAVAILABLE"),
  }),
  garble: fc.record({ do: fc.constant("garble" as const) }),
  token: fc.record({
    do: fc.constant("token" as const),
    how: fc.constantFrom("good", "good", "short", "stale", "failing", "late", "never", "none"),
  }),
  expire: fc.record({ do: fc.constant("expire" as const), inMs: fc.nat(5_000) }),
  answers: fc.record({
    do: fc.constant("answers" as const),
    how: fc.constantFrom("at once", "slow", "lost", "refused", "forbidden"),
  }),
} as const;

type Drawn<T> = T extends fc.Arbitrary<infer Value> ? Value : never;

export type Event = Drawn<(typeof arbitraries)[keyof typeof arbitraries]>;

export interface Step {
  readonly event: Event;
  readonly thenMs: number;
}

const event: fc.Arbitrary<Event> = fc.oneof(
  { arbitrary: arbitraries.say, weight: 6 },
  { arbitrary: arbitraries.open, weight: 4 },
  { arbitrary: arbitraries.close, weight: 2 },
  { arbitrary: arbitraries.network, weight: 3 },
  { arbitrary: arbitraries.stay, weight: 3 },
  ...Object.values(arbitraries),
);

export interface Schedule {
  readonly seed: number;
  /** Of the network, at most. */
  readonly delayMs: number;
  readonly steps: readonly Step[];
}

export const schedule: fc.Arbitrary<Schedule> = fc.record({
  seed: fc.integer(),
  delayMs: fc.constantFrom(0, 5, 80, 1_500),
  steps: fc.array(fc.record({ event, thenMs: momentMs }), { minLength: 1, maxLength: 40, size: "max" }),
});
