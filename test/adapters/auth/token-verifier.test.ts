// What the verifier does about an auth service that is slow, away, wrong or busy.

import { connect, createServer, type Socket } from "node:net";
import { inspect } from "node:util";
import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import type { TokenVerifierOptions } from "../../../src/adapters/auth/token-verifier.js";
import {
  TokenRefusalReason,
  TokenRefusalSchema,
  type ValidateTokenResponse,
  ValidateTokenResponseSchema,
} from "../../../src/gen/trunkline/v1/auth_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { refusalOf } from "../../contract/token-verifier.js";
import { Gate, identity, startScripted, useVerifier } from "./use-auth.js";

function refusal(message: string, reason = TokenRefusalReason.INVALID): ValidateTokenResponse {
  const value = create(TokenRefusalSchema, { reason, message });
  return create(ValidateTokenResponseSchema, { outcome: { case: "refusal", value } });
}

function failure(code: status): { code: status; details: string } {
  return { code, details: "scripted" };
}

/** A way to a port whose present connections can fall silent, as when a machine or a firewall vanishes. */
async function useLine(port: number) {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
    }
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const freeze = () => {
    for (const socket of sockets) socket.unpipe().pause();
  };
  return { address: `127.0.0.1:${address.port}`, freeze };
}

describe("asking", () => {
  it("asks once for a token, however many wait for it", async () => {
    const gate = new Gate();
    const service = await startScripted({
      validate: async () => {
        await gate.pass();
        return identity({});
      },
    });
    const { verifier } = useVerifier({ address: service.address });
    const all = Promise.all(Array.from({ length: 50 }, () => verifier.verify("token")));
    await gate.arrived();
    gate.open();
    expect(new Set((await all).map(({ userId }) => userId))).toEqual(new Set(["u1"]));
    expect(gate.calls).toBe(1);
  });

  it("keeps an answer for 60 s and no longer, whatever it was configured to", async () => {
    let calls = 0;
    const service = await startScripted({ validate: async () => identity({ userId: `u${++calls}` }) });
    const { verifier, clock } = useVerifier({ address: service.address, cacheMs: 3_600_000 });
    expect((await verifier.verify("token")).userId).toBe("u1");
    clock.advance(59_999);
    expect((await verifier.verify("token")).userId).toBe("u1");
    clock.advance(1);
    expect((await verifier.verify("token")).userId).toBe("u2");
  });

  it("repeats a refusal for 5 s without asking", async () => {
    let calls = 0;
    const service = await startScripted({ validate: async () => refusal(`no ${++calls}`) });
    const { verifier, clock } = useVerifier({ address: service.address });
    for (let n = 0; n < 100; n += 1) expect((await refusalOf(verifier.verify("bad"))).message).toBe("no 1");
    clock.advance(5_000);
    expect((await refusalOf(verifier.verify("bad"))).message).toBe("no 2");
  });

  it("does not wait for a service that does not answer", async () => {
    const gate = new Gate();
    const service = await startScripted({
      validate: async () => {
        await gate.pass();
        return identity({});
      },
    });
    const { verifier } = useVerifier({ address: service.address, timeoutMs: 50 });
    const error = await refusalOf(verifier.verify("token"));
    expect(error).toMatchObject({ code: ErrorCode.UNAVAILABLE, retryAfterMs: 750 });
    gate.open();
  });

  it("refuses who still waits when it is closed, and whoever comes after", async () => {
    const gate = new Gate();
    const service = await startScripted({
      validate: async () => {
        await gate.pass();
        return identity({});
      },
    });
    const { verifier } = useVerifier({ address: service.address });
    const waiting = refusalOf(verifier.verify("token"));
    await gate.arrived();
    await verifier.close();
    expect((await waiting).code).toBe(ErrorCode.UNAVAILABLE);
    expect((await refusalOf(verifier.verify("token"))).code).toBe(ErrorCode.UNAVAILABLE);
    expect(verifier.available).toBe(false);
    gate.open();
  });
});

