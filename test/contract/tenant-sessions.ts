// What every store of counts must do: the guarantees of src/ports/tenant-sessions.ts, as tests.

import { describe, expect, it, onTestFinished } from "vitest";
import { TENANT_SESSIONS_LEASE_MS, type TenantSessions } from "../../src/ports/tenant-sessions.js";

export interface TenantSessionsSubject {
  node(): TenantSessions;
  /** Time passes. */
  pass(milliseconds: number): void;
  close(): Promise<void>;
}

export function describeTenantSessions(name: string, factory: () => Promise<TenantSessionsSubject>): void {
  describe(`the sessions of tenants of ${name}`, () => {
    async function useNodes() {
      const subject = await factory();
      onTestFinished(() => subject.close());
      const [a, b, c] = [subject.node(), subject.node(), subject.node()];
      const count = (node: TenantSessions, sessions: number, limit = 0, tenantId = "acme") =>
        node.count({ tenantId, sessions, limit });
      return { subject, a, b, c, count };
    }

    it("are those of the other nodes, as each said last", async () => {
      const { a, b, c, count } = await useNodes();
      expect(await count(a, 3)).toBe(0);
      expect(await count(b, 2)).toBe(3);
      expect(await count(c, 1)).toBe(5);
      await count(b, 7);
      expect(await count(a, 4)).toBe(8);
      await count(b, 0);
      expect(await count(a, 4)).toBe(1);
    });

    it("are each tenant's by itself", async () => {
      const { a, b, count } = await useNodes();
      await count(a, 3, 0, "acme");
      expect(await count(b, 1, 0, "acme-2")).toBe(0);
    });

    it("stay as they were said before where they would be more than the limit", async () => {
      const { a, b, c, count } = await useNodes();
      await count(a, 3, 5);
      await count(b, 1, 5);
      expect(await count(b, 3, 5)).toBe(3);
      expect(await count(c, 1, 5)).toBe(4);
      expect(await count(a, 4, 5)).toBe(2);
    });

    it("give the last place to one of those who ask at the same moment", async () => {
      const { a, b, c, count } = await useNodes();
      const others = await Promise.all([a, b, c].map((node) => count(node, 1, 1)));
      expect(others.filter((each) => each + 1 <= 1)).toHaveLength(1);
    });

    it("are over when a node has said nothing for a while", async () => {
      const { subject, a, b, count } = await useNodes();
      await count(a, 3);
      subject.pass(TENANT_SESSIONS_LEASE_MS - 1);
      expect(await count(b, 1)).toBe(3);
      await count(a, 3);
      subject.pass(TENANT_SESSIONS_LEASE_MS);
      expect(await count(b, 1)).toBe(0);
    });
  });
}
