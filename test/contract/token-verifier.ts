// What every token verifier must do: the guarantees of src/ports/token-verifier.ts, as tests.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { Revocation, TokenVerifier } from "../../src/ports/token-verifier.js";

export interface WantedToken {
  readonly tenantId: string;
  readonly userId: string;
  readonly displayName?: string;
  readonly grants?: readonly string[];
  readonly ttlMs?: number;
}

export interface TokenVerifierSubject {
  readonly verifier: TokenVerifier;
  issue(token: WantedToken): Promise<string>;
  revoke(request: { tenantId: string; tokenId: string } | { tenantId: string; userId: string }): void;
  /** Lets so much time pass. */
  advance(ms: number): void;
  now(): number;
  close(): Promise<void>;
}

export async function refusalOf(promise: Promise<unknown>): Promise<TrunklineError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TrunklineError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** The next revocation that the verifier tells. */
export function nextRevocation(verifier: TokenVerifier): Promise<Revocation> {
  const { promise, resolve } = Promise.withResolvers<Revocation>();
  const end = verifier.onRevoked((revocation) => {
    end();
    resolve(revocation);
  });
  return promise;
}

export function describeTokenVerifier(name: string, factory: () => Promise<TokenVerifierSubject>): void {
  describe(`the token verifier of ${name}`, () => {
    let subject: TokenVerifierSubject;
    beforeAll(async () => {
      subject = await factory();
    });
    afterAll(() => subject.close());

    it("says whom a token stands for", async () => {
      const token = await subject.issue({
        tenantId: "acme",
        userId: "u1",
        displayName: "Ünal ✓",
        grants: ["service", "admin"],
        ttlMs: 60_000,
      });
      expect(await subject.verifier.verify(token)).toEqual({
        tenantId: "acme",
        userId: "u1",
        displayName: "Ünal ✓",
        grants: new Set(["service", "admin"]),
        expiresAtMs: subject.now() + 60_000,
        tokenId: expect.stringMatching(/^.+$/),
      });
      expect(subject.verifier.available).toBe(true);
    });

    it("answers the same for the same token, also to many at once", async () => {
      const token = await subject.issue({ tenantId: "acme", userId: "u2" });
      const first = await subject.verifier.verify(token);
      const more = await Promise.all(Array.from({ length: 20 }, () => subject.verifier.verify(token)));
      for (const identity of more) expect(identity).toEqual(first);
    });

    it("refuses a token that has expired, also one it has verified before", async () => {
      const token = await subject.issue({ tenantId: "acme", userId: "u3", ttlMs: 10_000 });
      await subject.verifier.verify(token);
      subject.advance(20_000);
      expect((await refusalOf(subject.verifier.verify(token))).code).toBe(ErrorCode.TOKEN_EXPIRED);
      expect((await refusalOf(subject.verifier.verify(token))).code).toBe(ErrorCode.TOKEN_EXPIRED);
    });

    it("refuses a token with any character changed", async () => {
      const token = await subject.issue({ tenantId: "acme", userId: "u4" });
      for (let at = 0; at < token.length - 1; at += 7) {
        const other = token[at] === "A" ? "B" : "A";
        const changed = token.slice(0, at) + other + token.slice(at + 1);
        expect((await refusalOf(subject.verifier.verify(changed))).code).toBe(ErrorCode.UNAUTHENTICATED);
      }
    });

    it("refuses an empty token, one that is too long and one that is not text", async () => {
      for (const token of ["", "x".repeat(8 * 1024 + 1), "é".repeat(5_000), "a.\ud800.b"]) {
        expect((await refusalOf(subject.verifier.verify(token))).code).toBe(ErrorCode.UNAUTHENTICATED);
      }
    });

    it("refuses whatever else it is given, without quoting it", async () => {
      const dotted = fc.array(fc.base64String(), { minLength: 2, maxLength: 5 }).map((parts) => parts.join("."));
      const header = fc.json().map((json) => `${Buffer.from(json).toString("base64url")}.e30.`);
      const tokens = fc.oneof(fc.string(), fc.string({ unit: "binary" }), dotted, header);
      await fc.assert(
        fc.asyncProperty(tokens, async (token) => {
          const error = await refusalOf(subject.verifier.verify(token));
          expect(error.code).toBe(ErrorCode.UNAUTHENTICATED);
          if (token.length >= 8) expect(error.message).not.toContain(token);
        }),
        { numRuns: 300 },
      );
    });

    it("tells of a revoked token and refuses it from then on", async () => {
      const token = await subject.issue({ tenantId: "acme", userId: "u5" });
      const other = await subject.issue({ tenantId: "acme", userId: "u5" });
      const { tokenId } = await subject.verifier.verify(token);
      await subject.verifier.verify(other);
      const told = nextRevocation(subject.verifier);
      subject.revoke({ tenantId: "acme", tokenId });
      expect(await told).toMatchObject({ tenantId: "acme", subject: { tokenId } });
      expect((await refusalOf(subject.verifier.verify(token))).code).toBe(ErrorCode.UNAUTHENTICATED);
      expect((await subject.verifier.verify(other)).userId).toBe("u5");
    });

    it("refuses a revoked user's tokens, but not one issued afterwards nor the same user id of another tenant", async () => {
      const token = await subject.issue({ tenantId: "acme", userId: "u6" });
      const elsewhere = await subject.issue({ tenantId: "other", userId: "u6" });
      await subject.verifier.verify(token);
      const told = nextRevocation(subject.verifier);
      subject.advance(1_000);
      subject.revoke({ tenantId: "acme", userId: "u6" });
      expect(await told).toEqual({ tenantId: "acme", subject: { userId: "u6" }, atMs: subject.now() });
      expect((await refusalOf(subject.verifier.verify(token))).code).toBe(ErrorCode.UNAUTHENTICATED);
      subject.advance(1_000);
      const fresh = await subject.issue({ tenantId: "acme", userId: "u6" });
      expect((await subject.verifier.verify(fresh)).userId).toBe("u6");
      expect((await subject.verifier.verify(elsewhere)).tenantId).toBe("other");
    });

    it("tells a listener nothing once it has ended", async () => {
      const heard: Revocation[] = [];
      const end = subject.verifier.onRevoked((revocation) => heard.push(revocation));
      end();
      const told = nextRevocation(subject.verifier);
      subject.revoke({ tenantId: "acme", tokenId: "t1" });
      await told;
      expect(heard).toEqual([]);
    });
  });
}