describe("more questions than are asked at once", () => {
  /** A service that is asked one question at a time, and answers in its own time. */
  async function useSlowService(options: Pick<TokenVerifierOptions, "line"> = {}) {
    const asked: string[] = [];
    const gates: Gate[] = [];
    let wake = () => {};
    const service = await startScripted({
      validate: async (token) => {
        const gate = new Gate();
        asked.push(token);
        gates.push(gate);
        wake();
        await gate.pass();
        if (token.startsWith("fails")) throw failure(status.UNAVAILABLE);
        return identity({});
      },
    });
    const used = useVerifier({
      address: service.address,
      maxInFlight: 1,
      line: { places: 3, longestMs: 5_000 },
      ...options,
    });
    const arrived = async (count: number) => {
      while (asked.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    return { ...used, asked, arrived, answer: (n: number) => gates[n]?.open() };
  }

  it("are asked in their turn, in the order they came in", async () => {
    const { verifier, asked, arrived, answer } = await useSlowService();
    const answers = ["a", "b", "c", "d"].map((token) => verifier.verify(token));
    for (const [n, answered] of answers.entries()) {
      await arrived(n + 1);
      expect(asked).toHaveLength(n + 1);
      answer(n);
      await answered;
    }
    expect(asked).toEqual(["a", "b", "c", "d"]);
  });

  it("leave the place to the next when one fails", async () => {
    const { verifier, arrived, answer } = await useSlowService();
    const failed = refusalOf(verifier.verify("fails"));
    const next = verifier.verify("b");
    await arrived(1);
    answer(0);
    expect((await failed).message).toBe("the auth service could not verify the token");
    await arrived(2);
    answer(1);
    expect((await next).userId).toBe("u1");
  });

  it("are refused when the line is full, and those in it are answered", async () => {
    const { verifier, arrived, answer } = await useSlowService();
    const answers = Promise.all(["a", "b", "c", "d"].map((token) => verifier.verify(token)));
    const error = await refusalOf(verifier.verify("e"));
    expect(error).toMatchObject({
      code: ErrorCode.UNAVAILABLE,
      message: "too many tokens are being verified",
      retryAfterMs: 750,
    });
    for (const n of [0, 1, 2, 3]) {
      await arrived(n + 1);
      answer(n);
    }
    expect(await answers).toHaveLength(4);
  });

  it("are refused when they have waited for too long, each in its time", async () => {
    const { verifier, clock, arrived, answer, asked } = await useSlowService();
    const first = verifier.verify("a");
    await arrived(1);
    const second = refusalOf(verifier.verify("b"));
    clock.advance(2_000);
    const third = verifier.verify("c");
    clock.advance(3_000);
    expect((await second).message).toBe("too many tokens are being verified");
    clock.advance(1_999);
    answer(0);
    await first;
    await arrived(2);
    answer(1);
    await third;
    expect(asked).toEqual(["a", "c"]);
  });

  it("are all refused at once when the service turns out to be away", async () => {
    const { verifier, arrived, answer, asked } = await useSlowService({ line: { places: 10, longestMs: 5_000 } });
    const failing = [1, 2, 3, 4, 5].map((n) => refusalOf(verifier.verify(`fails ${n}`)));
    const waiting = ["a", "b", "c"].map((token) => refusalOf(verifier.verify(token)));
    for (const n of failing.keys()) {
      await arrived(n + 1);
      answer(n);
    }
    for (const { code, message } of await Promise.all([...waiting, refusalOf(verifier.verify("late"))])) {
      expect([code, message]).toEqual([ErrorCode.UNAVAILABLE, "the auth service cannot be reached"]);
    }
    expect(asked).toHaveLength(failing.length);
  });

  it("are all refused at once when the verifier is closed", async () => {
    const { verifier, arrived, asked } = await useSlowService();
    const all = Promise.all(["a", "b", "c"].map((token) => refusalOf(verifier.verify(token))));
    await arrived(1);
    await verifier.close();
    expect((await all).map(({ code }) => code)).toEqual(Array(3).fill(ErrorCode.UNAVAILABLE));
    expect(asked).toEqual(["a"]);
  });
});

describe("an auth service that is away", () => {
  it("opens the breaker; then tokens are refused at once, and known ones still verify", async () => {
    const service = await startScripted({});
    const { verifier, events } = useVerifier({ address: service.address });
    await verifier.verify("known");
    service.stop();
    for (let n = 0; n < 5; n += 1) {
      const error = await refusalOf(verifier.verify(`new ${n}`));
      expect(error.code).toBe(ErrorCode.UNAVAILABLE);
      expect(error.retryAfterMs).toBeGreaterThan(0);
    }
    expect(events.filter(({ kind }) => kind === "auth.down")).toHaveLength(1);
    expect(verifier.available).toBe(false);
    expect(await refusalOf(verifier.verify("new"))).toMatchObject({ code: ErrorCode.UNAVAILABLE, retryAfterMs: 1_250 });
    expect((await verifier.verify("known")).userId).toBe("u1");
  });

  it("is found again by a probe when it is back", async () => {
    let away = true;
    let calls = 0;
    const service = await startScripted({
      validate: async () => {
        calls += 1;
        if (away) throw failure(status.UNAVAILABLE);
        return identity({});
      },
    });
    const { verifier, clock, events } = useVerifier({ address: service.address });
    for (let n = 0; n < 10; n += 1) await refusalOf(verifier.verify("token"));
    expect(calls).toBe(5);
    away = false;
    clock.advance(1_000);
    expect((await verifier.verify("token")).userId).toBe("u1");
    expect(events.map(({ kind }) => kind)).toContain("auth.up");
    expect(verifier.available).toBe(true);
  });

  it("is reached by a new connection when the old one has gone dead", async () => {
    const service = await startScripted({});
    const line = await useLine(service.port);
    const { verifier, clock } = useVerifier({ address: line.address, timeoutMs: 100 });
    await verifier.verify("before");
    line.freeze();
    for (let n = 0; n < 5; n += 1) await refusalOf(verifier.verify("token"));
    clock.advance(1_000);
    expect((await verifier.verify("token")).userId).toBe("u1");
  });

  it("does not count as away because this process was too late to read its answers", async () => {
    const gate = new Gate();
    const service = await startScripted({
      validate: async (token) => {
        if (token !== "prompt") await gate.pass();
        return identity({});
      },
    });
    const { verifier, clock, events } = useVerifier({ address: service.address, timeoutMs: 200 });
    let asked = 0;
    /** The process stands still for so long while it waits for an answer that does not come. */
    const unanswered = async (standsMs: number): Promise<void> => {
      const refused = refusalOf(verifier.verify(`token ${++asked}`));
      await expect.poll(() => gate.calls, { interval: 1 }).toBe(asked);
      clock.advance(standsMs);
      expect(await refused).toMatchObject({ code: ErrorCode.UNAVAILABLE });
    };
    for (let n = 0; n < 6; n += 1) await unanswered(100);
    expect(verifier.available).toBe(true);
    for (let n = 0; n < 4; n += 1) await unanswered(0);
    // It says nothing of the service: the failures before it are in a row with the next one.
    await unanswered(100);
    expect(verifier.available).toBe(true);
    await unanswered(60);
    expect(verifier.available).toBe(false);
    expect(events.filter(({ kind }) => kind === "auth.down")).toHaveLength(1);
    // A probe that this process was too late for is followed by the next one.
    clock.advance(1_000);
    await unanswered(100);
    expect((await verifier.verify("prompt")).userId).toBe("u1");
    gate.open();
  });

  it("is known to be away before anybody has asked", async () => {
    const service = await startScripted({});
    service.stop();
    const { verifier, event } = useVerifier({ address: service.address });
    await event("revocations.lost");
    expect(verifier.available).toBe(false);
  });

  it("does not count as away because it turns single calls down", async () => {
    const service = await startScripted({
      validate: async (token) => {
        if (token === "good") return identity({});
        throw failure(token === "odd" ? status.UNKNOWN : status.INVALID_ARGUMENT);
      },
    });
    const { verifier } = useVerifier({ address: service.address });
    for (let n = 0; n < 20; n += 1) {
      expect((await refusalOf(verifier.verify(n % 2 === 0 ? "odd" : "bad"))).code).toBe(ErrorCode.UNAVAILABLE);
    }
    expect((await verifier.verify("good")).userId).toBe("u1");
  });
});

describe("answers", () => {
  it("passes the service's reason on, unless it quotes the token", async () => {
    const service = await startScripted({
      validate: async (token) => refusal(token.length > 20 ? `bad: ${token}` : "wrong audience"),
    });
    const { verifier } = useVerifier({ address: service.address });
    expect((await refusalOf(verifier.verify("short"))).message).toBe("wrong audience");
    const error = await refusalOf(verifier.verify("eyJhbGciOiJub25lIn0.e30.signature"));
    expect(error.message).toBe("the token is not valid");
  });

  it("keeps no failure as a cause for the log whose text quotes the token", async () => {
    const service = await startScripted({
      validate: async (token) => {
        throw { code: status.INTERNAL, details: token.length > 20 ? `crashed on ${token}` : "crashed" };
      },
    });
    const { verifier } = useVerifier({ address: service.address });
    expect(String((await refusalOf(verifier.verify("short"))).cause)).toContain("crashed");
    const error = await refusalOf(verifier.verify("eyJhbGciOiJub25lIn0.e30.signature"));
    expect(inspect(error, { depth: 9 })).not.toContain("eyJhbGci");
  });

  it.each([
    [TokenRefusalReason.EXPIRED, ErrorCode.TOKEN_EXPIRED],
    [TokenRefusalReason.REVOKED, ErrorCode.UNAUTHENTICATED],
    [TokenRefusalReason.UNSPECIFIED, ErrorCode.UNAUTHENTICATED],
  ])("turns refusal %i into error %i", async (reason, code) => {
    const service = await startScripted({ validate: async () => refusal("", reason) });
    const { verifier } = useVerifier({ address: service.address });
    expect((await refusalOf(verifier.verify("token"))).code).toBe(code);
  });

  it.each([
    ["no outcome", create(ValidateTokenResponseSchema)],
    ["no tenant", identity({ tenantId: "" })],
    ["no user", identity({ userId: "" })],
    ["a user with a slash", identity({ userId: "a/b" })],
    ["a long tenant", identity({ tenantId: "x".repeat(129) })],
    ["a token id with spaces", identity({ tokenId: "a b" })],
    ["a grant with a line break", identity({ grants: ["service\n"] })],
    ["hundreds of grants", identity({ grants: Array.from({ length: 100 }, (_, n) => `g${n}`) })],
  ])("refuses and reports an answer with %s", async (_name, answer) => {
    const service = await startScripted({ validate: async () => answer });
    const { verifier, events } = useVerifier({ address: service.address });
    expect((await refusalOf(verifier.verify("token"))).code).toBe(ErrorCode.UNAUTHENTICATED);
    expect(events.map(({ kind }) => kind)).toContain("auth.bad_answer");
  });

  it("refuses an identity that has expired already, and one that expires while it is kept", async () => {
    const { seconds } = { seconds: BigInt(Date.UTC(2026, 0, 1) / 1000) };
    const service = await startScripted({
      validate: async (token) =>
        identity({ expiresAt: { seconds: token === "old" ? seconds : seconds + 30n, nanos: 0 } }),
    });
    const { verifier, clock } = useVerifier({ address: service.address });
    expect((await refusalOf(verifier.verify("old"))).code).toBe(ErrorCode.TOKEN_EXPIRED);
    await verifier.verify("new");
    clock.advance(30_000);
    expect((await refusalOf(verifier.verify("new"))).code).toBe(ErrorCode.TOKEN_EXPIRED);
  });

  it("shortens a long display name between characters", async () => {
    const service = await startScripted({ validate: async () => identity({ displayName: "€".repeat(200) }) });
    const { verifier } = useVerifier({ address: service.address });
    expect((await verifier.verify("token")).displayName).toBe("€".repeat(85));
  });
});
