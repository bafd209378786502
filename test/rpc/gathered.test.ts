// Messages of a stream that share frames.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { PeerRequestSchema, PeerRequestsSchema } from "../../src/gen/trunkline/cluster/v1/peer_pb.js";
import { Gathered } from "../../src/rpc/gathered.js";

function useGathered() {
  const frames: Uint8Array[] = [];
  const due: (() => void)[] = [];
  const gathered = new Gathered({ soon: (action) => due.push(action) }, (frame) => frames.push(frame));
  const turn = (): void => {
    for (const action of due.splice(0)) action();
  };
  const add = (id: number, bytes = 0): void => {
    const request = { case: "look" as const, value: { userIds: ["u".repeat(bytes)] } };
    gathered.add(toBinary(PeerRequestSchema, create(PeerRequestSchema, { id, request })));
  };
  const idsOf = (): readonly (readonly number[])[] =>
    frames.map((frame) => fromBinary(PeerRequestsSchema, frame).requests.map(({ id }) => id));
  return { gathered, add, turn, idsOf };
}

it("writes what was added in one turn as one frame, in order", () => {
  const { add, turn, idsOf } = useGathered();
  for (const id of [1, 2, 3]) add(id);
  expect(idsOf()).toEqual([]);
  turn();
  add(4);
  turn();
  turn();
  expect(idsOf()).toEqual([[1, 2, 3], [4]]);
});

it("begins another frame beyond 256 KiB, and sends a longer message alone", () => {
  const { add, turn, idsOf } = useGathered();
  for (const [index, kib] of [100, 100, 100, 300, 1].entries()) add(index + 1, kib * 1024);
  turn();
  expect(idsOf()).toEqual([[1, 2], [3], [4], [5]]);
});

it("writes nothing after its end", () => {
  const { gathered, add, turn, idsOf } = useGathered();
  add(1);
  gathered.end();
  add(2);
  turn();
  expect(idsOf()).toEqual([]);
});
