// How far everybody has come: said after bursts, only forward, and again where it was lost; shown as the furthest that was told.

import fc from "fast-check";
import { expect, it } from "vitest";
import type { ClientFrame, Marker } from "../../../../bridge/client/gen/types.js";
import { Marks } from "../../../../bridge/client/people/marks.js";
import { RoomReceipts } from "../../../../bridge/client/people/receipts.js";
import { usePeople } from "./use-people.js";

function useReceipts() {
  const people = usePeople();
  const marks = new Marks(people.context);
  const room = (id: string): RoomReceipts => new RoomReceipts(id, { ...people.context, marks });
  return { ...people, marks, room, receipts: room("tea") };
}

function at(seq: number) {
  return { seq, tag: seq * 10 };
}

function marksOf(frames: readonly ClientFrame[]) {
  return frames.flatMap(({ mark }) => mark ?? []);
}

it("what the application is given is marked after the burst, and once a second while it goes on", async () => {
  const { receipts, run, take, world } = useReceipts();
  const saidAtMs: number[] = [];
  for (let seq = 1; seq <= 300; seq++) {
    receipts.reached("delivered", at(seq));
    await run(10);
    if (marksOf(take()).length > 0) saidAtMs.push(world.nowMs);
  }
  expect(saidAtMs).toEqual([250, 1_250, 2_250]);
  await run(1_000);
  expect(marksOf(take())).toEqual([{ roomId: "tea", delivered: at(300) }]);
  await run(10_000);
  expect(take()).toEqual([]);
});

it("marks of many rooms are spread, and none is forgotten", async () => {
  const { room, run, take } = useReceipts();
  for (let index = 0; index < 100; index++) room(`room-${index}`).reached("delivered", at(1));
  const counts: number[] = [];
  const rooms = new Set<string | undefined>();
  for (let second = 0; second < 4; second++) {
    await run(1_000);
    const marks = marksOf(take());
    counts.push(marks.length);
    for (const { roomId } of marks) rooms.add(roomId);
  }
  expect(Math.max(...counts)).toBeLessThanOrEqual(40);
  expect(rooms.size).toBe(100);
});

it("reading covers receiving, and never goes back", async () => {
  const { receipts, run, take } = useReceipts();
  receipts.reached("delivered", at(5));
  receipts.reached("read", at(7));
  receipts.reached("read", at(6));
  await run(1_000);
  expect(marksOf(take())).toEqual([{ roomId: "tea", read: at(7) }]);
  receipts.reached("delivered", at(7));
  receipts.reached("read", at(3));
  await run(5_000);
  expect(take()).toEqual([]);
  expect(receipts.own).toMatchObject({ readSeq: 7, deliveredSeq: 7 });
});

it("what could not be said is said with the next connection, and what was lost with it again", async () => {
  const { receipts, marks, server, run, take } = useReceipts();
  server.live = false;
  receipts.reached("read", at(4));
  await run(5_000);
  expect(take()).toEqual([]);
  server.live = true;
  receipts.welcomed();
  marks.welcomed();
  await run(1_000);
  expect(marksOf(take())).toEqual([{ roomId: "tea", read: at(4) }]);

  marks.disconnected();
  receipts.welcomed();
  marks.welcomed();
  await run(1_000);
  expect(marksOf(take())).toEqual([{ roomId: "tea", read: at(4) }]);
  receipts.told([{ userId: "ada", deliveredSeq: 4, readSeq: 4, readMessageIndex: 3 }]);
  receipts.welcomed();
  await run(5_000);
  expect(take()).toEqual([]);
});

it("a subscription that knows less than was said has it said again", async () => {
  const { receipts, run, take } = useReceipts();
  receipts.reached("delivered", at(9));
  await run(2_000);
  take();
  receipts.subscribed({ top: at(9), marker: { userId: "ada", deliveredSeq: 8 } });
  await run(2_000);
  expect(marksOf(take())).toEqual([{ roomId: "tea", delivered: at(9) }]);
  receipts.subscribed({ top: at(9), marker: { userId: "ada", deliveredSeq: 9 } });
  await run(2_000);
  expect(take()).toEqual([]);
});

