// The memory engine keeps the ports' guarantees, so that tests of the core may rely on it.

import { MemoryEngine, type MemoryEngineOptions } from "../support/memory-engine.js";
import { describeArchive } from "./archive.js";
import { describeEventLog, type EventLogSubject } from "./event-log.js";
import { describeFanout } from "./fanout.js";
import { describeOutletStore } from "./outlet-store.js";
import { describeUserArchive } from "./user-archive.js";

function logSubject(engine: MemoryEngine): EventLogSubject {
  return {
    log: engine.log,
    archive: engine.archive,
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
  ["the memory engine that is archived behind the log", { archivesOnAppend: false }],
];

for (const [name, options] of variants) {
  describeEventLog(name, async () => logSubject(new MemoryEngine(options)));
  describeArchive(name, async () => ({ archive: new MemoryEngine(options).archive, async close() {} }));
  describeUserArchive(name, async () => ({ archive: new MemoryEngine(options).archive, async close() {} }));
  describeOutletStore(name, async () => ({ outlets: new MemoryEngine(options).outlets, async close() {} }));
}

describeFanout("the memory engine", async () => {
  const { fanout } = new MemoryEngine();
  return { owner: fanout, listener: fanout, async close() {} };
});
