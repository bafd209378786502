// The embedded engine keeps the ports' guarantees, on a real disk.

import { rm } from "node:fs/promises";
import { EmbeddedStore } from "../../src/adapters/embedded/lmdb.js";
import { makeDirectory, StoppedClock } from "../adapters/embedded/use-store.js";
import { describeArchive } from "./archive.js";
import { describeEventLog, type EventLogSubject } from "./event-log.js";
import { describeFanout } from "./fanout.js";
import { describeOutletStore } from "./outlet-store.js";
import { describeUserArchive } from "./user-archive.js";

async function openStore(directory: string): Promise<EmbeddedStore> {
  return EmbeddedStore.open({ directory, shards: 3, clock: new StoppedClock() });
}

async function subjectIn(directory: string): Promise<EventLogSubject & { readonly store: EmbeddedStore }> {
  const store = await openStore(directory);
  return {
    store,
    log: store.log,
    archive: store.archive,
    async reopen() {
      await store.close();
      return subjectIn(directory);
    },
    async close() {
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

describeEventLog("the embedded engine", async () => subjectIn(await makeDirectory()));

describeArchive("the embedded engine", async () => subjectIn(await makeDirectory()));

describeFanout("the embedded engine", async () => {
  const subject = await subjectIn(await makeDirectory());
  const { fanout } = subject.store;
  return { owner: fanout, listener: fanout, close: subject.close };
});

describeUserArchive("the embedded engine", async () => subjectIn(await makeDirectory()));

describeOutletStore("the embedded engine", async () => {
  const { store, close } = await subjectIn(await makeDirectory());
  return { outlets: store.outlets, close };
});
