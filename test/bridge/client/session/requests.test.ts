// Requests and their answers: matched, bounded, and each with an end.

import { expect, it } from "vitest";
import type { ClientFrame } from "../../../../bridge/client/gen/types.js";
import { Requests } from "../../../../bridge/client/session/requests.js";
import { settled, World } from "../support/world.js";

function useRequests(send: (frame: ClientFrame) => void = () => {}) {
  const world = new World();
  const sent: ClientFrame[] = [];
  let timers = 0;
  const after = (ms: number, action: () => void) => {
    timers++;
    const timer = world.after(ms, () => {
      timers--;
      action();
    });
    return {
      cancel: () => {
        timers--;
        timer.cancel();
      },
    };
  };
  const requests = new Requests({ after }, (frame) => {
    send(frame);
    sent.push(frame);
  });
  return { world, sent, requests, timers: () => timers };
}

/** What became of a request, so far. */
function outcome(asked: Promise<unknown>): { is: string } {
  const outcome = { is: "open" };
  asked.then(
    () => {
      outcome.is = "answered";
    },
    ({ name, message }: Error) => {
      outcome.is = `${name}: ${message}`;
    },
  );
  return outcome;
}

it("answers are matched by their number, in whatever order they come", async () => {
  const { requests, sent } = useRequests();
  const [one, two] = [requests.ask({ ping: { id: 1 } }), requests.ask({ ping: { id: 2 } })];
  const [first, second] = sent.map(({ ref }) => ref);
  requests.answered({ replyTo: second, pong: { id: 2 } });
  requests.answered({ replyTo: first, pong: { id: 1 } });
  expect((await one).pong?.id).toBe(1);
  expect((await two).pong?.id).toBe(2);
});

it("an answer that nobody waits for is passed over, also one that comes twice", async () => {
  const { requests, sent } = useRequests();
  const told: unknown[] = [];
  const asked = requests.ask({ ping: {} }, (frame) => told.push(frame));
  const answer = { replyTo: sent[0]?.ref, pong: {} };
  requests.answered({ replyTo: 99, pong: {} });
  requests.answered(answer);
  requests.answered(answer);
  await asked;
  expect(told).toEqual([answer]);
});

it("no more are under way than the server takes, but for a few that are left to what wants no answer", async () => {
  const { requests, sent } = useRequests();
  requests.allow(64);
  const all = Array.from({ length: 100 }, (_, id) => outcome(requests.ask({ ping: { id } })));
  expect(sent).toHaveLength(56);
  requests.answered({ replyTo: sent[0]?.ref, pong: {} });
  expect(sent).toHaveLength(57);
  for (let i = 1; i < 100; i++) requests.answered({ replyTo: sent[i]?.ref, pong: {} });
  await settled();
  expect(all.every(({ is }) => is === "answered")).toBe(true);
  expect(sent.map(({ ping }) => ping?.id)).toEqual(Array.from({ length: 100 }, (_, id) => id));
});

it.each([0, 1, 2])("a server that takes %d is asked one thing at a time, or two", (maxInFlight) => {
  const { requests, sent } = useRequests();
  requests.allow(maxInFlight);
  for (let id = 0; id < 5; id++) outcome(requests.ask({ ping: { id } }));
  expect(sent).toHaveLength(Math.max(maxInFlight, 1));
});

it("a request that is not answered within 30 seconds ends, and makes way for the next", async () => {
  const { world, requests, sent } = useRequests();
  requests.allow(1);
  const [one, two] = [outcome(requests.ask({ ping: {} })), outcome(requests.ask({ ping: {} }))];
  await world.run(29_999);
  expect([one.is, sent.length]).toEqual(["open", 1]);
  await world.run(1);
  expect([one.is, sent.length]).toEqual(["DisconnectedError: no answer in time", 2]);
  requests.answered({ replyTo: sent[0]?.ref, pong: {} });
  await settled();
  expect(two.is).toBe("open");
});

it("a refusal rejects with what the server has said", async () => {
  const { requests, sent } = useRequests();
  const asked = requests.ask({ publish: {} });
  const error = { code: "ERROR_CODE_RATE_LIMITED", message: "slowly", retryable: true, retryAfterMs: 500 } as const;
  requests.answered({ replyTo: sent[0]?.ref, error: { ...error, details: { bucket: "user.publish" } } });
  await expect(asked).rejects.toMatchObject({ name: "RefusedError", ...error, details: { bucket: "user.publish" } });
});

it("all of them end with the connection, sent or not, and leave no timer", async () => {
  const { requests, timers } = useRequests();
  requests.allow(1);
  const all = [outcome(requests.ask({ ping: {} })), outcome(requests.ask({ ping: {} }))];
  requests.end(false);
  all.push(outcome(requests.ask({ ping: {} })));
  await settled();
  expect(all.map(({ is }) => is)).toEqual([
    "DisconnectedError: the connection was lost",
    "DisconnectedError: the connection was lost",
    "DisconnectedError: not connected",
  ]);
  expect(timers()).toBe(0);
});

it("what cannot be encoded is refused to whoever has asked for it, and the next goes on", async () => {
  const { requests, sent, timers } = useRequests(({ publish }) => {
    if (publish !== undefined) throw new Error("publish.roomId is a text");
  });
  requests.allow(1);
  const [one, bad, two] = [
    outcome(requests.ask({ ping: {} })),
    outcome(requests.ask({ publish: {} })),
    outcome(requests.ask({ ping: {} })),
  ];
  requests.answered({ replyTo: sent[0]?.ref, pong: {} });
  await settled();
  expect([one.is, bad.is, two.is]).toEqual(["answered", "Error: publish.roomId is a text", "open"]);
  expect([sent.length, timers()]).toEqual([2, 1]);
});

it("more than ten thousand that wait are refused", async () => {
  const { requests } = useRequests();
  requests.allow(1);
  for (let i = 0; i <= 10_000; i++) outcome(requests.ask({ ping: {} }));
  await expect(requests.ask({ ping: {} })).rejects.toThrow("too much waits");
});

it("whoever asks for it is told of the answer before anything else is done", () => {
  const { requests, sent } = useRequests();
  const told: string[] = [];
  requests.ask({ ping: {} }, () => told.push("answered")).catch(() => {});
  requests.answered({ replyTo: sent[0]?.ref, pong: {} });
  expect(told).toEqual(["answered"]);
});
