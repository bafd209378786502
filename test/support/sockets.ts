// Counts the WebSockets that clients in this process open, and those that have ended, until the test is over.

import { onTestFinished, vi } from "vitest";

export interface Sockets {
  readonly opened: number;
  /** What each that has ended was closed with: code and reason. */
  readonly closed: readonly string[];
}

export function useSockets(): Sockets {
  const closed: string[] = [];
  const counts = { opened: 0, closed };
  class CountedSocket extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      counts.opened++;
      this.addEventListener("close", ({ code, reason }) => closed.push(`${code} ${reason}`));
    }
  }
  vi.stubGlobal("WebSocket", CountedSocket);
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  return counts;
}
