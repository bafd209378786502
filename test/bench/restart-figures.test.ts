// What is made of clients that live through a restart of their server.

import { describe, expect, it } from "vitest";
import { Absences, mostWithin, SeqLedger } from "../../bench/load/restart-figures.js";
import { parseRequest } from "../../bench/options.js";

describe("the most within a window", () => {
  it("finds the densest, wherever it lies, in any order", () => {
    expect(mostWithin(100, [950, 0, 40, 1_000, 990, 300])).toBe(3);
  });

  it("does not count both ends of a window", () => {
    expect(mostWithin(100, [0, 100])).toBe(1);
    expect(mostWithin(100, [])).toBe(0);
  });
});

describe("absences", () => {
  it("last from the first sign of one until its client is live again", () => {
    const absences = new Absences();
    absences.left(1, 1_000);
    absences.left(1, 1_200);
    absences.left(2, 1_100);
    absences.left(3, 1_500);
    absences.back(1, 1_400);
    absences.back(2, 4_100);
    absences.back(4, 5_000);
    expect(absences.figures()).toMatchObject({ backP50Ms: 400, backMaxMs: 3_000, neverBack: 1, leavesMostPer100Ms: 1 });
    expect([absences.gone, absences.away, absences.isAway(3), absences.isAway(1)]).toEqual([3, 1, true, false]);
  });

  it("count the connections tried", () => {
    const absences = new Absences();
    for (const at of [0, 500, 900, 1_100, 3_000]) absences.tried(at);
    expect(absences.figures().connectsMostPerSecond).toBe(3);
  });
});

describe("what clients are told by seq", () => {
  it("counts holes, what comes twice, and what has not come", () => {
    const ledger = new SeqLedger();
    for (const client of [0, 1]) ledger.begins(client, 3);
    for (const seq of [4, 5, 5, 8]) ledger.told(0, seq);
    ledger.told(1, 4);
    ledger.acknowledged(0, 8);
    ledger.acknowledged(0, 6);
    expect([ledger.lost, ledger.doubled]).toEqual([2, 1]);
    expect(ledger.outstanding([0, 1], () => 0)).toBe(4);
    expect(ledger.outstanding([0], () => 0)).toBe(0);
  });
});

describe("--connections", () => {
  it("is a whole number of clients, a room's at least", () => {
    expect(parseRequest(["drain", "--connections", "500"])).toMatchObject({ options: { connections: 500 } });
    expect(parseRequest(["drain"])).not.toHaveProperty("options.connections");
    for (const wrong of ["9", "12.5", "many"])
      expect(parseRequest(["drain", "--connections", wrong])).toMatchObject({ kind: "usage" });
  });
});
