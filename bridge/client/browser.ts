// The world as browsers, workers and Node (22 and later) have it.

import type { Platform, Reachability, Wire, WireListener } from "./platform.js";

/** What of the browser is used and Node does not have, or declares differently. */
interface Surroundings {
  readonly navigator?: object;
  readonly document?: EventTarget & { readonly visibilityState?: string };
  readonly addEventListener?: EventTarget["addEventListener"];
  readonly removeEventListener?: EventTarget["removeEventListener"];
  /** Of a page: what relative addresses are relative to. */
  readonly location?: { readonly href: string };
}

const around: Surroundings = globalThis;

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const ID_LENGTH = 22;
/** No close frame came. */
const ABNORMAL = 1006;

export const browser: Platform = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, action) {
    const timeout = setTimeout(action, ms);
    return { cancel: () => clearTimeout(timeout) };
  },
  random: () => Math.random(),
  // `crypto.randomUUID` is missing where a page comes from a plain-HTTP address of the local network.
  id: () => Array.from(crypto.getRandomValues(new Uint8Array(ID_LENGTH)), (byte) => LETTERS[byte & 63]).join(""),
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
  let over = false;
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    if (!over) listener.opened();
  });
  socket.addEventListener("message", ({ data }) => {
    if (!over) listener.received(data);
  });
  socket.addEventListener("close", ({ code }) => {
    if (over) return;
    over = true;
    listener.closed(code);
  });
  return {
    send: (data) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(data);
    },
    close: (code) => {
      over = true;
      socket.close(code);
    },
  };
}

function reachability(): Reachability {
  return {
    get online() {
      const { navigator } = around;
      return navigator === undefined || !("onLine" in navigator) || navigator.onLine !== false;
    },
    watch(listener) {
      const shown = (): void => {
        if (around.document?.visibilityState !== "hidden") listener();
      };
      around.addEventListener?.("online", listener);
      around.addEventListener?.("offline", listener);
      around.document?.addEventListener("visibilitychange", shown);
      return () => {
        around.removeEventListener?.("online", listener);
        around.removeEventListener?.("offline", listener);
        around.document?.removeEventListener("visibilitychange", shown);
      };
    },
  };
}
