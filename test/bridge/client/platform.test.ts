// The world as the client really has it.

import { expect, it, onTestFinished, vi } from "vitest";
import { browser } from "../../../bridge/client/browser.js";

it("waits no longer than a timer can, where that would fire at once", () => {
  const set = vi.spyOn(globalThis, "setTimeout");
  onTestFinished(() => set.mockRestore());
  browser.after(2 ** 32 - 1, () => {}).cancel();
  browser.after(1_000, () => {}).cancel();
  expect(set.mock.calls.map(([, ms]) => ms)).toEqual([2 ** 31 - 1, 1_000]);
});

it("makes ids of 22 letters and digits that nobody else has", () => {
  const ids = Array.from({ length: 1_000 }, () => browser.id());
  for (const id of ids) expect(id).toMatch(/^[0-9a-z]{22}$/);
  expect(new Set(ids).size).toBe(1_000);
});

it("sends nothing on a WebSocket that is not open any more, of which browsers complain", () => {
  const sent: unknown[] = [];
  let socket: { readyState: number } | undefined;
  class Socket extends EventTarget {
    static readonly OPEN = 1;
    readyState = Socket.OPEN;
    constructor() {
      super();
      socket = this;
    }
    send(data: unknown): void {
      sent.push(data);
    }
    close(): void {}
  }
  vi.stubGlobal("WebSocket", Socket);
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  const listener = { opened: () => {}, received: () => {}, closed: () => {} };
  const wire = browser.dial("http://127.0.0.1/", "trunkline", listener);
  wire.send("open");
  if (socket !== undefined) socket.readyState = 2;
  wire.send("closing");
  expect(sent).toEqual(["open"]);
});
