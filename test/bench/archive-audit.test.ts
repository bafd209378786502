// The check behind the figures of `archive`: what is lost, doubled or out of its row must not go by as a good run.

import { describe, expect, it } from "vitest";
import { type ArchivedEvent, faultOf } from "../../bench/cluster/archive-audit.js";

/** A room's creation, and messages. */
function room(name: string, ...keys: readonly string[]): readonly ArchivedEvent[] {
  return [undefined, ...keys].map((key, at) => ({ room: name, seq: at + 1, key }));
}

describe("the audit of an archive", () => {
  it("finds nothing where each message is there once, in whatever order the events are read", () => {
    expect(faultOf([...room("b", "k3"), ...room("a", "k1", "k2")].reverse(), 3)).toBeUndefined();
  });

  it("finds a message that was lost, and one that nobody was told of", () => {
    expect(faultOf(room("a", "k1", "k2"), 3)).toBe("3 messages were acknowledged, 2 are archived");
    expect(faultOf(room("a", "k1", "k2"), 1)).toBe("1 messages were acknowledged, 2 are archived");
  });

  it("finds a message that was stored twice, where the number is right too", () => {
    expect(faultOf(room("a", "k1", "k1"), 2)).toBe("k1 was stored twice");
    expect(faultOf([...room("a", "k1"), ...room("b", "k1")], 2)).toBe("k1 was stored twice");
  });

  it("finds a place that is taken twice, and one that is empty", () => {
    const events = room("a", "k1", "k2");
    expect(faultOf([...events, { room: "a", seq: 2, key: "k3" }], 3)).toBe("a has seq 2 twice");
    expect(
      faultOf(
        events.filter(({ seq }) => seq !== 1),
        2,
      ),
    ).toBe("a has 2 events up to seq 3");
  });
});
