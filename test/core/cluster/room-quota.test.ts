// How many rooms a tenant may have where the archive is written behind the log.

import { describe, expect, it, onTestFinished, vi } from "vitest";
import { ErrorCode } from "../../../src/ports/error.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { useCluster } from "../use-cluster.js";
import type { TestClient } from "../use-core.js";

/** Longer than a count holds. */
const COUNT_MS = 61_000;

function ask(client: TestClient, roomId: string): number {
  const value = { roomId, key: `make-${roomId}` };
  return client.send({ case: "call", value: { rpc: { case: "createRoom", value } } });
}

/** The refusal, or that there is none; "unanswered". */
function outcome(client: TestClient, ref: number): ErrorCode | "made" | "unanswered" {
  const reply = client.reply(ref);
  if (reply.case === "error") return reply.value.code;
  return reply.case === "callResult" ? "made" : "unanswered";
}

describe("the rooms of a tenant", () => {
  it("are never too many for what the archive does not have yet", async () => {
    const engine = new MemoryEngine({ archivesOnAppend: false });
    const cluster = await useCluster({ nodes: 1, engine, limits: { maxRoomsPerTenant: 2 } });
    const gate = Promise.withResolvers<void>();
    onTestFinished(() => gate.resolve());
    const apply = engine.archive.apply.bind(engine.archive);
    const held = vi.spyOn(engine.archive, "apply").mockImplementation(async (...changes) => {
      await gate.promise;
      return await apply(...changes);
    });
    const before = await cluster.node(0).connect("anna");
    for (const roomId of ["r1", "r2"]) ask(before, roomId);
    await cluster.elapse(COUNT_MS);
    expect(held).toHaveBeenCalled();
    const anna = await cluster.node(0).connect("anna");
    const early = ask(anna, "r3");
    await cluster.elapse(10_000);
    expect(outcome(anna, early)).not.toBe("made");
    gate.resolve();
    await cluster.elapse(10_000);
    const late = ask(anna, "r4");
    await cluster.elapse(250);
    expect(outcome(anna, late)).toBe(ErrorCode.LIMIT_EXCEEDED);
    expect(await engine.archive.countRooms("acme")).toBe(2);
  });

  it("are those of all nodes, once each has counted what the others made", async () => {
    const cluster = await useCluster({ limits: { maxRoomsPerTenant: 3 } });
    const make = async (name: string): Promise<unknown[]> => {
      const anna = await cluster.node(0).connect("anna");
      const refs = [0, 1, 2].map((index) => ask(anna, cluster.roomIdOf(index, name)));
      await cluster.elapse(1_000);
      return refs.map((ref) => outcome(anna, ref));
    };
    expect(await make("room")).toEqual(["made", "made", "made"]);
    await cluster.elapse(COUNT_MS);
    const full = ErrorCode.LIMIT_EXCEEDED;
    expect(await make("more")).toEqual([full, full, full]);
  });
});
