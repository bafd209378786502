// How many sessions a tenant may have is true of all nodes together.

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { TENANT_SESSIONS_LEASE_MS } from "../../../src/ports/tenant-sessions.js";
import { useCluster } from "../use-cluster.js";
import { hello, identity, settle, type TestClient, type TestCore } from "../use-core.js";

/** Longer than it takes to say that somebody has gone, in milliseconds. */
const TOLD_MS = 100;

/** Says hello, and may be turned away. */
async function knock(core: TestCore, userId: string, deviceId = "d1", attempt = 1): Promise<TestClient> {
  core.verifier.answer(userId, identity(userId));
  const client = core.dial();
  client.send(hello(userId, "", { device: { deviceId }, attempt }));
  await settle(10);
  return client;
}

function refused(client: TestClient): boolean {
  return client.endedWith === CloseCode.TOO_MANY_SESSIONS;
}

describe("the sessions of a tenant on several nodes", () => {
  it("are refused beyond what there may be on all of them, and let in once somebody has gone elsewhere", async () => {
    const cluster = await useCluster({ limits: { maxSessionsPerTenant: 3 } });
    const [one, two, three] = [cluster.node(0), cluster.node(1), cluster.node(2)];
    const ada = await knock(one, "ada");
    const [bob, carl] = [await knock(two, "bob"), await knock(three, "carl")];
    const dora = await knock(three, "dora");
    expect([ada, bob, carl, dora].map(refused)).toEqual([false, false, false, true]);
    expect(dora.reply(1)).toMatchObject({
      case: "error",
      value: {
        code: ErrorCode.LIMIT_EXCEEDED,
        details: { quota: "sessions_per_tenant", limit: "3", current: "3" },
      },
    });
    ada.connection.gone(false);
    await cluster.elapse(TOLD_MS);
    expect(refused(await knock(three, "dora"))).toBe(false);
  });

  it("give the last place to one of those who come at the same moment", async () => {
    const cluster = await useCluster({ limits: { maxSessionsPerTenant: 2 } });
    expect(refused(await knock(cluster.node(0), "ada"))).toBe(false);
    const came = await Promise.all([0, 1, 2].map((node) => knock(cluster.node(node), `user-${node}`)));
    expect(came.filter((client) => !refused(client))).toHaveLength(1);
  });

  it("are not one more where a device comes anew, to whichever node", async () => {
    const cluster = await useCluster({ limits: { maxSessionsPerTenant: 1 } });
    const before = await knock(cluster.node(0), "ada");
    const after = await knock(cluster.node(1), "ada", "d1", 2);
    await cluster.elapse(TOLD_MS);
    expect([before, after].map(({ endedWith }) => endedWith)).toEqual([CloseCode.REPLACED, undefined]);
    expect(refused(await knock(cluster.node(2), "bob"))).toBe(true);
  });

  it("count as long as they live, and no longer once their node has left", async () => {
    const cluster = await useCluster({ limits: { maxSessionsPerTenant: 1 } });
    await knock(cluster.node(0), "ada");
    await cluster.elapse(3 * TENANT_SESSIONS_LEASE_MS);
    expect(refused(await knock(cluster.node(1), "bob"))).toBe(true);
    cluster.kill(cluster.node(0));
    await cluster.elapse(TOLD_MS);
    expect(refused(await knock(cluster.node(1), "bob"))).toBe(false);
  });

  it("are counted by each node alone while they cannot be told, and the fault is told once", async () => {
    const cluster = await useCluster({ limits: { maxSessionsPerTenant: 1 } });
    await knock(cluster.node(0), "ada");
    const faults = cluster.node(1).record("fault");
    cluster.tenantSessions.away = new Error("away");
    expect(refused(await knock(cluster.node(1), "bob"))).toBe(false);
    expect(refused(await knock(cluster.node(1), "carl"))).toBe(true);
    expect(faults).toHaveLength(1);
    cluster.tenantSessions.away = undefined;
    expect(refused(await knock(cluster.node(2), "dora"))).toBe(true);
  });

  it("are not told of a tenant that may have any number", async () => {
    const cluster = await useCluster();
    await knock(cluster.node(0), "ada");
    await cluster.elapse(TENANT_SESSIONS_LEASE_MS);
    expect(cluster.tenantSessions.reports).toBe(0);
  });
});
