// From the first frame to Welcome, and every way in which that fails.

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { Identity } from "../../../src/ports/token-verifier.js";
import { gate, hello, identity, settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";

/** Says hello as anna, whose token the test answers for. */
async function withPendingToken(): Promise<{
  readonly core: TestCore;
  readonly client: TestClient;
  readonly verified: ReturnType<typeof gate<Identity>>;
}> {
  const core = await useCore();
  const verified = gate<Identity>();
  core.verifier.answer("anna", verified.promise);
  const client = core.dial();
  client.send(hello("anna", "phone"));
  return { core, client, verified };
}

function expectRefused(client: TestClient, code: ErrorCode, close: CloseCode, ref = 1): void {
  expect(client.cases).toEqual(["error", "goodbye"]);
  expect(client.reply(ref)).toMatchObject({ case: "error", value: { code } });
  expect(client.last("goodbye")).toMatchObject({ reason: close, error: { code } });
  expect(client.endedWith).toBe(close);
  expect(client.sink.late).toBe(0);
}

describe("a handshake", () => {
  it("is answered with who the token says it is, and what the session may do", async () => {
    const core = await useCore();
    core.clock.advance(1_700_000_000_000);
    core.verifier.answer(
      "secret",
      identity("anna", { displayName: "Anna A.", expiresAtMs: core.clock.now() + 3_600_000 }),
    );
    const client = core.dial();
    const ref = client.send(hello("secret", "phone", { rooms: [{ roomId: "r1" }, { roomId: "r2" }] }));
    await settle();
    expect(client.reply(ref)).toMatchObject({
      case: "welcome",
      value: {
        userId: "anna",
        tenantId: "acme",
        displayName: "Anna A.",
        serverTime: { seconds: 1_700_000_000n },
        tokenExpiresAt: { seconds: 1_700_003_600n },
        pingIntervalMs: 25_000,
        roomsPending: 2,
        limits: { maxInFlight: 64, maxRooms: 200, maxFrameBytes: 65_536, recoveryLimit: 1_000 },
      },
    });
    expect(client.cases[0]).toBe("welcome");
    expect(client.endedWith).toBeUndefined();
  });

  it("gives each session an id of its own", async () => {
    const core = await useCore();
    const first = await core.connect("anna");
    const second = await core.connect("bert");
    expect(first.last("welcome").sessionId).not.toBe(second.last("welcome").sessionId);
  });

  it("that never begins ends after 10 s, not before", async () => {
    const core = await useCore();
    const client = core.dial();
    await core.elapse(9_750);
    expect(client.endedWith).toBeUndefined();
    await core.elapse(1_000);
    expect(client.endedWith).toBe(CloseCode.PROTOCOL_ERROR);
    expect(client.cases).toEqual(["goodbye"]);
  });

  it("has its whole deadline even where it is longer than the timer wheel reaches", async () => {
    const core = await useCore({ limits: { handshakeDeadlineMs: 60_000 } });
    const client = core.dial();
    await core.elapse(59_750);
    expect(client.endedWith).toBeUndefined();
    await core.elapse(1_000);
    expect(client.endedWith).toBe(CloseCode.PROTOCOL_ERROR);
  });

  it("whose token is not verified in time is told to come back", async () => {
    const { core, client, verified } = await withPendingToken();
    await core.elapse(10_500);
    expectRefused(client, ErrorCode.DEADLINE, CloseCode.UNAVAILABLE);
    verified.resolve(identity("anna"));
    await settle();
    expect(client.cases).toEqual(["error", "goodbye"]);
  });

  it("must begin with hello", async () => {
    const core = await useCore();
    const client = core.dial();
    client.send({ case: "ping", value: { id: 1 } });
    await settle();
    expectRefused(client, ErrorCode.INVALID_ARGUMENT, CloseCode.PROTOCOL_ERROR);
  });

  it("must not begin with a frame of a kind the server does not know", async () => {
    const core = await useCore();
    const client = core.dial();
    client.send({ case: undefined });
    await settle();
    expectRefused(client, ErrorCode.INVALID_ARGUMENT, CloseCode.PROTOCOL_ERROR);
  });

  it.each([0, 2])("must be of protocol 1, not %d", async (protocol) => {
    const core = await useCore();
    const client = core.dial();
    client.send(hello("anna", "phone", { protocol }));
    await settle();
    expectRefused(client, ErrorCode.UNSUPPORTED, CloseCode.UNSUPPORTED_PROTOCOL);
    expect(core.verifier.asked).toEqual([]);
  });

  it.each([
    ["no device", { device: undefined }, ErrorCode.INVALID_ARGUMENT, "hello.device.device_id"],
    ["an empty device id", { device: { deviceId: "" } }, ErrorCode.INVALID_ARGUMENT, "hello.device.device_id"],
    [
      "an illegal device id",
      { device: { deviceId: "my phone" } },
      ErrorCode.INVALID_ARGUMENT,
      "hello.device.device_id",
    ],
    [
      "a device id of 129 bytes",
      { device: { deviceId: "d".repeat(129) } },
      ErrorCode.INVALID_ARGUMENT,
      "hello.device.device_id",
    ],
    [
      "a device name of 257 bytes",
      { device: { deviceId: "d", name: "n".repeat(257) } },
      ErrorCode.TOO_LARGE,
      "hello.device.name",
    ],
    [
      "an application version of 65 bytes",
      { device: { deviceId: "d", appVersion: "1".repeat(65) } },
      ErrorCode.TOO_LARGE,
      "hello.device.app_version",
    ],
    [
      "201 rooms",
      { rooms: Array.from({ length: 201 }, (_, index) => ({ roomId: `r${index}` })) },
      ErrorCode.TOO_LARGE,
      "hello.rooms",
    ],
  ])("with %s is refused before the token is looked at", async (_, differing, code, field) => {
    const core = await useCore();
    const client = core.dial();
    client.send(hello("anna", "phone", differing));
    await settle();
    expectRefused(client, code, CloseCode.PROTOCOL_ERROR);
    expect(client.last("error").field).toBe(field);
    expect(core.verifier.asked).toEqual([]);
  });

  it("with a device id of 128 bytes and 200 rooms is taken", async () => {
    const core = await useCore();
    const rooms = Array.from({ length: 200 }, (_, index) => ({ roomId: `r${index}` }));
    const client = await core.connect("anna", { device: { deviceId: "d".repeat(128) }, rooms });
    expect(client.last("welcome").roomsPending).toBe(200);
    // None of them exists: each is answered all the same, and told apart.
    expect(new Set(client.all("error").map(({ value }) => value.details.room_id)).size).toBe(200);
    expect(client.all("error").every(({ replyTo, value }) => replyTo === 0 && value.code === ErrorCode.NOT_FOUND)).toBe(
      true,
    );
  });

  it("takes the token of the transport where hello names none", async () => {
    const core = await useCore();
    core.verifier.answer("of-transport", identity("anna"));
    const client = core.dial({ token: "of-transport" });
    client.send(hello("", "phone"));
    await settle();
    expect(client.last("welcome").userId).toBe("anna");
  });

  it("takes the token of hello where both are there", async () => {
    const core = await useCore();
    core.verifier.answer("of-transport", identity("anna"));
    core.verifier.answer("of-hello", identity("bert"));
    const client = core.dial({ token: "of-transport" });
    client.send(hello("of-hello", "phone"));
    await settle();
    expect(client.last("welcome").userId).toBe("bert");
    expect(core.verifier.asked).toEqual(["of-hello"]);
  });

  it("without any token is refused", async () => {
    const core = await useCore();
    const client = core.dial();
    client.send(hello("", "phone"));
    await settle();
    expectRefused(client, ErrorCode.UNAUTHENTICATED, CloseCode.UNAUTHENTICATED);
    expect(client.last("error").field).toBe("hello.token");
    expect(core.verifier.asked).toEqual([]);
  });

  it.each([
    [ErrorCode.UNAUTHENTICATED, CloseCode.UNAUTHENTICATED],
    [ErrorCode.TOKEN_EXPIRED, CloseCode.TOKEN_EXPIRED],
    [ErrorCode.DEADLINE, CloseCode.UNAVAILABLE],
  ])("whose token is refused with code %i ends with close code %i", async (code, close) => {
    const core = await useCore();
    core.verifier.answer("anna", new TrunklineError(code, "refused"));
    const client = core.dial();
    client.send(hello("anna", "phone"));
    await settle();
    expectRefused(client, code, close);
  });

  it("that the auth service is away for says when to come back", async () => {
    const core = await useCore();
    core.verifier.answer(
      "anna",
      new TrunklineError(ErrorCode.UNAVAILABLE, "the auth service is away", { retryAfterMs: 1_234.5 }),
    );
    const client = core.dial();
    client.send(hello("anna", "phone"));
    await settle();
    expectRefused(client, ErrorCode.UNAVAILABLE, CloseCode.UNAVAILABLE);
    expect(client.last("error").retryAfterMs).toBe(1_235);
    expect(client.last("goodbye").reconnectAfterMs).toBe(1_235);
  });

  it("that is to come back later than a frame can say is told the latest it can", async () => {
    const core = await useCore();
    const away = new TrunklineError(ErrorCode.UNAVAILABLE, "away for the year", { retryAfterMs: 365 * 86_400_000 });
    core.verifier.answer("anna", away);
    const client = core.dial();
    client.send(hello("anna", "phone"));
    await settle();
    expectRefused(client, ErrorCode.UNAVAILABLE, CloseCode.UNAVAILABLE);
    expect(client.last("error").retryAfterMs).toBe(2 ** 32 - 1);
    expect(client.last("goodbye").reconnectAfterMs).toBe(2 ** 32 - 1);
  });

  it("that fails for a reason nobody foresaw tells none of it", async () => {
    const core = await useCore();
    const cause = new TypeError("secret of the house");
    core.verifier.answer("anna", cause);
    const refused = core.record("request.refused");
    const client = core.dial();
    client.send(hello("anna", "phone"));
    await settle();
    expectRefused(client, ErrorCode.INTERNAL, CloseCode.UNAVAILABLE);
    expect(client.last("error")).toMatchObject({ message: "internal error", field: "", details: {} });
    expect(client.sink.ended?.reason).toBe("internal error");
    expect(refused).toMatchObject([{ operation: "hello", code: ErrorCode.INTERNAL, cause }]);
  });

  it("that wants no reply is refused by its end alone", async () => {
    const core = await useCore();
    const client = core.dial();
    client.post(hello("nobody", "phone"));
    await settle();
    expect(client.cases).toEqual(["goodbye"]);
    expect(client.last("goodbye").error?.code).toBe(ErrorCode.UNAUTHENTICATED);
  });

  it("answers what was sent behind the hello after Welcome, in order", async () => {
    const { core, client, verified } = await withPendingToken();
    const maker = await core.connect("bert");
    await core.room(maker, "r1", "anna");
    client.send({ case: "subscribe", value: { roomId: "r1" } });
    for (const key of ["a", "b", "c"]) client.send(text("r1", key));
    client.send({ case: "ping", value: { id: 7 } });
    await settle();
    expect(client.cases).toEqual([]);
    verified.resolve(identity("anna"));
    await settle();
    expect(client.cases[0]).toBe("welcome");
    expect(client.reply(2).case).toBe("subscribed");
    expect([3, 4, 5].map((ref) => client.reply(ref))).toMatchObject(
      [2, 3, 4].map((seq) => ({ case: "published", value: { position: { seq } } })),
    );
    expect(client.reply(6)).toMatchObject({ case: "pong", value: { id: 7 } });
    expect(client.seqs("r1")).toEqual([2, 3, 4]);
  });

  it("holds 64 frames behind the hello and ends at one more", async () => {
    const { client } = await withPendingToken();
    for (let id = 0; id < 64; id++) client.send({ case: "ping", value: { id } });
    expect(client.endedWith).toBeUndefined();
    client.send({ case: "ping", value: { id: 64 } });
    await settle();
    expectRefused(client, ErrorCode.LIMIT_EXCEEDED, CloseCode.PROTOCOL_ERROR, 66);
  });

  it("that is gone while its token is verified leaves nothing behind", async () => {
    const { core, client, verified } = await withPendingToken();
    const opened = core.record("session.opened");
    const refused = core.record("session.refused");
    client.connection.gone(false);
    client.connection.gone(true);
    verified.resolve(identity("anna"));
    await settle();
    expect([client.cases, opened]).toEqual([[], []]);
    expect(refused).toMatchObject([{ transport: "in-process", code: 1006 }]);
    // A lower attempt of the same device finds no session in its way.
    const again = await core.connect("anna", { device: { deviceId: "phone" }, attempt: 0 });
    expect(again.endedWith).toBeUndefined();
  });

  it("that was said already is refused and changes nothing", async () => {
    const core = await useCore();
    const client = await core.connect("anna");
    const answer = await client.ask(hello("anna", "device-of-anna"));
    expect(answer).toMatchObject({ case: "error", value: { code: ErrorCode.INVALID_ARGUMENT } });
    expect([client.endedWith, client.all("welcome").length]).toEqual([undefined, 1]);
  });
});

describe("admission", () => {
  it("refuses connections beyond those that may greet at once, until one of them has greeted", async () => {
    const core = await useCore({ limits: { maxHandshakes: 2 } });
    const first = core.dial();
    core.dial();
    expect(core.core.sessions.admit()).toMatchObject({ admitted: false });
    core.verifier.answer("anna", identity("anna"));
    first.send(hello("anna", "phone"));
    await settle();
    expect(core.core.sessions.admit()).toEqual({ admitted: true });
  });

  it("counts a connection that is gone no longer", async () => {
    const core = await useCore({ limits: { maxHandshakes: 1 } });
    const client = core.dial();
    expect(core.core.sessions.admit().admitted).toBe(false);
    client.connection.gone(true);
    expect(core.core.sessions.admit().admitted).toBe(true);
  });

  it("says when there is room again for those beyond the rate of new connections", async () => {
    const core = await useCore({ limits: { connectRate: { perSecond: 10, burst: 2 } } });
    const asked = Array.from({ length: 3 }, () => core.core.sessions.admit());
    expect(asked).toEqual([{ admitted: true }, { admitted: true }, { admitted: false, retryAfterMs: 100 }]);
    core.clock.advance(100);
    expect(core.core.sessions.admit()).toEqual({ admitted: true });
  });
});
