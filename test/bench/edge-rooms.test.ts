// Who gets what in `edge`: the crowds' shares must add up, or losses would not be seen.

import { describe, expect, it } from "vitest";
import {
  type Crowd,
  memberAt,
  receiversOf,
  roomOf,
  roomOfMessage,
  sizeOf,
  speakerOf,
} from "../../bench/load/edge-rooms.js";

const crowds: readonly Crowd[] = [0, 1, 2].map((crowd) => ({ crowd, crowds: 3, members: 120 }));

describe("the crowds of edge", () => {
  it("have every member once", () => {
    const members = crowds.flatMap((crowd) => Array.from({ length: sizeOf(crowd) }, (_, at) => memberAt(crowd, at)));
    expect(members.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, member) => member));
  });

  it("get each message ten times together, in its speaker's room", () => {
    for (let n = 0; n < 24; n++) {
      expect(crowds.reduce((count, crowd) => count + receiversOf(crowd, n), 0)).toBe(10);
      for (const crowd of crowds) expect(roomOf(speakerOf(crowd, n))).toBe(roomOfMessage(crowd, n));
    }
  });

  it("say something in every room before one comes again", () => {
    const [crowd] = crowds;
    if (crowd === undefined) throw new Error("there is no crowd");
    expect(new Set(Array.from({ length: 12 }, (_, n) => roomOfMessage(crowd, n))).size).toBe(12);
  });
});
