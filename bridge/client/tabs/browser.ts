// What tabs share a connection by, as browsers have it.

import { type KeyedStorage, keep } from "../keep.js";
import type { TabsPlatform } from "./channel.js";

interface LockManager {
  request(
    name: string,
    options: { readonly steal?: boolean; readonly ifAvailable?: boolean; readonly signal?: AbortSignal },
    held: (lock: unknown) => Promise<void> | undefined,
  ): Promise<unknown>;
}

interface Surroundings {
  readonly document?: unknown;
  readonly navigator?: { readonly locks?: LockManager };
  readonly localStorage?: KeyedStorage;
  readonly sessionStorage?: KeyedStorage;
}

const around = globalThis as Surroundings;

/** Undefined where tabs cannot share: outside of pages, in pages that came over plain HTTP from elsewhere, and in those that may keep nothing. */
export function browserTabs(): TabsPlatform | undefined {
  const locks = around.navigator?.locks;
  if (around.document === undefined || locks === undefined || typeof BroadcastChannel === "undefined") return undefined;
  try {
    // Where it is forbidden, so are locks, which say it only when they are asked for.
    if (around.localStorage === undefined) return undefined;
  } catch {
    return undefined;
  }
  return {
    channel(name, received) {
      const channel = new BroadcastChannel(name);
      channel.onmessage = ({ data }) => received(data);
      return { post: (message) => channel.postMessage(message), close: () => channel.close() };
    },
    lock: (name, how, held, lost) => lock(locks, name, how, held, lost),
    all: keep(() => around.localStorage),
    own: keep(() => around.sessionStorage),
  };
}

function lock(
  locks: LockManager,
  name: string,
  how: "wait" | "steal" | "try",
  held: () => void,
  lost: () => void = () => {},
): () => void {
  const abort = new AbortController();
  let over = false;
  let granted = false;
  let release = (): void => {};
  const options = how === "wait" ? { signal: abort.signal } : how === "steal" ? { steal: true } : { ifAvailable: true };
  const taken = (): void => {
    if (!over) lost();
    over = true;
  };
  locks
    .request(name, options, (lock) => {
      if (over) return undefined;
      if (lock === null) {
        taken();
        return undefined;
      }
      granted = true;
      return new Promise((resolve) => {
        release = resolve;
        // It may be given up at once.
        held();
      });
    })
    // Stolen, or not to be had.
    .catch(() => {
      if (granted || how !== "wait") taken();
    });
  return () => {
    over = true;
    abort.abort();
    release();
  };
}
