// What a node holds for shards that nobody owns at the moment: so much, and no more.

import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { CommandQueue } from "../../../src/core/cluster/command-queue.js";
import { Finding } from "../../../src/core/cluster/finding.js";
import type { Command, Outcome } from "../../../src/core/room/command.js";
import { BodySchema } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { Peers } from "../../../src/ports/peers.js";
import type { Placement } from "../../../src/ports/placement.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { settle } from "../use-core.js";

const MEBIBYTE = 1024 * 1024;
const ROOM = roomRef("acme", "general");
const ANN = {
  tenantId: "acme",
  userId: "ann",
  displayName: "",
  grants: new Set<string>(),
  expiresAtMs: undefined,
  tokenId: "",
};
const OUTCOME: Outcome = {
  seq: 1,
  tag: 1,
  eventId: "event",
  createdAtMs: 0,
  messageIndex: 1,
  version: 1,
  made: "messageCreated",
  duplicate: false,
  room: undefined,
  members: [],
};

function publishing(key: string, bytes: number): Command {
  const body = create(BodySchema, { kind: { case: "text", value: "x".repeat(bytes) } });
  return { kind: "publish", key, attempt: 1, body, replyTo: "", threadRoot: "", mentions: [], metadata: undefined };
}

/** A queue whose shard has no owner until `own` is called: then this node. */
function useQueue() {
  const clock = new StoppedClock();
  let owned = false;
  const placement: Placement = {
    nodeId: "one",
    shards: 1,
    level: 1,
    start: async () => {},
    ownerOf: () => undefined,
    holds: () => owned,
    nodes: () => [],
    onChanged: () => {},
    decline: () => {},
    leave: async () => {},
    stop: () => {},
  };
  const peers: Peers = { ask: () => Promise.reject(new Error("nobody is asked")), stop: () => {} };
  const finding = new Finding({ placement, peers }, clock, () => owned);
  const done: string[] = [];
  const refused: string[] = [];
  const here = (_ref: unknown, _caller: unknown, { key }: Command) => {
    done.push(key);
    return { turned: undefined, outcome: Promise.resolve(OUTCOME) };
  };
  const queue = new CommandQueue({ shard: 0, clock, peers, finding, here });
  finding.onChanged(() => queue.changed());
  return {
    clock,
    done,
    refused,
    /** Refusals other than those for a while fail the test. */
    publish: (key: string, bytes: number): void => {
      const { outcome } = queue.submit(ROOM, { identity: ANN, deviceId: "phone" }, publishing(key, bytes));
      void outcome.catch((error: unknown) => {
        if (!(error instanceof TrunklineError) || error.code !== ErrorCode.UNAVAILABLE) throw error;
        expect(error.retryAfterMs).toBe(500);
        refused.push(key);
      });
    },
    own: () => {
      owned = true;
      finding.changed();
    },
  };
}

it("holds 64 MiB of commands without an owner, and refuses more", async () => {
  const { publish, own, done, refused } = useQueue();
  for (let index = 0; index < 63; index++) publish(`k${index}`, MEBIBYTE);
  publish("too much", MEBIBYTE);
  publish("small", 1_000);
  await settle();
  expect(refused).toEqual(["too much"]);
  own();
  expect(done).toHaveLength(64);
  expect(done.at(-1)).toBe("small");
});

it("holds 10,000 commands without an owner, and refuses more", async () => {
  const { publish, own, done, refused } = useQueue();
  for (let index = 0; index <= 10_000; index++) publish(`k${index}`, 1);
  await settle();
  expect(refused).toEqual(["k10000"]);
  own();
  expect(done).toHaveLength(10_000);
});

it("has room again for what it has refused after two seconds, and for what was done", async () => {
  const { clock, publish, own, done, refused } = useQueue();
  publish("large", 60 * MEBIBYTE);
  clock.advance(2_000);
  await settle();
  expect(refused).toEqual(["large"]);
  publish("as large", 60 * MEBIBYTE);
  own();
  expect(done).toEqual(["as large"]);
  publish("goes on at once", 60 * MEBIBYTE);
  await settle();
  expect(done).toEqual(["as large", "goes on at once"]);
  expect(refused).toEqual(["large"]);
});
