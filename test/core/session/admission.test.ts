// How many sessions there may be of a user, of a kind of device and of a tenant, and who goes for one more.

import { describe, expect, it } from "vitest";
import type { DeviceLimits } from "../../../src/core/limit/limits.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { DeviceKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { Identity } from "../../../src/ports/token-verifier.js";
import { gate, hello, settle, type TestClient, type TestCore, useCore } from "../use-core.js";

const { WEB, MOBILE, DESKTOP } = DeviceKind;

function device(deviceId: string, kind = DeviceKind.UNSPECIFIED) {
  return { device: { deviceId, kind } };
}

/** Says hello with a token that is known already, and may be turned away. */
async function knock(core: TestCore, token: string, differing: ReturnType<typeof device>): Promise<TestClient> {
  const client = core.dial();
  client.send(hello(token, "", differing));
  await settle();
  return client;
}

function refusal(quota: string, limit: number, current: number) {
  const details = { quota, limit: String(limit), current: String(current) };
  return { code: ErrorCode.LIMIT_EXCEEDED, retryable: true, details };
}

function expectRefused(client: TestClient, quota: string, limit: number, current: number): void {
  expect(client.reply(1)).toMatchObject({ case: "error", value: refusal(quota, limit, current) });
  expect(client.last("goodbye")).toMatchObject({ error: refusal(quota, limit, current) });
  expect(client.endedWith).toBe(CloseCode.TOO_MANY_SESSIONS);
}

describe("where new sessions of a user are refused", () => {
  it("the one too many is turned away, and comes in once another has ended", async () => {
    const core = await useCore({ limits: { maxSessionsPerUser: 2, sessionPolicy: "refuse-new" } });
    const refused = core.record("quota.refused");
    const [one, two] = [await core.connect("anna", device("a")), await core.connect("anna", device("b"))];
    expectRefused(await knock(core, "anna", device("c")), "sessions_per_user", 2, 2);
    expect(refused).toEqual([{ quota: "sessions_per_user", tenantId: "acme" }]);
    expect([one.endedWith, two.endedWith]).toEqual([undefined, undefined]);
    one.connection.gone(true);
    expect((await knock(core, "anna", device("c"))).endedWith).toBeUndefined();
  });

  it("a device that connects anew is not one too many", async () => {
    const core = await useCore({ limits: { maxSessionsPerUser: 1, sessionPolicy: "refuse-new" } });
    const old = await core.connect("anna", device("a"));
    const young = await core.connect("anna", { ...device("a"), attempt: 2 });
    expect([old.endedWith, young.endedWith]).toEqual([CloseCode.REPLACED, undefined]);
  });
});

describe("a limit of one kind of device", () => {
  const deviceLimits: DeviceLimits = {
    web: { max: 2, policy: "close-oldest" },
    mobile: { max: 1, policy: "refuse-new" },
  };

  it("closes the oldest of that kind, and no other", async () => {
    const core = await useCore({ limits: { deviceLimits } });
    const desk = await core.connect("anna", device("desk", DESKTOP));
    const tabs = [];
    for (const id of ["w1", "w2", "w3"]) tabs.push(await core.connect("anna", device(id, WEB)));
    expect(tabs.map(({ endedWith }) => endedWith)).toEqual([CloseCode.TOO_MANY_SESSIONS, undefined, undefined]);
    expect(desk.endedWith).toBeUndefined();
  });

  it("refuses the newest of a kind whose rule that is, and leaves other kinds and users alone", async () => {
    const core = await useCore({ limits: { deviceLimits } });
    const phone = await core.connect("anna", device("p1", MOBILE));
    expectRefused(await knock(core, "anna", device("p2", MOBILE)), "sessions_per_device_kind", 1, 1);
    expect(phone.endedWith).toBeUndefined();
    expect((await knock(core, "anna", device("w1", WEB))).endedWith).toBeUndefined();
    expect((await core.connect("bert", device("p1", MOBILE))).endedWith).toBeUndefined();
    expect((await core.connect("anna", { ...device("p1", MOBILE), attempt: 2 })).endedWith).toBeUndefined();
  });

  it("closes one session and not two where the user has too many as well", async () => {
    const core = await useCore({ limits: { deviceLimits, maxSessionsPerUser: 3 } });
    const desk = await core.connect("anna", device("desk", DESKTOP));
    const tabs = [await core.connect("anna", device("w1", WEB)), await core.connect("anna", device("w2", WEB))];
    await core.connect("anna", device("w3", WEB));
    expect([desk, ...tabs].map(({ endedWith }) => endedWith)).toEqual([
      undefined,
      CloseCode.TOO_MANY_SESSIONS,
      undefined,
    ]);
  });
});

