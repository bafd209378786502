// What was revoked lately is remembered within bounds, and what had to be forgotten makes doubtful, never valid.

import { describe, expect, it } from "vitest";
import { RevocationMemory } from "../../../src/adapters/auth/revocation-memory.js";
import { ExpiringCache } from "../../../src/adapters/outside/expiring-cache.js";
import type { Identity } from "../../../src/ports/token-verifier.js";

function identity(userId: string, tokenId = ""): Identity {
  return { tenantId: "acme", userId, displayName: "", grants: new Set(), expiresAtMs: undefined, tokenId };
}

function user(userId: string, tenantId = "acme") {
  return { tenantId, subject: { userId }, atMs: 0 };
}

describe("RevocationMemory", () => {
  it("doubts a user's answers from before their revocation only", () => {
    const memory = new RevocationMemory(10);
    const before = memory.now;
    memory.note(user("u1"));
    expect(memory.doubtful(identity("u1"), before)).toBe(true);
    expect(memory.doubtful(identity("u1"), memory.now)).toBe(false);
    expect(memory.doubtful(identity("u2"), before)).toBe(false);
  });

  it("tells tenants apart", () => {
    const memory = new RevocationMemory(10);
    memory.note(user("u1", "other"));
    memory.note({ tenantId: "other", subject: { tokenId: "t1" }, atMs: 0 });
    expect(memory.doubtful(identity("u1", "t1"), 0)).toBe(false);
  });

  it("knows a revoked token for good, and takes no token without an id for one", () => {
    const memory = new RevocationMemory(10);
    memory.note({ tenantId: "acme", subject: { tokenId: "t1" }, atMs: 0 });
    expect(memory.revoked(identity("u1", "t1"))).toBe(true);
    expect(memory.doubtful(identity("u1", "t1"), memory.now)).toBe(true);
    expect(memory.revoked(identity("u1"))).toBe(false);
  });

  it("doubts everything from before a revocation that it had to forget", () => {
    const memory = new RevocationMemory(3);
    const before = memory.now;
    memory.note(user("u1"));
    const after = memory.now;
    for (const userId of ["u2", "u3", "u4"]) memory.note(user(userId));
    expect(memory.doubtful(identity("u1"), before)).toBe(true);
    expect(memory.doubtful(identity("u9"), before)).toBe(true);
    expect(memory.doubtful(identity("u9"), after)).toBe(false);
  });
});

describe("ExpiringCache", () => {
  it("keeps so many entries, dropping the one not used for longest", () => {
    const cache = new ExpiringCache<number>(2);
    cache.set("a", 1, 10);
    cache.set("b", 2, 10);
    expect(cache.get("a", 0)).toBe(1);
    cache.set("c", 3, 10);
    expect([cache.get("a", 0), cache.get("b", 0), cache.get("c", 0)]).toEqual([1, undefined, 3]);
    expect(cache.size).toBe(2);
  });

  it("forgets an entry when its time has come", () => {
    const cache = new ExpiringCache<number>(2);
    cache.set("a", 1, 10);
    expect(cache.get("a", 9)).toBe(1);
    expect(cache.get("a", 10)).toBe(undefined);
    expect(cache.size).toBe(0);
  });
});
