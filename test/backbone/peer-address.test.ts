// Where a node says that others reach it.

import { expect, test } from "vitest";
import { peerAddress } from "../../src/backbone/peer-address.js";

const LOCAL = ["127.0.0.1", "localhost", "::1"];

test.each([
  ["127.0.0.1:9095", { host: "127.0.0.1", stated: undefined, services: LOCAL }],
  ["[::1]:9095", { host: "::1", stated: undefined, services: LOCAL }],
  ["10.0.0.7:9095", { host: "10.0.0.7", stated: undefined, services: ["redis.internal"] }],
  ["node-1.internal:7000", { host: "0.0.0.0", stated: "node-1.internal:7000", services: ["redis.internal"] }],
])("is %s", (address, place) => {
  expect(peerAddress({ port: 9095, ...place })).toBe(address);
});

test.each([
  ["0.0.0.0:9095", { host: "0.0.0.0", stated: undefined, services: LOCAL }],
  ["[::]:9095", { host: "::", stated: undefined, services: LOCAL }],
  [
    "127.0.0.1:9095, and redis.internal is on another machine",
    { host: "127.0.0.1", stated: undefined, services: [...LOCAL, "redis.internal"] },
  ],
  [
    "localhost:1, and 10.0.0.1 is on another machine",
    { host: "10.0.0.2", stated: "localhost:1", services: ["10.0.0.1"] },
  ],
])("cannot be %s", (what, place) => {
  expect(() => peerAddress({ port: 9095, ...place })).toThrow(`other nodes cannot reach this one at ${what}`);
});

test.each(["node-1", "node-1:0", "node-1:70000", "a b:1", ""])("cannot be %j", (stated) => {
  expect(() => peerAddress({ host: "127.0.0.1", port: 9095, stated, services: LOCAL })).toThrow("host:port");
});
