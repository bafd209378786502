// Placement over leases that the test grants.

import { expect, it, onTestFinished } from "vitest";
import { LeasePlacement } from "../../../src/adapters/cluster/placement/lease-placement.js";
import {
  LEASE_ROUNDS,
  type Leases,
  type Round,
  type Standing,
} from "../../../src/adapters/cluster/placement/leases.js";
import { StoppedClock } from "../../support/stopped-clock.js";

const ROUND_MS = 1_000;

/** Leases of one node, which is granted whatever it asks for. */
class Granting implements Leases {
  readonly roundMs = ROUND_MS;
  #notified: () => void = () => {};

  async round({ node, asked }: Round): Promise<Standing> {
    return {
      known: true,
      nodes: [{ node: { ...node, leaving: false }, level: 1 }],
      owners: new Map(asked.map((shard) => [shard, node.nodeId])),
      needed: new Map(),
    };
  }

  dueTo(_shard: number, nodeIds: readonly string[]): string | undefined {
    return nodeIds[0];
  }

  async notify(): Promise<void> {
    this.#notified();
  }

  async onNotified(listener: () => void): Promise<() => void> {
    this.#notified = listener;
    return () => {};
  }
}

/** One whose timers can stand still while time passes. */
class StallingClock extends StoppedClock {
  stalledMs = 0;

  override monotonic(): number {
    return super.monotonic() + this.stalledMs;
  }
}

it("says that a lease is lost which was over before it was granted again, though its timer has not run yet", async () => {
  const clock = new StallingClock();
  const leases = new Granting();
  const placement = new LeasePlacement({
    leases,
    clock,
    nodeId: "one",
    address: "127.0.0.1:1",
    shards: 1,
    level: 1,
    onFault: () => {},
  });
  onTestFinished(() => placement.stop());
  const told: string[] = [];
  await placement.start({
    gained: (shard) => void told.push(`gained ${shard}`),
    lost: (shard) => void told.push(`lost ${shard}`),
    yields: async () => {},
  });
  expect(told).toEqual(["gained 0"]);
  clock.stalledMs = LEASE_ROUNDS * ROUND_MS;
  await leases.notify();
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual(["gained 0", "lost 0", "gained 0"]);
  expect(placement.holds(0)).toBe(true);
});
