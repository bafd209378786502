// The checker must be able to find what it is there to find.

import { describe, expect, test } from "vitest";
import { type Acknowledged, checkHistory, type RoomHistory, type SeenEvent } from "./history.js";

function event(seq: number): SeenEvent {
  const key = seq === 1 ? "" : `key-${seq}`;
  return { seq, tag: seq * 7, eventId: `event-${seq}`, clientMessageId: key, text: seq === 1 ? "" : `text ${seq}` };
}

function events(from: number, to: number): SeenEvent[] {
  return Array.from({ length: to - from + 1 }, (_, index) => event(from + index));
}

function ack(seq: number): Acknowledged {
  const { tag, eventId, clientMessageId, text } = event(seq);
  return { clientMessageId, messageId: eventId, seq, tag, text };
}

const SOUND: RoomHistory = {
  stored: events(1, 6),
  acknowledged: [2, 3, 4, 6].map(ack),
  published: new Set(["key-2", "key-3", "key-4", "key-5", "key-6", "key-never-stored"]),
  receivers: [
    { name: "early", from: 0, events: events(1, 6) },
    { name: "late", from: 4, events: events(5, 6) },
  ],
};

function kinds(change: Partial<RoomHistory>): readonly string[] {
  return checkHistory({ ...SOUND, ...change }).map((finding) => finding.kind);
}

function received(seen: readonly SeenEvent[]): readonly string[] {
  return kinds({ receivers: [{ name: "r", from: 0, events: seen }] });
}

describe("a sound history", () => {
  test("has no findings, also where a stored message was never acknowledged", () => {
    expect(kinds({})).toEqual([]);
  });
});

describe("the store", () => {
  test("that lost an acknowledged event at its end is found out", () => {
    expect(kinds({ stored: events(1, 5), receivers: [] })).toEqual(["lost"]);
  });

  test("that has a hole is found out", () => {
    expect(kinds({ stored: [...events(1, 3), ...events(5, 6)], receivers: [] })).toContain("hole");
  });

  test("that put another event in an acknowledged one's place is found out", () => {
    const stored = events(1, 6).map((item) => (item.seq === 3 ? { ...item, clientMessageId: "key-5" } : item));
    expect(kinds({ stored, receivers: [] })).toContain("lost");
  });

  test("that changed an acknowledged text is found out", () => {
    const stored = events(1, 6).map((item) => (item.seq === 3 ? { ...item, text: "other" } : item));
    expect(kinds({ stored, receivers: [] })).toEqual(["different"]);
  });

  test("that holds one key twice is found out", () => {
    const stored = [...events(1, 6), { ...event(7), clientMessageId: "key-6" }];
    expect(kinds({ stored, receivers: [] })).toEqual(["doubled"]);
  });

  test("that holds what nobody published is found out", () => {
    expect(kinds({ stored: events(1, 7), receivers: [] })).toEqual(["phantom"]);
  });
});

describe("a receiver", () => {
  test("that missed an event is found out", () => {
    expect(received([...events(1, 3), ...events(5, 6)])).toEqual(["hole"]);
  });

  test("that missed the last events is found out", () => {
    expect(received(events(1, 4))).toEqual(["incomplete"]);
  });

  test("that got nothing at all is found out", () => {
    expect(received([])).toEqual(["incomplete"]);
  });

  test("that got an event twice is found out", () => {
    expect(received([...events(1, 3), event(3), ...events(4, 6)])).toEqual(["doubled"]);
  });

  test("that got two events in the wrong order is found out", () => {
    expect(received([event(1), event(3), event(2), ...events(4, 6)])).toEqual(["hole", "reordered"]);
  });

  test("that got an event the store does not have is found out", () => {
    expect(received(events(1, 7))).toEqual(["phantom"]);
  });

  test("that got another event under a stored one's seq is found out", () => {
    expect(received(events(1, 6).map((item) => (item.seq === 4 ? { ...item, eventId: "taken back" } : item)))).toEqual([
      "reused",
      "different",
    ]);
  });
});

describe("the archive", () => {
  test("that holds what the log holds is sound", () => {
    expect(kinds({ archived: events(1, 6) })).toEqual([]);
  });

  test("that lacks an event is found out, at its end too", () => {
    expect(kinds({ archived: [...events(1, 2), ...events(4, 6)] })).toContain("not archived");
    expect(kinds({ archived: events(1, 5) })).toEqual(["not archived"]);
  });

  test("that has more than the log is found out", () => {
    expect(kinds({ archived: events(1, 7) })).toEqual(["not archived"]);
  });

  test("that says something else is found out", () => {
    const archived = events(1, 6).map((item) => (item.seq === 3 ? { ...item, text: "other" } : item));
    expect(kinds({ archived })).toEqual(["not archived"]);
  });
});

describe("answers", () => {
  const UNAVAILABLE = { clientMessageId: "key-3", code: "ERROR_CODE_UNAVAILABLE", retryable: true };

  test("that refuse for now are sound, whatever came of it", () => {
    expect(kinds({ refused: [UNAVAILABLE, { ...UNAVAILABLE, clientMessageId: "key-never-stored" }] })).toEqual([]);
  });

  test("that refuse without saying why are found out", () => {
    for (const code of ["", "UNKNOWN", "ERROR_CODE_UNSPECIFIED"])
      expect(kinds({ refused: [{ ...UNAVAILABLE, code }] })).toEqual(["untyped"]);
  });

  test("that refuse for good what stands are found out", () => {
    expect(kinds({ refused: [{ ...UNAVAILABLE, code: "ERROR_CODE_BLOCKED", retryable: false }] })).toEqual([
      "taken up",
    ]);
  });

  test("that give one place to two messages are found out, also where neither is in the log", () => {
    const beyond = [7, 8].map((seq) => ({ ...ack(seq), seq: 9 }));
    expect(kinds({ acknowledged: beyond })).toContain("reused");
  });

  test("that give a message another place when it is asked for again are found out", () => {
    expect(kinds({ acknowledged: [ack(3), { ...ack(3), seq: 4 }] })).toEqual(["lost", "reused"]);
  });

  test("that put a message before one acknowledged earlier are found out", () => {
    const early = { ...ack(4), time: { begun: 0, answered: 10 } };
    expect(kinds({ acknowledged: [early, { ...ack(3), time: { begun: 5, answered: 20 } }] })).toEqual([]);
    expect(kinds({ acknowledged: [early, { ...ack(3), time: { begun: 11, answered: 20 } }] })).toEqual(["reordered"]);
    expect(kinds({ acknowledged: [early, { ...ack(4), time: { begun: 11, answered: 20 } }] })).toEqual([]);
  });
});

describe("two receivers", () => {
  test("that were told of one place in two ways are found out", () => {
    const other = events(1, 6).map((item) => (item.seq === 5 ? { ...item, eventId: "other" } : item));
    const receivers = [
      { name: "one", from: 0, events: events(1, 6) },
      { name: "other", from: 0, events: other },
    ];
    expect(kinds({ receivers, acknowledged: [] })).toContain("reused");
  });
});
