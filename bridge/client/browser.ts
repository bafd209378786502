// The world as browsers, workers and Node (22 and later) have it.

import { ABNORMAL } from "./close-code.js";
import type { Platform, Reachability, Wire, WireListener } from "./platform.js";

/** What of the browser is used and Node does not have, or declares differently. */
interface Surroundings {
  readonly navigator?: { readonly onLine?: boolean };
  readonly document?: EventTarget & { readonly visibilityState?: string };
  readonly addEventListener?: EventTarget["addEventListener"];
  /** Of a page: what relative addresses are relative to. */
  readonly location?: { readonly href: string };
}

const around = globalThis as Surroundings;

/** In letters and digits: 113 bits. */
const ID_LENGTH = 22;
/** The longest that a timer can wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const browser: Platform = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, action) {
    const timeout = setTimeout(action, Math.min(ms, LONGEST_TIMER_MS));
    return { cancel: () => clearTimeout(timeout) };
  },
  random: () => Math.random(),
  // `crypto.randomUUID` is missing where a page comes from a plain-HTTP address of the local network.
  id: () => Array.from(crypto.getRandomValues(new Uint8Array(ID_LENGTH)), (byte) => (byte % 36).toString(36)).join(""),
  dial,
  reachability: reachability(),
};

/** The address of a WebSocket: `https:` is `wss:`, and in a page it may be relative. Throws where it is none. */
function socketUrl(url: string): string {
  const absolute = new URL(url, around.location?.href);
  absolute.protocol = absolute.protocol.replace(/^http/, "ws");
  return absolute.href;
}

function dial(url: string, subprotocol: string, listener: WireListener): Wire {
  let socket: WebSocket;
  try {
    socket = new WebSocket(socketUrl(url), [subprotocol]);
  } catch {
    const failed = setTimeout(() => listener.closed(ABNORMAL));
    return { send: () => {}, close: () => clearTimeout(failed) };
  }
  const over = new AbortController();
  const { signal } = over;
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => listener.opened(), { signal });
  socket.addEventListener("message", ({ data }) => listener.received(data), { signal });
  socket.addEventListener("close", ({ code }) => listener.closed(code), { signal });
  return {
    // What is sent once it is closing is lost, and of use to nobody; browsers complain of it to the page's developer.
    send: (data) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(data);
    },
    close: (code) => {
      over.abort();
      socket.close(code);
    },
  };
}

function reachability(): Reachability {
  return {
    get online() {
      return around.navigator?.onLine !== false;
    },
    watch(listener) {
      const shown = (): void => {
        if (around.document?.visibilityState !== "hidden") listener();
      };
      const over = new AbortController();
      const { signal } = over;
      for (const name of ["online", "offline"]) around.addEventListener?.(name, listener, { signal });
      around.document?.addEventListener("visibilitychange", shown, { signal });
      return () => over.abort();
    },
  };
}
