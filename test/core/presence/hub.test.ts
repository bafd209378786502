// What one tenant's users wait for keeps nothing from another's.

import { expect, it, vi } from "vitest";
import { UserNotices } from "../../../src/core/cluster/user-notices.js";
import { PresenceHub } from "../../../src/core/presence/hub.js";
import { Blocks } from "../../../src/core/room/blocks.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { PresenceStatus } from "../../../src/gen/trunkline/v1/session_pb.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { MemoryDirectory } from "../../support/memory-engine-directory.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { settle } from "../use-core.js";

/** Longer than changes are collected, and than it takes until what failed is tried again. */
const TICK_MS = 60;
const RETRY_MS = 1_100;

it("tells what has changed of a tenant's users where another tenant's cannot be read", async () => {
  const clock = new StoppedClock();
  const engine = new MemoryEngine();
  const shared = new MemoryDirectory({ archive: () => engine.archive, clock });
  const directory = shared.node();
  const notices = new UserNotices({ clock });
  const blocks = new Blocks({ random: () => "", digest: (of) => of }, notices, async () => new Set());
  const hub = new PresenceHub({ clock, directory, telemetry: new Telemetry() }, blocks, notices);
  const told: string[] = [];
  for (const tenantId of ["acme", "globex"]) {
    await hub.watch(tenantId, "ann", {
      heedsBlocks: false,
      collect: ({ userId, status }) => told.push(`${tenantId} ${userId} ${PresenceStatus[status]}`),
      flush: () => {},
      blockChanged: () => {},
    });
  }
  vi.spyOn(directory, "presences").mockRejectedValueOnce(new Error("the directory is away"));
  shared.tell("acme/ann");
  shared.tell("globex/ann");
  clock.advance(TICK_MS);
  await settle();
  expect(told).toEqual(["globex ann OFFLINE"]);
  clock.advance(RETRY_MS);
  await settle();
  expect(told).toEqual(["globex ann OFFLINE", "acme ann OFFLINE"]);
  hub.stop();
});

it("asks once whom a watched user has blocked where no other node can change it", async () => {
  const clock = new StoppedClock();
  const engine = new MemoryEngine();
  const directory = new MemoryDirectory({ archive: () => engine.archive, clock }).node();
  const notices = new UserNotices({ clock });
  const blocks = new Blocks({ random: () => "", digest: (of) => of }, notices, async () => new Set());
  const asked = vi.spyOn(blocks, "blockedBy");
  const hub = new PresenceHub({ clock, directory, telemetry: new Telemetry() }, blocks, notices);
  await hub.watch("acme", "ann", { heedsBlocks: true, collect: () => {}, flush: () => {}, blockChanged: () => {} });
  for (let second = 0; second < 60; second++) {
    clock.advance(1_000);
    await settle();
  }
  expect(asked).toHaveBeenCalledTimes(1);
  hub.stop();
});
