// The fallback as browsers, workers and Node have what it needs.

import { type KeyedStorage, keep } from "../keep.js";
import type { Platform } from "../platform.js";
import { chooseDial, type FallbackMemory } from "./choose.js";
import { eventsDial } from "./event-wire.js";

interface Surroundings {
  readonly sessionStorage?: KeyedStorage;
  readonly location?: { readonly href: string };
}

const around: Surroundings = globalThis;
const KEY = "trunkline.fallback";

/** The platform with a way round networks that let no WebSocket through. */
export function withFallback(platform: Platform, memory: FallbackMemory | false = sessionMemory()): Platform {
  if (memory === false) return platform;
  const { dial: socket, after } = platform;
  const dialEvents = eventsDial({ after, fetch: (url, init) => fetch(httpUrl(url), init) });
  return { ...platform, dial: chooseDial({ socket, events: dialEvents, memory }, platform) };
}

/** The tab's memory, where it may be used; else the process's. */
function sessionMemory(): FallbackMemory {
  const kept = keep(() => around.sessionStorage);
  let untilMs = 0;
  return {
    read: () => Number(kept.get(KEY) ?? untilMs),
    write(until) {
      untilMs = until;
      kept.set(KEY, `${until}`);
    },
  };
}

/** In a page it may be relative. */
function httpUrl(url: string): string {
  return new URL(url, around.location?.href).href.replace(/^ws/, "http");
}
