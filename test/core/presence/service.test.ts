// PresenceService: what backend services may ask.

import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { AddressClass } from "../../../src/gen/trunkline/v1/message_pb.js";
import * as rpc from "../../../src/gen/trunkline/v1/presence_pb.js";
import { PresenceStatus } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { identity, settle, type TestCore, useCore } from "../use-core.js";

const { ONLINE, OFFLINE, AWAY, INVISIBLE } = PresenceStatus;
const SERVICE = { identity: identity("bot", { grants: new Set(["service"]) }), deviceId: "" };
const NEVER = new AbortController().signal;

async function statuses(core: TestCore, ...userIds: string[]): Promise<PresenceStatus[]> {
  const request = create(rpc.GetPresenceRequestSchema, { userIds });
  return (await core.core.presence.getPresence(SERVICE, request)).presences.map(({ status }) => status);
}

describe("PresenceService", () => {
  it("is for callers with the grant service, and speaks of their tenant alone", async () => {
    const core = await useCore();
    await core.connect("ann");
    const request = create(rpc.GetPresenceRequestSchema, { userIds: ["ann"] });
    const anybody = { identity: identity("ann"), deviceId: "" };
    await expect(core.core.presence.getPresence(anybody, request)).rejects.toMatchObject({
      code: ErrorCode.PERMISSION_DENIED,
    });
    const elsewhere = { ...SERVICE, identity: { ...SERVICE.identity, tenantId: "other" } };
    const { presences } = await core.core.presence.getPresence(elsewhere, request);
    expect(presences).toMatchObject([{ userId: "ann", status: OFFLINE }]);
  });

  it("answers for users in the order asked for, the invisible as offline", async () => {
    const core = await useCore();
    await core.connect("ann");
    const bob = await core.connect("bob");
    await bob.ask({ case: "setPresence", value: { status: INVISIBLE } });
    expect(await statuses(core, "nobody", "ann", "bob", "ann")).toEqual([OFFLINE, ONLINE, OFFLINE, ONLINE]);
  });

  it("sets the status of all live sessions of a user, and says how many those are", async () => {
    const core = await useCore();
    await core.connect("ann");
    await core.connect("ann", { device: { deviceId: "phone" } });
    const set = (userId: string) =>
      core.core.presence.setPresence(SERVICE, create(rpc.SetPresenceRequestSchema, { userId, status: AWAY }));
    expect((await set("ann")).sessions).toBe(2);
    expect((await set("nobody")).sessions).toBe(0);
    expect(await statuses(core, "ann")).toEqual([AWAY]);
  });

  it("lists who is online by user id, page by page", async () => {
    const core = await useCore();
    for (const userId of ["dan", "ann", "cem", "bob"]) await core.connect(userId);
    const list = async (pageToken: string) =>
      await core.core.presence.listOnline(SERVICE, create(rpc.ListOnlineRequestSchema, { pageSize: 3, pageToken }));
    const first = await list("");
    expect(first.presences.map(({ userId }) => userId)).toEqual(["ann", "bob", "cem"]);
    const second = await list(first.nextPageToken);
    expect(second.presences.map(({ userId }) => userId)).toEqual(["dan"]);
    expect(second.nextPageToken).toBe("");
  });

  it("lists and closes sessions", async () => {
    const core = await useCore();
    const desk = await core.connect("ann", { device: { deviceId: "desk", name: "Desk" } });
    const phone = await core.connect("ann", { device: { deviceId: "phone" } });
    const pad = await core.connect("ann", { device: { deviceId: "pad" } });
    const { presence } = core.core;
    const { sessions } = await presence.listSessions(SERVICE, create(rpc.ListSessionsRequestSchema, { userId: "ann" }));
    expect(sessions).toMatchObject([
      { userId: "ann", device: { deviceId: "desk", name: "Desk" }, addressClass: AddressClass.UNSPECIFIED },
      { device: { deviceId: "phone" } },
      { device: { deviceId: "pad" } },
    ]);
    const sessionId = sessions[1]?.sessionId ?? "";
    const one = create(rpc.CloseSessionRequestSchema, { sessionId });
    expect((await presence.closeSession(SERVICE, one)).closed).toBe(true);
    expect((await presence.closeSession(SERVICE, one)).closed).toBe(false);
    expect([desk.endedWith, phone.endedWith]).toEqual([undefined, CloseCode.KICKED]);
    const all = create(rpc.CloseUserRequestSchema, { userId: "ann" });
    expect((await presence.closeUser(SERVICE, all)).closed).toBe(2);
    expect([desk.endedWith, pad.endedWith]).toEqual([CloseCode.KICKED, CloseCode.KICKED]);
    expect(await statuses(core, "ann")).toEqual([OFFLINE]);
  });
});

describe("a service's watch", () => {
  async function watch(core: TestCore, signal = NEVER) {
    const request = create(rpc.WatchPresenceRequestSchema, { userIds: ["ann", "bob"] });
    const responses = core.core.presence.watchPresence(SERVICE, request, signal)[Symbol.asyncIterator]();
    const first = await responses.next();
    if (first.done === true) throw new Error("the stream ended");
    return { responses, first: first.value };
  }

  it("begins with everybody and goes on with the last state of those who change", async () => {
    const core = await useCore();
    const ann = await core.connect("ann");
    const { responses, first } = await watch(core);
    expect(first).toMatchObject({ snapshot: true, presences: [{ status: ONLINE }, { status: OFFLINE }] });
    const next = responses.next();
    await ann.ask({ case: "setPresence", value: { status: AWAY } });
    await ann.ask({ case: "setPresence", value: { status: INVISIBLE } });
    await core.elapse(250);
    expect((await next).value).toMatchObject({ snapshot: false, presences: [{ userId: "ann", status: OFFLINE }] });
  });

  it("keeps one state per user for a slow reader, and is ended when nothing is read for long", async () => {
    const core = await useCore();
    const { responses } = await watch(core);
    await core.connect("ann");
    await core.elapse(250);
    await core.connect("bob");
    await core.elapse(250);
    expect((await responses.next()).value).toMatchObject({ presences: [{ userId: "ann" }, { userId: "bob" }] });
    await core.connect("ann", { attempt: 2, device: { deviceId: "other" } });
    await core.core.presence.closeUser(SERVICE, create(rpc.CloseUserRequestSchema, { userId: "bob" }));
    await core.elapse(31_000);
    await expect(responses.next()).rejects.toMatchObject({ code: ErrorCode.LIMIT_EXCEEDED });
  });

  it("ends with its signal, with the revocation of its token, and when the node leaves", async () => {
    const core = await useCore();
    const abort = new AbortController();
    const ended = (await watch(core, abort.signal)).responses.next();
    const revoked = (await watch(core)).responses.next();
    abort.abort();
    expect((await ended).done).toBe(true);
    core.verifier.revoke({ tenantId: "acme", subject: { userId: "bot" }, atMs: 0 });
    await expect(revoked).rejects.toMatchObject({ code: ErrorCode.UNAUTHENTICATED });
    const left = (await watch(core)).responses.next();
    left.catch(() => {});
    const drained = core.core.drain(0);
    await settle();
    await expect(left).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    await drained;
  });
});
