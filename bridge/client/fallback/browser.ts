// The fallback as browsers, workers and Node have what it needs.

import type { Platform } from "../platform.js";
import { chooseDial, type FallbackMemory } from "./choose.js";
import { eventsDial } from "./event-wire.js";

interface Surroundings {
  readonly sessionStorage?: { getItem(key: string): string | null; setItem(key: string, value: string): void };
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
  let untilMs = 0;
  return {
    read() {
      try {
        return Number(around.sessionStorage?.getItem(KEY) ?? untilMs);
      } catch {
        return untilMs;
      }
    },
    write(until) {
      untilMs = until;
      try {
        around.sessionStorage?.setItem(KEY, `${until}`);
      } catch {
        // Pages may be forbidden to keep anything.
      }
    },
  };
}

/** In a page it may be relative. */
function httpUrl(url: string): string {
  return new URL(url, around.location?.href).href.replace(/^ws/, "http");
}
