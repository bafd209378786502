// A token's life on a live connection: it expires, is refreshed, is revoked.

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ResetReason, UnsubscribeReason } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { Identity } from "../../../src/ports/token-verifier.js";
import { gate, identity, settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";

const ADMIN = { grants: new Set(["admin"]) };

/** Time passes while the client answers pings. */
async function live(core: TestCore, client: TestClient, milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 5_000) {
    await core.elapse(Math.min(left, 5_000));
    client.post({ case: "pong", value: { id: 0 } });
  }
}

function refresh(client: TestClient, token: string) {
  return client.ask({ case: "refreshToken", value: { token } });
}

describe("a token that expires", () => {
  it("is announced a minute ahead, once, and ends the session when its time has come", async () => {
    const core = await useCore();
    const anna = await core.connect("anna", {}, { expiresAtMs: 120_000 });
    await live(core, anna, 59_500);
    expect(anna.all("tokenExpiring")).toEqual([]);
    await live(core, anna, 1_000);
    expect(anna.last("tokenExpiring").inMs).toBeGreaterThan(59_000);
    expect(anna.last("tokenExpiring").inMs).toBeLessThanOrEqual(60_000);
    await live(core, anna, 59_000);
    expect([anna.endedWith, anna.all("tokenExpiring").length]).toEqual([undefined, 1]);
    await live(core, anna, 1_000);
    expect(anna.endedWith).toBe(CloseCode.TOKEN_EXPIRED);
    expect(anna.last("goodbye").reason).toBe(CloseCode.TOKEN_EXPIRED);
  });

  it("soon after the hello is announced at once", async () => {
    const core = await useCore();
    const anna = await core.connect("anna", {}, { expiresAtMs: 20_000 });
    await core.elapse(500);
    expect(anna.last("tokenExpiring").inMs).toBe(19_500);
  });

  it("is announced though its end is farther than the announcement can say", async () => {
    const core = await useCore({ limits: { tokenWarningMs: 365 * 86_400_000 } });
    const anna = await core.connect("anna", {}, { expiresAtMs: 60 * 86_400_000 });
    await core.elapse(500);
    expect(anna.last("tokenExpiring").inMs).toBe(2 ** 32 - 1);
    expect((await anna.ask({ case: "ping", value: { id: 1 } })).case).toBe("pong");
  });

  it("ends the session though the client is busy", async () => {
    const core = await useCore();
    const anna = await core.connect("anna", {}, { expiresAtMs: 3_000 });
    for (let passed = 0; passed < 16 && anna.endedWith === undefined; passed++) {
      await anna.ask({ case: "ping", value: { id: passed } });
      await core.elapse(250);
    }
    expect(anna.endedWith).toBe(CloseCode.TOKEN_EXPIRED);
    expect(core.clock.monotonic()).toBeLessThanOrEqual(3_750);
  });
});

