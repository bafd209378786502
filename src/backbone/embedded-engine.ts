// One process with everything in a directory of its own.

import { EmbeddedStore } from "../adapters/embedded/lmdb.js";
import { EmbeddedSessionDirectory } from "../adapters/embedded/session-directory.js";
import type { Engine, EngineContext } from "./engine.js";
import { GOOD_STANDING } from "./standing.js";

export interface EmbeddedEngineOptions {
  readonly directory: string;
  readonly shards?: number | undefined;
  readonly retentionMs?: number | undefined;
}

/** Rejects with an Error that says what to do where the directory cannot be used. */
export async function openEmbeddedEngine(
  { directory: path, shards, retentionMs }: EmbeddedEngineOptions,
  { clock, limits, telemetry, parts }: EngineContext,
): Promise<Engine> {
  const onFault = (where: string) => (cause: unknown) => telemetry.emit("fault", { where, cause });
  const store = await EmbeddedStore.open({
    directory: path,
    clock,
    onFault: onFault("store"),
    ...(shards !== undefined && { shards }),
    ...(retentionMs !== undefined && { retentionMs }),
  });
  parts.add("store", () => store.close());
  const { log, archive, fanout } = store;
  const graceMs = limits.presenceGraceMs;
  return {
    log,
    archive,
    fanout,
    directory: new EmbeddedSessionDirectory({ archive, clock, graceMs, onFault: onFault("directory") }),
    outlets: store.outlets,
    notifications: store.notifications,
    cluster: undefined,
    node: undefined,
    answerWith: () => {},
    openInbound: undefined,
    standing: () => GOOD_STANDING,
    backup: (to) => store.backup(to),
  };
}
