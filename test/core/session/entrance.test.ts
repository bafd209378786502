// Who comes in at once, who is held until there is room, and who is sent away.

import { describe, expect, it } from "vitest";
import { Entrance } from "../../../src/core/session/entrance.js";
import type { Admission } from "../../../src/core/session/port.js";
import { StoppedClock } from "../../support/stopped-clock.js";

function useEntrance({ perSecond = 0, burst = 0, places = Number.POSITIVE_INFINITY } = {}) {
  const clock = new StoppedClock();
  const inside = new Set<string>();
  const entrance = new Entrance(clock, { connectRate: { perSecond, burst } }, () => inside.size < places);
  const told: string[] = [];
  const enter = (name: string): (() => void) =>
    entrance.enter((admission: Admission) => {
      if (admission.admitted) inside.add(name);
      told.push(admission.admitted ? name : `${name} in ${admission.retryAfterMs}`);
    });
  const leave = (name: string): void => {
    inside.delete(name);
    entrance.freed();
  };
  return { clock, entrance, told, enter, leave };
}

describe("a rate of new connections", () => {
  it("holds those beyond it, and lets them in one by one, in the order they came", () => {
    const { clock, told, enter } = useEntrance({ perSecond: 10, burst: 2 });
    for (const name of ["a", "b", "c", "d"]) enter(name);
    expect(told).toEqual(["a", "b"]);
    clock.advance(99);
    expect(told).toEqual(["a", "b"]);
    clock.advance(1);
    expect(told).toEqual(["a", "b", "c"]);
    clock.advance(100);
    expect(told).toEqual(["a", "b", "c", "d"]);
    expect(clock.pending).toBe(0);
  });

  it("lets as many in at once as have their turn, when the process was busy", () => {
    const { clock, told, enter } = useEntrance({ perSecond: 10, burst: 2 });
    for (const name of ["a", "b", "c", "d", "e"]) enter(name);
    clock.advance(1_000);
    expect(told).toEqual(["a", "b", "c", "d"]);
  });

  it("lets nobody pass those who are held", () => {
    const { clock, entrance, told, enter } = useEntrance({ perSecond: 10, burst: 1 });
    enter("a");
    enter("b");
    clock.advance(99);
    expect(entrance.admit()).toEqual({ admitted: false, retryAfterMs: 1_000 });
    enter("c");
    clock.advance(1);
    expect(told).toEqual(["a", "b"]);
  });

  it("sends away whose turn would come too late, until those who are held are in", () => {
    const { clock, told, enter } = useEntrance({ perSecond: 1, burst: 1 });
    for (const name of ["a", "b", "c", "d", "e"]) enter(name);
    expect(told).toEqual(["a", "e in 4000"]);
    for (let second = 0; second < 3; second++) clock.advance(1_000);
    expect(told.slice(2)).toEqual(["b", "c", "d"]);
  });
});

describe("connections without a session", () => {
  it("make room for the first who is held when one of them has greeted or gone", () => {
    const { told, enter, leave } = useEntrance({ places: 2 });
    for (const name of ["a", "b", "c", "d"]) enter(name);
    expect(told).toEqual(["a", "b"]);
    leave("a");
    leave("c");
    expect(told).toEqual(["a", "b", "c", "d"]);
  });

  it("make room that the rate still has to allow", () => {
    const { clock, told, enter, leave } = useEntrance({ places: 1, perSecond: 10, burst: 1 });
    enter("a");
    enter("b");
    leave("a");
    expect(told).toEqual(["a"]);
    clock.advance(100);
    expect(told).toEqual(["a", "b"]);
  });

  it("that never make room send away who was held for 3 s, and not who came later", () => {
    const { clock, told, enter, leave } = useEntrance({ places: 1 });
    enter("a");
    enter("b");
    clock.advance(2_000);
    enter("c");
    clock.advance(1_000);
    expect(told).toEqual(["a", "b in 1000"]);
    leave("a");
    expect(told).toEqual(["a", "b in 1000", "c"]);
    expect(clock.pending).toBe(0);
  });

  it("hold 10,000 and no more", () => {
    const { told, enter } = useEntrance({ places: 1 });
    for (let nth = 0; nth <= 10_001; nth++) enter(`${nth}`);
    expect(told).toEqual(["0", "10001 in 1000"]);
  });

  it("that go as soon as they are in make room for the next, however many", () => {
    const clock = new StoppedClock();
    let inside = 1;
    const entrance = new Entrance(clock, { connectRate: { perSecond: 0, burst: 0 } }, () => inside === 0);
    let came = 0;
    for (let nth = 0; nth < 9_000; nth++) {
      entrance.enter(() => {
        came++;
        inside++;
        inside--;
        entrance.freed();
      });
    }
    inside = 0;
    entrance.freed();
    expect(came).toBe(9_000);
  });
});

describe("one that is held", () => {
  it("and goes is not told, and leaves its turn to the next", () => {
    const { told, enter, leave } = useEntrance({ places: 1 });
    enter("a");
    const giveUp = enter("b");
    enter("c");
    giveUp();
    giveUp();
    leave("a");
    expect(told).toEqual(["a", "c"]);
  });

  it("leaves no timer behind when it goes", () => {
    const { clock, enter } = useEntrance({ places: 0 });
    const giveUp = enter("a");
    expect(clock.pending).toBe(1);
    giveUp();
    expect(clock.pending).toBe(0);
  });

  it("is sent away when the node leaves, and so is who comes later", () => {
    const { clock, entrance, told, enter } = useEntrance({ places: 1 });
    for (const name of ["a", "b"]) enter(name);
    entrance.close();
    enter("c");
    expect(told).toEqual(["a", "b in 1000", "c in 1000"]);
    expect(entrance.admit().admitted).toBe(false);
    expect(clock.pending).toBe(0);
  });
});
