// Revocations by stream: none is lost, whatever happens to the stream.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { startAuthService } from "../../../src/adapters/auth/auth-service.js";
import { createDevIssuer } from "../../../src/adapters/auth/dev-issuer.js";
import { WatchRevocationsResponseSchema } from "../../../src/gen/trunkline/v1/auth_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { nextRevocation, refusalOf } from "../../contract/token-verifier.js";
import { clockOf2026, Gate, identity, startScripted, useVerifier, type WatchCall } from "./use-auth.js";

/** A stream for each time the verifier connects. */
class Streams {
  readonly cursors: string[] = [];
  readonly #arrived: WatchCall[] = [];
  #wanted: ((call: WatchCall) => void) | undefined;

  readonly accept = (call: WatchCall): void => {
    this.cursors.push(call.request.cursor);
    if (this.#wanted === undefined) this.#arrived.push(call);
    else this.#wanted(call);
    this.#wanted = undefined;
  };

  next(): Promise<WatchCall> {
    const arrived = this.#arrived.shift();
    if (arrived !== undefined) return Promise.resolve(arrived);
    const { promise, resolve } = Promise.withResolvers<WatchCall>();
    this.#wanted = resolve;
    return promise;
  }
}

function revoked(tokenId: string, cursor: string) {
  return create(WatchRevocationsResponseSchema, {
    tenantId: "acme",
    subject: { case: "tokenId", value: tokenId },
    cursor,
  });
}

describe("the stream of revocations", () => {
  it("goes on from its last cursor when it was lost", async () => {
    const streams = new Streams();
    const service = await startScripted({ watch: streams.accept });
    const { verifier, clock, event } = useVerifier({ address: service.address });
    const first = await streams.next();
    const told = nextRevocation(verifier);
    first.write(revoked("t7", "c7"));
    await told;
    first.end();
    expect(await event("revocations.lost")).toMatchObject({ retryInMs: 125 });
    clock.advance(125);
    const second = await streams.next();
    expect(streams.cursors).toEqual(["", "c7"]);
    const toldAgain = nextRevocation(verifier);
    second.write(revoked("t8", "c8"));
    expect(await toldAgain).toMatchObject({ subject: { tokenId: "t8" } });
  });

  it("goes on from its last cursor when the node was away, though nothing says that it was lost", async () => {
    const streams = new Streams();
    const service = await startScripted({ watch: streams.accept });
    const { verifier, clock, event } = useVerifier({ address: service.address });
    const told = nextRevocation(verifier);
    (await streams.next()).write(revoked("t7", "c7"));
    await told;
    verifier.relearn?.();
    await event("revocations.lost");
    clock.advance(125);
    await streams.next();
    expect(streams.cursors).toEqual(["", "c7"]);
  });

  it("is asked for only now and then where the service has none, and that is said once", async () => {
    const service = await startScripted({});
    const { verifier, clock, events, event } = useVerifier({ address: service.address });
    await event("revocations.unsupported");
    clock.advance(5 * 60_000);
    await verifier.verify("token");
    expect(verifier.available).toBe(true);
    expect(events.map(({ kind }) => kind)).toEqual(["revocations.unsupported"]);
  });

  it("keeps a token revoked though the service still vouches for it", async () => {
    const streams = new Streams();
    const service = await startScripted({ watch: streams.accept });
    const { verifier, clock } = useVerifier({ address: service.address });
    await verifier.verify("token");
    const told = nextRevocation(verifier);
    (await streams.next()).write(revoked("t1", "c1"));
    await told;
    expect((await refusalOf(verifier.verify("token"))).code).toBe(ErrorCode.UNAUTHENTICATED);
    clock.advance(600_000);
    expect((await refusalOf(verifier.verify("token"))).code).toBe(ErrorCode.UNAUTHENTICATED);
  });

  it("makes an answer from before a user's revocation useless, though it arrives after it", async () => {
    const streams = new Streams();
    const gate = new Gate();
    const service = await startScripted({
      watch: streams.accept,
      validate: async () => {
        await gate.pass();
        return identity({});
      },
    });
    const { verifier } = useVerifier({ address: service.address });
    const answer = refusalOf(verifier.verify("token"));
    await gate.arrived();
    const told = nextRevocation(verifier);
    const subject = { case: "userId", value: "u1" } as const;
    (await streams.next()).write(create(WatchRevocationsResponseSchema, { tenantId: "acme", subject, cursor: "c1" }));
    await told;
    gate.open();
    const error = await answer;
    expect(error.code).toBe(ErrorCode.UNAVAILABLE);
    expect(error.retryAfterMs).toBeGreaterThan(0);
    expect((await verifier.verify("token")).userId).toBe("u1");
  });

  it("dates a fresh revocation by this node's clock, and keeps the date of an old one", async () => {
    const streams = new Streams();
    const service = await startScripted({ watch: streams.accept });
    const { verifier, clock } = useVerifier({ address: service.address });
    const stream = await streams.next();
    for (const [saidMs, heardMs] of [
      [clock.now() - 3_000, clock.now()],
      [clock.now() + 99_000, clock.now()],
      [clock.now() - 60_000, clock.now() - 60_000],
    ] as const) {
      const told = nextRevocation(verifier);
      const subject = { case: "userId", value: "u1" } as const;
      stream.write(create(WatchRevocationsResponseSchema, { tenantId: "acme", subject, at: timestampFromMs(saidMs) }));
      expect((await told).atMs).toBe(heardMs);
    }
  });

  it("passes over and reports what is not a revocation", async () => {
    const streams = new Streams();
    const service = await startScripted({ watch: streams.accept });
    const { verifier, events } = useVerifier({ address: service.address });
    const stream = await streams.next();
    const told = nextRevocation(verifier);
    stream.write(create(WatchRevocationsResponseSchema, { tenantId: "acme" }));
    stream.write(revoked("no/id", "c1"));
    stream.write(create(WatchRevocationsResponseSchema, { subject: { case: "tokenId", value: "t1" } }));
    stream.write(revoked("t2", "c2"));
    expect(await told).toMatchObject({ subject: { tokenId: "t2" } });
    expect(events.map(({ kind }) => kind)).toEqual(["auth.bad_answer", "auth.bad_answer", "auth.bad_answer"]);
  });

  it("is opened anew when the breaker opens: its connection may be a dead one", async () => {
    const streams = new Streams();
    const service = await startScripted({
      watch: streams.accept,
      validate: async () => {
        throw { code: status.UNAVAILABLE, details: "scripted" };
      },
    });
    const { verifier, clock, event } = useVerifier({ address: service.address });
    const first = await streams.next();
    const over = new Promise((resolve) => first.once("cancelled", resolve));
    for (let n = 0; n < 5; n += 1) await refusalOf(verifier.verify("token"));
    await over;
    await event("revocations.lost");
    clock.advance(30_000);
    await streams.next();
  });
});

describe("the ready service's revocations", () => {
  it("reach a verifier that was away meanwhile, by cursor, and one that comes new, for an hour", async () => {
    const clock = clockOf2026();
    const issuer = await createDevIssuer({ clock });
    const service = await startAuthService({ clock, jwt: { keys: { development: issuer } } });
    onTestFinished(() => service.close());
    service.revoke({ tenantId: "acme", tokenId: "yesterday" });
    clock.advance(24 * 3_600_000);
    service.revoke({ tenantId: "acme", tokenId: "just-now" });
    const { verifier } = useVerifier({ address: service.address, clock });
    expect(await nextRevocation(verifier)).toMatchObject({ subject: { tokenId: "just-now" } });
    const told = nextRevocation(verifier);
    service.revoke({ tenantId: "acme", userId: "u1" });
    expect(await told).toMatchObject({ subject: { userId: "u1" } });
  });

  it("arrive whole and in order at a watcher, however many there are", async () => {
    const clock = clockOf2026();
    const issuer = await createDevIssuer({ clock });
    const service = await startAuthService({ clock, jwt: { keys: { development: issuer } } });
    onTestFinished(() => service.close());
    for (let n = 0; n < 3_000; n += 1) service.revoke({ tenantId: "acme", tokenId: `t${n}` });
    const { verifier } = useVerifier({ address: service.address, clock });
    const { promise, resolve } = Promise.withResolvers<string[]>();
    const heard: string[] = [];
    verifier.onRevoked(({ subject }) => {
      heard.push("tokenId" in subject ? subject.tokenId : "");
      if (heard.length === 3_000) resolve(heard);
    });
    expect(await promise).toEqual(Array.from({ length: 3_000 }, (_, n) => `t${n}`));
  });

  it("are heard from a service that was restarted, which verifies again", async () => {
    const clock = clockOf2026();
    const issuer = await createDevIssuer({ clock });
    const jwt = { keys: { development: issuer } };
    const first = await startAuthService({ clock, jwt });
    const { verifier } = useVerifier({
      address: first.address,
      clock,
      // Whenever it is to wait, the time has come.
      report: (event) => {
        if (event.kind === "revocations.lost") setImmediate(() => clock.advance(event.retryInMs));
      },
    });
    const told = nextRevocation(verifier);
    first.revoke({ tenantId: "acme", tokenId: "before" });
    await told;
    const toldAgain = nextRevocation(verifier);
    await first.close();
    const second = await startAuthService({ clock, jwt, port: Number(first.address.split(":")[1]) });
    onTestFinished(() => second.close());
    second.revoke({ tenantId: "acme", tokenId: "after" });
    expect(await toldAgain).toMatchObject({ subject: { tokenId: "after" } });
    expect((await verifier.verify(await issuer.issue({ userId: "u1" }))).userId).toBe("u1");
  });

  it("are not taken for ids that cannot be", async () => {
    const clock = clockOf2026();
    const service = await startAuthService({ clock, jwt: { keys: { development: await createDevIssuer({ clock }) } } });
    onTestFinished(() => service.close());
    expect(() => service.revoke({ tenantId: "", userId: "u1" })).toThrow(/legal id/);
    expect(() => service.revoke({ tenantId: "acme", tokenId: "a/b" })).toThrow(/legal id/);
  });
});
