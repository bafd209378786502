// Pages that may keep nothing: browsers have it then, and say so by throwing, some as soon as it is looked at.

import { expect, it, onTestFinished } from "vitest";
import { createClient } from "../../../../bridge/client/index.js";
import { indexedDbStorage } from "../../../../bridge/client/outbox/indexed-db.js";

function forbidStorage(): void {
  const define = (name: string, property: PropertyDescriptor): void => {
    const before = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { configurable: true, ...property });
    onTestFinished(() => {
      Reflect.deleteProperty(globalThis, name);
      if (before !== undefined) Object.defineProperty(globalThis, name, before);
    });
  };
  const forbidden = {
    get: () => {
      throw new DOMException("The operation is insecure.", "SecurityError");
    },
  };
  for (const name of ["indexedDB", "sessionStorage", "localStorage"]) define(name, forbidden);
  define("IDBKeyRange", { value: { bound: () => ({}) } });
}

it("makes a client all the same", () => {
  forbidStorage();
  const client = createClient({ url: "http://127.0.0.1:1", token: () => "t", autoConnect: false });
  expect(client.state.status).toBe("idle");
});

it("says of what is asked of the storage why it cannot be done", async () => {
  forbidStorage();
  const storage = indexedDbStorage();
  await expect(storage?.load("acme ada")).rejects.toThrow("The operation is insecure.");
});