describe("a refreshed token", () => {
  it("keeps the session beyond the first one's end, to its own", async () => {
    const core = await useCore();
    const anna = await core.connect("anna", {}, { expiresAtMs: 70_000 });
    await live(core, anna, 30_000);
    expect(anna.all("tokenExpiring")).toHaveLength(1);
    core.verifier.answer("fresh", identity("anna", { expiresAtMs: 200_000 }));
    expect(await refresh(anna, "fresh")).toMatchObject({
      case: "tokenAccepted",
      value: { expiresAt: { seconds: 200n } },
    });
    await live(core, anna, 100_000);
    expect([anna.endedWith, anna.all("tokenExpiring").length]).toEqual([undefined, 1]);
    await live(core, anna, 20_000);
    expect(anna.all("tokenExpiring")).toHaveLength(2);
    await live(core, anna, 51_000);
    expect(anna.endedWith).toBe(CloseCode.TOKEN_EXPIRED);
  });

  it("that never expires ends the watch", async () => {
    const core = await useCore();
    const anna = await core.connect("anna", {}, { expiresAtMs: 5_000 });
    core.verifier.answer("fresh", identity("anna"));
    const answer = await refresh(anna, "fresh");
    expect(answer.case === "tokenAccepted" && answer.value.expiresAt).toBeUndefined();
    await live(core, anna, 60_000);
    expect(anna.endedWith).toBeUndefined();
  });

  it("that ends earlier is held to its own end", async () => {
    const core = await useCore();
    const anna = await core.connect("anna", {}, { expiresAtMs: 3_600_000 });
    await live(core, anna, 10_000);
    core.verifier.answer("short", identity("anna", { expiresAtMs: 12_000 }));
    await refresh(anna, "short");
    await live(core, anna, 3_000);
    expect(anna.endedWith).toBe(CloseCode.TOKEN_EXPIRED);
  });

  it.each([
    ["user", identity("bert")],
    ["tenant", identity("anna", { tenantId: "other" })],
  ])("of another %s is refused and leaves the session as it was", async (_, other) => {
    const core = await useCore();
    const anna = await core.connect("anna", {}, { expiresAtMs: 30_000 });
    core.verifier.answer("other", { ...other, expiresAtMs: undefined });
    expect(await refresh(anna, "other")).toMatchObject({
      case: "error",
      value: { code: ErrorCode.PERMISSION_DENIED },
    });
    expect(anna.endedWith).toBeUndefined();
    await live(core, anna, 31_000);
    expect(anna.endedWith).toBe(CloseCode.TOKEN_EXPIRED);
  });

  it.each([
    ["", ErrorCode.INVALID_ARGUMENT],
    ["bad", ErrorCode.UNAUTHENTICATED],
    ["away", ErrorCode.UNAVAILABLE],
  ])("that cannot be had (%j) is refused and leaves the session as it was", async (token, code) => {
    const core = await useCore();
    core.verifier.answer("away", new TrunklineError(ErrorCode.UNAVAILABLE, "away", { retryAfterMs: 500 }));
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    expect(await refresh(anna, token)).toMatchObject({ case: "error", value: { code } });
    expect((await anna.ask(text("r1", "k"))).case).toBe("published");
  });

  it("that comes too late changes nothing", async () => {
    const core = await useCore();
    const anna = await core.connect("anna", {}, { expiresAtMs: 5_000 });
    const verified = gate<Identity>();
    core.verifier.answer("fresh", verified.promise);
    anna.send({ case: "refreshToken", value: { token: "fresh" } });
    await core.elapse(6_000);
    expect(anna.endedWith).toBe(CloseCode.TOKEN_EXPIRED);
    const told = anna.cases.length;
    verified.resolve(identity("anna"));
    await core.elapse(60_000);
    expect([anna.cases.length, anna.sink.late]).toEqual([told, 0]);
  });

  it("shows its display name from then on", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    await anna.ask({ case: "subscribe", value: { roomId: "r1" } });
    core.verifier.answer("fresh", identity("anna", { displayName: "Anna the Great" }));
    await refresh(anna, "fresh");
    await anna.ask(text("r1", "k"));
    expect(anna.last("roomEvents").events[0]?.actor?.displayName).toBe("Anna the Great");
  });
});

describe("an administrator's token that is refreshed without the grant", () => {
  /** Rooms of bert; anna is a member of "ours" alone, and reads both as administrator. */
  async function withAdministrator(): Promise<{
    readonly core: TestCore;
    readonly anna: TestClient;
    readonly bert: TestClient;
  }> {
    const core = await useCore();
    const bert = await core.connect("bert");
    await core.room(bert, "ours", "anna");
    await core.room(bert, "theirs");
    const rooms = [{ roomId: "ours" }, { roomId: "theirs" }];
    const anna = await core.connect("anna", { rooms }, ADMIN);
    expect(anna.all("subscribed")).toHaveLength(2);
    core.verifier.answer("plain", identity("anna"));
    return { core, anna, bert };
  }

  it("loses the rooms that only the grant let it read, and keeps the others", async () => {
    const { anna, bert } = await withAdministrator();
    expect((await refresh(anna, "plain")).case).toBe("tokenAccepted");
    expect(anna.all("unsubscribed")).toMatchObject([
      { replyTo: 0, value: { roomId: "theirs", reason: UnsubscribeReason.ACCESS_LOST } },
    ]);
    for (const roomId of ["ours", "theirs"]) await bert.ask(text(roomId, "k"));
    expect([anna.seqs("ours"), anna.seqs("theirs")]).toEqual([[2], []]);
    expect(await anna.ask({ case: "subscribe", value: { roomId: "theirs" } })).toMatchObject({
      value: { code: ErrorCode.NOT_A_MEMBER },
    });
  });

  it("loses nothing while it carries the grant", async () => {
    const { core, anna, bert } = await withAdministrator();
    core.verifier.answer("again", identity("anna", ADMIN));
    await refresh(anna, "again");
    await bert.ask(text("theirs", "k"));
    expect([anna.all("unsubscribed"), anna.seqs("theirs")]).toEqual([[], [2]]);
  });

  it("loses a room that was being opened while it was refreshed", async () => {
    const { core, anna, bert } = await withAdministrator();
    await anna.ask({ case: "unsubscribe", value: { roomId: "theirs" } });
    // The owner answers later: the refresh overtakes the opening.
    core.engine.answersLater = true;
    const subscribe = anna.send({ case: "subscribe", value: { roomId: "theirs", after: { seq: 0 } } });
    const refreshed = anna.send({ case: "refreshToken", value: { token: "plain" } });
    await settle();
    expect(anna.reply(refreshed).case).toBe("tokenAccepted");
    // Opened as the administrator who asked, and lost again at once.
    expect(anna.reply(subscribe).case).toBe("subscribed");
    expect(anna.last("unsubscribed")).toMatchObject({ roomId: "theirs", reason: UnsubscribeReason.ACCESS_LOST });
    await bert.ask(text("theirs", "k"));
    expect(anna.seqs("theirs")).not.toContain(2);
  });

  it("ends the session where nobody can tell what it may read: a fresh one will find out", async () => {
    const { core, anna } = await withAdministrator();
    const bert = await core.connect("bert", { device: { deviceId: "other" } });
    // The rooms' owner is away.
    for (let shard = 0; shard < core.engine.shards; shard++) core.engine.faultNextAppend({ kind: "refuse" }, shard);
    bert.post(text("theirs", "lost"));
    bert.post(text("ours", "lost"));
    await settle();
    const refreshed = anna.send({ case: "refreshToken", value: { token: "plain" } });
    await settle();
    expect(anna.reply(refreshed).case).toBe("tokenAccepted");
    expect(anna.endedWith).toBe(CloseCode.UNAVAILABLE);
    expect(anna.last("goodbye").error?.code).toBe(ErrorCode.UNAVAILABLE);
    expect(anna.all("unsubscribed")).toEqual([]);
  });
});