describe("the sessions of a tenant", () => {
  const other: Partial<Identity> = { tenantId: "other" };

  it("are bounded over all its users; another tenant's are not among them", async () => {
    const core = await useCore({ limits: { maxSessionsPerTenant: 2 } });
    await core.connect("bert");
    const anna = await core.connect("anna");
    await core.connect("anna", { token: "anna-there" }, other);
    expectRefused(await knock(core, "anna", device("d2")), "sessions_per_tenant", 2, 2);
    expect(anna.endedWith).toBeUndefined();
    anna.connection.gone(false);
    expect((await knock(core, "anna", device("d2"))).endedWith).toBeUndefined();
    expectRefused(await knock(core, "anna", device("d3")), "sessions_per_tenant", 2, 2);
  });

  it("are not one more where a session is replaced, or closed for the new one", async () => {
    const core = await useCore({ limits: { maxSessionsPerTenant: 2, maxSessionsPerUser: 1 } });
    await core.connect("bert");
    const [first, second] = [await core.connect("anna"), await core.connect("anna", { attempt: 2 })];
    const third = await core.connect("anna", device("d2"));
    expect([first, second, third].map(({ endedWith }) => endedWith)).toEqual([
      CloseCode.REPLACED,
      CloseCode.TOO_MANY_SESSIONS,
      undefined,
    ]);
  });

  it("may be other ones of a single tenant, from now on and for new sessions", async () => {
    const core = await useCore({
      limits: { maxSessionsPerTenant: 1 },
      tenants: new Map([["acme", { maxSessionsPerTenant: 3 }]]),
    });
    const there = await core.connect("anna", { token: "t" }, other);
    expectRefused(await knock(core, "t", device("d2")), "sessions_per_tenant", 1, 1);
    const here = [await core.connect("a"), await core.connect("b"), await core.connect("c")];
    expectRefused(await knock(core, "a", device("d2")), "sessions_per_tenant", 3, 3);
    core.tenants.replace(new Map());
    expectRefused(await knock(core, "a", device("d2")), "sessions_per_tenant", 1, 3);
    expect([there, ...here].map(({ endedWith }) => endedWith)).toEqual([undefined, undefined, undefined, undefined]);
  });
});

describe("a hello that is refused for something else that is too many", () => {
  it("does not tell that there are too many sessions", async () => {
    const core = await useCore({ limits: { maxInFlight: 1 } });
    const held = gate<Identity>();
    core.verifier.answer("anna", held.promise);
    const client = core.dial();
    client.send(hello("anna", "d"));
    for (let id = 0; id < 2; id++) client.send({ case: "ping", value: { id } });
    expect(client.endedWith).toBe(CloseCode.PROTOCOL_ERROR);
    held.reject(new TrunklineError(ErrorCode.UNAUTHENTICATED, "too late"));
    await settle();
  });

  it("tells a verifier's rate limit as a node that takes no more now", async () => {
    const core = await useCore();
    core.verifier.answer("anna", new TrunklineError(ErrorCode.RATE_LIMITED, "slower", { retryAfterMs: 7_000 }));
    const client = await knock(core, "anna", device("d"));
    expect(client.endedWith).toBe(CloseCode.OVERLOADED);
    expect(client.last("goodbye").reconnectAfterMs).toBe(7_000);
  });
});
