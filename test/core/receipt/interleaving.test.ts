// Markers while everything happens at once: devices mark, people speak and ask, and nobody waits for anybody.

import fc from "fast-check";
import { expect, it } from "vitest";
import type { RoomSummary } from "../../../src/gen/trunkline/v1/room_pb.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { settle, type TestClient, text, useCore } from "../use-core.js";

const DEVICES = ["phone", "desk", "pad"] as const;

const step = fc.oneof(
  fc.record({ does: fc.constant("say" as const) }),
  fc.record({
    does: fc.constant("mark" as const),
    device: fc.nat({ max: DEVICES.length - 1 }),
    /** How far before the last event that this device has seen. */
    back: fc.nat(4),
    read: fc.boolean(),
  }),
  fc.record({ does: fc.constant("ask" as const) }),
  fc.record({ does: fc.constant("turn" as const), turns: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ does: fc.constant("wait" as const) }),
);

interface Marked {
  readonly device: TestClient;
  readonly ref: number;
  readonly seq: number;
  readonly read: boolean;
}

function summaryOf(client: TestClient, ref: number): RoomSummary | undefined {
  const answer = client.reply(ref);
  if (answer.case !== "callResult" || answer.value.rpc.case !== "listRooms") return undefined;
  return answer.value.rpc.value.rooms[0];
}

it.each([false, true])(
  "never go back and are never beyond the room's end, nor is anything unread that is not there (answers later: %s)",
  async (answersLater) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60, size: "max" }), async (steps) => {
        const engine = new MemoryEngine({ answersLater });
        const core = await useCore({ engine });
        const bob = await core.connect("bob");
        await core.room(bob, "r", "ann");
        const devices: TestClient[] = [];
        for (const deviceId of DEVICES) {
          const device = await core.connect("ann", { device: { deviceId } });
          await device.ask({ case: "subscribe", value: { roomId: "r", after: {} } });
          devices.push(device);
        }
        const asker = await core.connect("ann", { device: { deviceId: "asker" } });
        const asked: number[] = [];
        const marked: Marked[] = [];
        let said = 0;
        for (const each of steps) {
          if (each.does === "say") bob.send(text("r", `m${++said}`));
          else if (each.does === "turn") await settle(each.turns);
          else if (each.does === "wait") await core.elapse(1_250);
          else if (each.does === "ask")
            asked.push(asker.send({ case: "call", value: { rpc: { case: "listRooms", value: {} } } }));
          else {
            const device = devices[each.device] ?? asker;
            const events = device.all("roomEvents").flatMap(({ value }) => value.events);
            const position = events.at(-1 - each.back)?.position;
            if (position === undefined) continue;
            const { seq } = position;
            const value = each.read ? { roomId: "r", read: position } : { roomId: "r", delivered: position };
            marked.push({ device, ref: device.send({ case: "mark", value }), seq, read: each.read });
          }
        }
        await settle();
        asked.push(asker.send({ case: "call", value: { rpc: { case: "listRooms", value: {} } } }));
        await settle();

        let before = { readSeq: 0, deliveredSeq: 0, topSeq: 0 };
        for (const ref of asked) {
          const summary = summaryOf(asker, ref);
          const { readSeq = 0, unreadCount = -1 } = summary ?? {};
          const deliveredSeq = summary?.marker?.deliveredSeq ?? 0;
          const topSeq = summary?.room?.top?.seq ?? 0;
          const messages = summary?.room?.lastMessageIndex ?? 0;
          expect(readSeq).toBeGreaterThanOrEqual(before.readSeq);
          expect(deliveredSeq).toBeGreaterThanOrEqual(Math.max(before.deliveredSeq, readSeq));
          expect(deliveredSeq).toBeLessThanOrEqual(topSeq);
          expect(unreadCount).toBeGreaterThanOrEqual(0);
          // Of a room in which others have only spoken since, seq and message_index rise together.
          expect(unreadCount).toBe(readSeq === 0 ? messages : topSeq - readSeq);
          before = { readSeq, deliveredSeq, topSeq };
        }
        for (const { device, ref } of marked) expect(device.reply(ref).case).toBe("done");
        const furthest = (only: boolean) =>
          Math.max(0, ...marked.filter(({ read }) => read || !only).map(({ seq }) => seq));
        expect(before).toEqual({ readSeq: furthest(true), deliveredSeq: furthest(false), topSeq: said + 1 });
        for (const client of [...devices, asker]) {
          const markers = client.all("markers").flatMap(({ value }) => value.markers);
          for (const { readSeq, deliveredSeq } of markers.filter(({ userId }) => userId === "ann")) {
            expect(readSeq).toBeLessThanOrEqual(furthest(true));
            expect(deliveredSeq).toBeLessThanOrEqual(furthest(false));
          }
        }
        await core.core.stop();
      }),
      { numRuns: 100 },
    );
  },
  120_000,
);