describe("a revocation", () => {
  it("of a user ends all sessions whose token was verified before it, and no other user's", async () => {
    const core = await useCore();
    core.clock.advance(1_000);
    const phone = await core.connect("anna", { device: { deviceId: "phone" } });
    const laptop = await core.connect("anna", { device: { deviceId: "laptop" } });
    const bert = await core.connect("bert");
    core.clock.advance(1_000);
    const revokedAtMs = core.clock.now();
    core.clock.advance(1_000);
    const after = await core.connect("anna", { device: { deviceId: "after" } });
    core.verifier.revoke({ tenantId: "acme", subject: { userId: "anna" }, atMs: revokedAtMs });
    expect([phone, laptop, bert, after].map(({ endedWith }) => endedWith)).toEqual([
      CloseCode.REVOKED,
      CloseCode.REVOKED,
      undefined,
      undefined,
    ]);
    expect(phone.last("goodbye").reason).toBe(CloseCode.REVOKED);
  });

  it("of a user spares a session that was refreshed since", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    core.clock.advance(2_000);
    core.verifier.answer("fresh", identity("anna"));
    await refresh(anna, "fresh");
    core.verifier.revoke({ tenantId: "acme", subject: { userId: "anna" }, atMs: 1_000 });
    expect(anna.endedWith).toBeUndefined();
    core.verifier.revoke({ tenantId: "acme", subject: { userId: "anna" }, atMs: 2_000 });
    expect(anna.endedWith).toBe(CloseCode.REVOKED);
  });

  it("of a token ends the sessions that hold it now", async () => {
    const core = await useCore();
    const first = await core.connect("anna", { device: { deviceId: "a" } }, { tokenId: "t1" });
    const second = await core.connect("anna", { device: { deviceId: "b" } }, { tokenId: "t2" });
    const moved = await core.connect("anna", { device: { deviceId: "c" } }, { tokenId: "t1" });
    const elsewhere = await core.connect("zoe", {}, { tokenId: "t1", tenantId: "other" });
    core.verifier.answer("t3", identity("anna", { tokenId: "t3" }));
    await refresh(moved, "t3");
    core.verifier.revoke({ tenantId: "acme", subject: { tokenId: "t1" }, atMs: 0 });
    expect([first, second, moved, elsewhere].map(({ endedWith }) => endedWith)).toEqual([
      CloseCode.REVOKED,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("of no token in particular ends nobody's session", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    core.verifier.revoke({ tenantId: "acme", subject: { tokenId: "" }, atMs: 0 });
    expect(anna.endedWith).toBeUndefined();
  });

  it("lets nothing more of a room through", async () => {
    const core = await useCore();
    const bert = await core.connect("bert");
    await core.room(bert, "r1", "anna");
    const anna = await core.connect("anna", { rooms: [{ roomId: "r1", after: { seq: 0 } }] });
    expect(anna.last("subscribed").outcome).not.toMatchObject({ value: { reason: ResetReason.EXPIRED } });
    core.verifier.revoke({ tenantId: "acme", subject: { userId: "anna" }, atMs: core.clock.now() });
    await bert.ask(text("r1", "k"));
    expect([anna.seqs("r1"), anna.sink.late]).toEqual([[1], 0]);
  });
});
