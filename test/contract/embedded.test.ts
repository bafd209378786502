// The embedded engine keeps the ports' guarantees, on a real disk.

import { rm } from "node:fs/promises";
import { expect, vi } from "vitest";
import { EmbeddedStore } from "../../src/adapters/embedded/lmdb.js";
import { EmbeddedSessionDirectory } from "../../src/adapters/embedded/session-directory.js";
import { PRESENCE_GRACE_MS } from "../../src/ports/session-directory.js";
import { makeDirectory, StoppedClock as StoreClock } from "../adapters/embedded/use-store.js";
import { MemoryEngine } from "../support/memory-engine.js";
import { StoppedClock } from "../support/stopped-clock.js";
import { describeArchive } from "./archive.js";
import { describeEventLog, type EventLogSubject } from "./event-log.js";
import { describeFanout } from "./fanout.js";
import { describeOutletStore } from "./outlet-store.js";
import { pass } from "./pass.js";
import { describeSessionDirectory, type SessionDirectorySubject } from "./session-directory.js";
import { describeSessionDirectoryModel } from "./session-directory-model.js";
import { describeUserArchive } from "./user-archive.js";

/** Longer than since 1970: nothing is too old before the clock is set. */
const RETENTION_MS = Date.UTC(2080);

async function openStore(directory: string, clock: StoreClock): Promise<EmbeddedStore> {
  return EmbeddedStore.open({ directory, shards: 3, retentionMs: RETENTION_MS, clock });
}

async function subjectIn(
  directory: string,
): Promise<EventLogSubject & { readonly store: EmbeddedStore; readonly shards: number }> {
  const clock = new StoreClock();
  const store = await openStore(directory, clock);
  return {
    store,
    shards: store.log.shards,
    log: store.log,
    archive: store.archive,
    async expire() {
      const ends = await store.log.ends();
      clock.nowMs = RETENTION_MS + Date.UTC(2090);
      await vi.waitFor(async () => {
        clock.advance(60_000);
        expect(await store.log.begins()).toEqual(ends);
      });
    },
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
  const { store, shards, close } = await subjectIn(await makeDirectory());
  return { outlets: store.outlets, shards, close };
});

async function directoryIn(directory: string, clock: StoppedClock): Promise<SessionDirectorySubject> {
  const store = await EmbeddedStore.open({ directory, shards: 3, clock });
  const sessions = new EmbeddedSessionDirectory({ archive: store.archive, clock });
  return {
    here: sessions,
    there: sessions,
    graceMs: PRESENCE_GRACE_MS,
    now: () => clock.now(),
    pass: (ms) => pass(clock, ms),
    async reopen() {
      await sessions.stop();
      await store.close();
      return directoryIn(directory, clock);
    },
    async close() {
      await sessions.stop();
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

describeSessionDirectory("the embedded engine", async () => directoryIn(await makeDirectory(), new StoppedClock()));

describeSessionDirectoryModel("the embedded engine", (clock) => {
  const directory = new EmbeddedSessionDirectory({ archive: new MemoryEngine().archive, clock });
  return [directory, directory];
});
