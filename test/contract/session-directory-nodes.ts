// What session directories of several nodes must do when one of them is gone.

import { describe, expect, it } from "vitest";
import { PresenceStatus } from "../../src/gen/trunkline/v1/session_pb.js";
import { of, Scene, type SessionDirectorySubject } from "./session-directory.js";

const { ONLINE, OFFLINE, DO_NOT_DISTURB } = PresenceStatus;

export interface SessionDirectoryNodes extends SessionDirectorySubject {
  /** How long the sessions of a node that is gone still count. */
  readonly leaseMs: number;
  /** The node of `here` dies without a word. */
  crash(): void;
}

export function describeSessionDirectoryNodes(name: string, factory: () => Promise<SessionDirectoryNodes>): void {
  describe(`the session directory of ${name}, of which one dies`, () => {
    const using = (test: (scene: Scene, nodes: SessionDirectoryNodes) => Promise<void>) => async () => {
      const nodes = await factory();
      try {
        await test(new Scene(nodes), nodes);
      } finally {
        await nodes.close();
      }
    };

    it(
      "shows its sessions until its lease ends, and about then as those who were last online",
      using(async ({ session, status, presence, watch, soon }, nodes) => {
        const { here, there, leaseMs } = nodes;
        const [ann, bob] = [session("ann"), session("bob")];
        here.connect(ann);
        here.choose(ann, of(DO_NOT_DISTURB));
        there.connect(bob);
        await nodes.pass(1_000);
        const diedAtMs = nodes.now();
        const watching = await watch(there, "ann");
        nodes.crash();
        await nodes.pass(leaseMs / 2);
        expect(await status(there, "ann")).toBe(DO_NOT_DISTURB);
        await nodes.pass(leaseMs);
        await watching.shows(OFFLINE);
        expect(await status(there, "bob")).toBe(ONLINE);
        await soon(async () => (await presence(there, "ann")).lastSeenMs !== undefined, true);
        const { lastSeenMs = 0 } = await presence(there, "ann");
        expect(lastSeenMs).toBeGreaterThanOrEqual(diedAtMs - leaseMs);
        expect(lastSeenMs).toBeLessThanOrEqual(diedAtMs + leaseMs);
      }),
    );

    it(
      "takes no session of a user's that is live on another node, nor one whose device has come there since",
      using(async ({ session, status, watch, tenantId }, nodes) => {
        const { here, there, leaseMs } = nodes;
        const desk = session("ann", "desk");
        here.connect(desk);
        here.choose(desk, of(DO_NOT_DISTURB));
        here.connect(session("bob", "desk"));
        there.connect(session("bob", "phone"));
        await nodes.pass(0);
        const watching = [await watch(there, "ann"), await watch(there, "bob")];
        nodes.crash();
        there.connect(session("ann", "desk", 2));
        await nodes.pass(3 * leaseMs);
        expect(watching.map(({ seen }) => seen.includes(OFFLINE))).toEqual([false, false]);
        expect(await status(there, "ann")).toBe(DO_NOT_DISTURB);
        expect(await status(there, "bob")).toBe(ONLINE);
        expect(await there.sessions(tenantId, "ann")).toHaveLength(1);
        expect(await there.sessions(tenantId, "bob")).toHaveLength(1);
      }),
    );
  });
}
