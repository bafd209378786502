// What the log has stored without an answer is told to everybody, whether or not its sender asks again.

import { describe, expect, it } from "vitest";
import { MemoryEngine } from "../../support/memory-engine.js";
import { settle, text, useCore } from "../use-core.js";

async function withReader() {
  const engine = new MemoryEngine({ shards: 1 });
  const core = await useCore({ engine });
  const writer = await core.connect("bert");
  await core.room(writer, "r1", "anna");
  const reader = await core.connect("anna", { rooms: [{ roomId: "r1" }] });
  return { engine, core, writer, reader };
}

describe("an append that was stored and not answered", () => {
  it("is announced once the shard is open again", async () => {
    const { engine, core, writer, reader } = await withReader();
    engine.faultNextAppend({ kind: "lose-answer" });
    writer.send(text("r1", "one"));
    writer.send(text("r1", "two"));
    await settle();
    expect(reader.seqs("r1")).toEqual([]);
    await core.elapse(1_000);
    expect(reader.seqs("r1")).toEqual([2, 3]);
  });

  it("reaches readers within seconds though its late announcement is lost", async () => {
    const { engine, core, writer, reader } = await withReader();
    engine.faultNextAppend({ kind: "lose-answer" });
    engine.lostAnnouncements = 1;
    writer.send(text("r1", "one"));
    await core.elapse(1_000);
    expect([engine.lostAnnouncements, reader.seqs("r1")]).toEqual([0, []]);
    await core.elapse(3_000);
    expect(reader.seqs("r1")).toEqual([2]);
  });

  it("is announced once the archive can be read again", async () => {
    const { engine, core, writer, reader } = await withReader();
    engine.faultNextAppend({ kind: "lose-answer" });
    writer.send(text("r1", "one"));
    engine.archiveDown = true;
    await core.elapse(2_000);
    expect(reader.seqs("r1")).toEqual([]);
    engine.archiveDown = false;
    await core.elapse(10_000);
    expect(reader.seqs("r1")).toEqual([2]);
  });

  it("of a room's deletion takes the room's events away and ends its subscriptions", async () => {
    const { engine, core, writer, reader } = await withReader();
    engine.faultNextAppend({ kind: "lose-answer" });
    writer.send({ case: "call", value: { rpc: { case: "deleteRoom", value: { roomId: "r1", key: "end" } } } });
    await core.elapse(1_000);
    expect(reader.all("unsubscribed")).toHaveLength(1);
    expect([...(engine.state.rooms.get("acme/r1")?.events.keys() ?? [])]).toEqual([2]);
  });
});

describe("an append that was refused", () => {
  it("is announced only when it was sent again", async () => {
    const { engine, core, writer, reader } = await withReader();
    engine.faultNextAppend({ kind: "refuse" });
    writer.send(text("r1", "one"));
    await core.elapse(1_000);
    expect(reader.seqs("r1")).toEqual([]);
    writer.send(text("r1", "one"));
    await settle();
    expect(reader.seqs("r1")).toEqual([2]);
  });
});
