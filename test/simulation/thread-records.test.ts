// What is said in threads can be found wrong.

import { create } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, test } from "vitest";
import { type RoomEvent, RoomEventSchema } from "../../src/gen/trunkline/v1/message_pb.js";
import { ThreadRecords } from "./thread-records.js";

function said(eventId: string, seq: number, threadRoot = "", replyTo = ""): RoomEvent {
  const kind = { case: "messageCreated" as const, value: { threadRoot, replyTo } };
  return create(RoomEventSchema, { eventId, position: { seq }, kind });
}

function deleted(messageId: string, seq: number): RoomEvent {
  const kind = { case: "messageDeleted" as const, value: { messageId } };
  return create(RoomEventSchema, { eventId: `end of ${messageId}`, position: { seq }, kind });
}

describe("threads", () => {
  let threads: ThreadRecords;

  /** A message, and two in its thread, of which the first is deleted. */
  beforeEach(() => {
    threads = new ThreadRecords();
    for (const event of [said("a", 2), said("b", 3, "a"), said("c", 4, "a", "b"), deleted("b", 5)]) threads.fold(event);
  });

  test("count their replies at each place, without deleted ones", () => {
    expect([1, 2, 3, 4, 5, 9].map((seq) => threads.repliesAt("a", seq))).toEqual([0, 0, 1, 2, 1, 1]);
    expect(threads.repliesAt("c", 9)).toBe(0);
    expect([...threads.roots]).toEqual(["a"]);
  });

  test("take what is said in one that is there", () => {
    expect(threads.judge(said("d", 6))).toBeUndefined();
    expect(threads.judge(said("d", 6, "a", "c"))).toBeUndefined();
  });

  test("take nothing of one that is not, or in a message that is itself in one, nor an answer to nothing", () => {
    expect(threads.judge(said("d", 6, "x"))).toContain("begins none");
    expect(threads.judge(said("d", 6, "c"))).toContain("begins none");
    expect(threads.judge(said("d", 6, "", "x"))).toContain("not there");
  });
});
