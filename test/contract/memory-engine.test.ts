// The memory engine keeps the ports' guarantees, so that tests of the core may rely on it.

import type { Placement } from "../../src/ports/placement.js";
import { PRESENCE_GRACE_MS } from "../../src/ports/session-directory.js";
import { MemoryEngine, type MemoryEngineOptions } from "../support/memory-engine.js";
import { MEMORY_LEASE_MS, MemoryDirectory } from "../support/memory-engine-directory.js";
import { MemoryLeases } from "../support/memory-leases.js";
import { StoppedClock } from "../support/stopped-clock.js";
import { describeArchive } from "./archive.js";
import { describeEventLog, type EventLogSubject } from "./event-log.js";
import { describeFanout } from "./fanout.js";
import { describeLeases } from "./leases.js";
import { describeOutletStore } from "./outlet-store.js";
import { pass } from "./pass.js";
import { describePlacement } from "./placement.js";
import { describeSessionDirectory, type SessionDirectorySubject } from "./session-directory.js";
import { describeSessionDirectoryModel } from "./session-directory-model.js";
import { describeSessionDirectoryNodes } from "./session-directory-nodes.js";
import { describeUserArchive } from "./user-archive.js";

function logSubject(engine: MemoryEngine): EventLogSubject {
  return {
    log: engine.log,
    archive: engine.archive,
    rival: async () => engine.nodeLog(),
    async expire() {
      for (const shard of engine.state.shards.keys()) engine.expire(shard);
    },
    async reopen() {
      engine.crash();
      return logSubject(engine);
    },
    async close() {},
  };
}

const variants: readonly [string, MemoryEngineOptions][] = [
  ["the memory engine", {}],
  ["the memory engine that answers later", { answersLater: true }],
  ["the memory engine that is archived behind the log", { archivesOnAppend: false, maxBatchBytes: 1_000_000 }],
  ["the memory engine that leaves void records", { archivesOnAppend: false, leavesVoids: true }],
];

for (const [name, options] of variants) {
  describeEventLog(name, async () => logSubject(new MemoryEngine(options)));
  describeArchive(name, async () => ({ archive: new MemoryEngine(options).archive, shards: 4, async close() {} }));
  describeUserArchive(name, async () => ({ archive: new MemoryEngine(options).archive, async close() {} }));
  describeOutletStore(name, async () => {
    const engine = new MemoryEngine(options);
    const delayUnpark = () => {
      let held: (() => void) | undefined;
      engine.holdsUnpark = (arrive) => {
        engine.holdsUnpark = () => false;
        held = arrive;
        return true;
      };
      return async () => held?.();
    };
    return { outlets: engine.outlets, shards: engine.shards, delayUnpark, async close() {} };
  });
}

describeLeases("the memory engine", async () => {
  const clock = new StoppedClock();
  const leases = new MemoryLeases({ clock, shards: 16 });
  return {
    node: async () => leases,
    rounds: (count) => clock.advance(count * leases.roundMs),
    async close() {},
  };
});

describePlacement("the memory engine", async () => {
  const clock = new StoppedClock();
  const leases = new MemoryLeases({ clock, shards: 16 });
  const cutOff = new Set<string>();
  leases.way = async (nodeId) => {
    if (cutOff.has(nodeId)) throw new Error("cut off");
  };
  const nodes: Placement[] = [];
  return {
    shards: leases.shards,
    async node(level = 1) {
      const nodeId = `node-${nodes.length}`;
      const placement = leases.placement(nodeId, clock, { level });
      nodes.push(placement);
      return { placement, cutOff: () => void cutOff.add(nodeId) };
    },
    rounds: (count) => pass(clock, count * leases.roundMs),
    async forget() {
      leases.empty();
    },
    dueTo: (shard, nodeIds) => leases.dueTo(shard, nodeIds),
    async close() {
      for (const node of nodes) node.stop();
    },
  };
});

describeFanout("the memory engine", async () => {
  const { fanout } = new MemoryEngine();
  return { owner: fanout, listener: fanout, async close() {} };
});

function directoryOf(engine: MemoryEngine, clock: StoppedClock, nodes: number, answersLater: boolean) {
  const shared = new MemoryDirectory({ archive: () => engine.archive, clock, answersLater });
  const here = shared.node();
  const there = nodes === 1 ? here : shared.node();
  const stop = async (): Promise<void> => {
    await here.stop();
    await there.stop();
  };
  return {
    here,
    there,
    graceMs: PRESENCE_GRACE_MS,
    leaseMs: MEMORY_LEASE_MS,
    now: () => clock.now(),
    pass: (ms: number) => pass(clock, ms),
    crash: () => shared.crash(here),
    async reopen(): Promise<SessionDirectorySubject> {
      await stop();
      engine.crash();
      return directoryOf(engine, clock, nodes, answersLater);
    },
    close: stop,
  };
}

for (const [name, nodes, answersLater] of [
  ["the memory engine", 1, false],
  ["the memory engine on two nodes", 2, false],
  ["the memory engine on two nodes that answer later", 2, true],
] as const) {
  const open = async () => directoryOf(new MemoryEngine({ answersLater }), new StoppedClock(), nodes, answersLater);
  describeSessionDirectory(name, open);
  if (nodes > 1) describeSessionDirectoryNodes(name, open);
  describeSessionDirectoryModel(name, (clock) => {
    const engine = new MemoryEngine({ answersLater });
    const shared = new MemoryDirectory({ archive: () => engine.archive, clock, answersLater });
    const here = shared.node();
    return [here, nodes === 1 ? here : shared.node()];
  });
}
