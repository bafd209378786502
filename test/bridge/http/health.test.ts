// What load balancers are told.

import { expect, it } from "vitest";
import { useBridge } from "../use-bridge.js";

it("is live from the start, and ready when it is said to be", async () => {
  const { http, bridge } = await useBridge();
  const ask = async (path: string) => {
    const response = await fetch(`${http}${path}`);
    return { status: response.status, body: await response.json() };
  };
  expect(await ask("/health/live")).toEqual({ status: 200, body: { live: true } });
  expect(await ask("/health/ready")).toEqual({ status: 503, body: { ready: false, reasons: ["starting"] } });
  bridge.setReady(true);
  expect(await ask("/health/ready")).toEqual({ status: 200, body: { ready: true, reasons: [] } });
  bridge.setReady(false, ["draining"]);
  expect(await ask("/health/ready")).toEqual({ status: 503, body: { ready: false, reasons: ["draining"] } });
});

it("answers 404 for what is not there", async () => {
  const { http } = await useBridge();
  const response = await fetch(`${http}/nothing`);
  expect(response.status).toBe(404);
  expect(await response.json()).toMatchObject({ code: "NOT_FOUND" });
  expect((await fetch(`${http}/dev/token`, { method: "POST" })).status).toBe(404);
});
