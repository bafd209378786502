// A backbone inside somebody's own process.

import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type BackboneOptions, startBackbone, type TokenVerifier } from "../../src/index.js";

function useOptions(change: Partial<BackboneOptions> = {}): BackboneOptions {
  const dataDirectory = mkdtempSync(join(tmpdir(), "trunkline-backbone-"));
  onTestFinished(() => rmSync(dataDirectory, { recursive: true, force: true }));
  return { dataDirectory, auth: { verifier: verifier() }, grpc: { port: 0 }, bridge: { port: 0 }, ...change };
}

/** Knows nobody. */
function verifier(available = true): TokenVerifier {
  return {
    available,
    verify: () => Promise.reject(new Error("nobody")),
    onRevoked: () => () => {},
    close: () => Promise.reject(new Error("not the backbone's to close")),
  };
}

async function useBackbone(options: BackboneOptions) {
  const backbone = await startBackbone(options);
  onTestFinished(() => backbone.stop({ spreadMs: 0 }).then(() => {}));
  return backbone;
}

test("says where it listens, is ready there, and is gone when it has stopped", async () => {
  const backbone = await useBackbone(useOptions({ metrics: { port: 0 } }));
  for (const address of [backbone.grpcAddress, backbone.bridgeAddress, backbone.metricsAddress]) {
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
  }
  const ready = `http://${backbone.bridgeAddress}/health/ready`;
  expect((await fetch(ready)).status).toBe(200);
  expect(await Promise.all([backbone.stop({ spreadMs: 0 }), backbone.stop()])).toEqual(["drained", "drained"]);
  await expect(fetch(ready)).rejects.toThrow();
});

test("is not ready while the auth service is away", async () => {
  const backbone = await useBackbone(useOptions({ auth: { verifier: verifier(false) } }));
  const answer = await fetch(`http://${backbone.bridgeAddress}/health/ready`);
  expect(answer.status).toBe(503);
  expect(await answer.text()).toContain("the auth service does not answer");
});

test("a limit that no client could be told of is refused before anything is started", async () => {
  const options = { ...useOptions(), limits: { maxFrameBytes: 2 ** 32 } };
  await expect(startBackbone(options)).rejects.toThrow("limits.maxFrameBytes");
});

test("what was started is undone when a later part cannot start", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void taken.close());
  await once(taken, "listening");
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const options = useOptions();
  for (const failing of [{ grpc: { port } }, { bridge: { port } }, { metrics: { port } }]) {
    await expect(startBackbone({ ...options, ...failing })).rejects.toMatchObject({ code: "EADDRINUSE", port });
  }
  const backbone = await useBackbone(options);
  expect((await fetch(`http://${backbone.bridgeAddress}/health/ready`)).status).toBe(200);
});

test("two live in one process, each on its own data", async () => {
  const [one, other] = [await useBackbone(useOptions()), await useBackbone(useOptions())];
  expect(one.bridgeAddress).not.toBe(other.bridgeAddress);
});

test("a second one on the same data is refused", async () => {
  const options = useOptions();
  await useBackbone(options);
  await expect(startBackbone(options)).rejects.toThrow(`is in use by process ${process.pid}`);
});

test("copies its live store", async () => {
  const options = useOptions();
  const backbone = await useBackbone(options);
  const copy = join(options.dataDirectory ?? "", "copy");
  await backbone.backup(copy);
  expect(existsSync(join(copy, "data.mdb"))).toBe(true);
});
