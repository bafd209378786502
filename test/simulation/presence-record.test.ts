// What is held against presence finds what it is there to find.

import { expect, it } from "vitest";
import { PresenceStatus } from "../../src/gen/trunkline/v1/session_pb.js";
import { requirePresence } from "./presence-record.js";

const { OFFLINE, ONLINE, AWAY, DO_NOT_DISTURB, INVISIBLE } = PresenceStatus;

function live(...chosen: readonly PresenceStatus[]) {
  return chosen.map((presence) => ({ live: true, presence }));
}

it.each([
  ["nobody", [], OFFLINE],
  ["one", live(AWAY), AWAY],
  ["the strongest", live(AWAY, ONLINE), ONLINE],
  ["a request for quiet", live(ONLINE, DO_NOT_DISTURB), DO_NOT_DISTURB],
  ["nobody where one of them is invisible", live(DO_NOT_DISTURB, INVISIBLE), OFFLINE],
  ["nobody who has gone", [{ live: false, presence: ONLINE }], OFFLINE],
])("sees %s, and finds anything else", (_, devices, expected) => {
  for (const seen of [OFFLINE, ONLINE, AWAY, DO_NOT_DISTURB]) {
    const judging = () => requirePresence("ada", devices, seen);
    if (seen === expected) expect(judging).not.toThrow();
    else expect(judging).toThrow("different: ada is seen");
  }
});