it("a message is sent, delivered and read as the others come to it", () => {
  const { receipts } = useReceipts();
  receipts.subscribed({ top: at(5), room: { memberCount: 3 }, marker: { userId: "ada", readSeq: 5, deliveredSeq: 5 } });
  expect(receipts.receiptOf(4)).toEqual({ status: "sent", byAll: false, delivered: 0, read: 0, others: 2 });
  receipts.told([{ userId: "ben", deliveredSeq: 4 }]);
  expect(receipts.receiptOf(4)).toMatchObject({ status: "delivered", byAll: false, delivered: 1 });
  receipts.told([{ userId: "cleo", deliveredSeq: 5, readSeq: 4 }]);
  expect(receipts.receiptOf(4)).toMatchObject({ status: "read", byAll: false, delivered: 2, read: 1 });
  receipts.told([{ userId: "ben", deliveredSeq: 5, readSeq: 5 }]);
  expect(receipts.receiptOf(4)).toMatchObject({ status: "read", byAll: true, read: 2 });
  receipts.happened({ position: at(6), memberJoined: { member: { userId: "dan" } } });
  expect(receipts.receiptOf(4)).toMatchObject({ byAll: false, others: 3 });
  receipts.happened({ position: at(7), memberLeft: { userId: "ben" } });
  expect(receipts.receiptOf(4)).toMatchObject({ read: 1, others: 2 });
});

it("members that the subscription has counted already are not counted again", () => {
  const { receipts } = useReceipts();
  receipts.subscribed({ top: at(5), room: { memberCount: 3 } });
  receipts.happened({ position: at(5), memberJoined: { member: { userId: "dan" } } });
  expect(receipts.receiptOf(1).others).toBe(2);
});

it("who hides what they read sees nothing of what others read, until they show it", async () => {
  const { receipts, server, run } = useReceipts();
  server.answer = () => ({
    callResult: { listMarkers: { markers: [{ userId: "ben", deliveredSeq: 5, readSeq: 5 }] } },
  });
  receipts.told([
    { userId: "ben", deliveredSeq: 5, readSeq: 4 },
    { userId: "ada", deliveredSeq: 5, readSeq: 5 },
  ]);
  receipts.privacy(true);
  expect(receipts.receiptOf(4)).toMatchObject({ status: "delivered", read: 0 });
  expect(receipts.own?.readSeq).toBe(5);
  receipts.privacy(false);
  await run(10);
  expect(receipts.receiptOf(5)).toMatchObject({ status: "read", read: 1 });
});

it("what was hidden while there was no connection is hidden with the next subscription", () => {
  const { receipts } = useReceipts();
  receipts.told([{ userId: "ben", deliveredSeq: 5, readSeq: 4 }]);
  receipts.subscribed({ top: at(5), markers: [{ userId: "ben", deliveredSeq: 5 }] });
  expect(receipts.receiptOf(4)).toMatchObject({ status: "delivered", read: 0 });
});

it("after a reset nothing of the other history is said or shown", async () => {
  const { receipts, run, take } = useReceipts();
  receipts.told([{ userId: "ben", deliveredSeq: 500, readSeq: 500 }]);
  receipts.reached("read", at(500));
  receipts.reset();
  receipts.reached("delivered", at(3));
  await run(1_000);
  expect(marksOf(take())).toEqual([{ roomId: "tea", delivered: at(3) }]);
  expect(receipts.receiptOf(3).status).toBe("sent");
});

it("markers end where they are furthest, in whatever order and however often they are told", () => {
  const marker = fc.record({
    userId: fc.constantFrom("ada", "ben", "cleo"),
    deliveredSeq: fc.nat(20),
    readSeq: fc.nat(20),
    readMessageIndex: fc.nat(20),
  });
  fc.assert(
    fc.property(fc.array(fc.array(marker, { maxLength: 4 })), (pushes) => {
      const { receipts } = useReceipts();
      const told = new Map<string, Marker[]>();
      for (const push of pushes) {
        receipts.told(push);
        for (const one of push) told.set(one.userId, [...(told.get(one.userId) ?? []), one]);
      }
      const held = [...receipts.markers, ...(receipts.own === undefined ? [] : [receipts.own])];
      for (const [userId, all] of told) {
        const most = (name: "deliveredSeq" | "readSeq" | "readMessageIndex"): number =>
          Math.max(0, ...all.map((one) => one[name] ?? 0));
        const expected = {
          userId,
          deliveredSeq: Math.max(most("deliveredSeq"), most("readSeq")),
          readSeq: most("readSeq"),
          readMessageIndex: most("readMessageIndex"),
        };
        const found = held.find((one) => one.userId === userId);
        expect(found ?? { userId, deliveredSeq: 0, readSeq: 0, readMessageIndex: 0 }).toEqual(expected);
      }
    }),
  );
});
