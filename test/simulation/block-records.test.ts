// What comes of a block can be found wrong.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, test } from "vitest";
import { type RoomEvent, RoomEventSchema } from "../../src/gen/trunkline/v1/message_pb.js";
import { BlockRecords } from "./block-records.js";
import { UserRecord } from "./user-record.js";

type KindInit = NonNullable<MessageInitShape<typeof RoomEventSchema>["kind"]>;

function event(eventId: string, userId: string, kind: KindInit): RoomEvent {
  return create(RoomEventSchema, { eventId, actor: { userId }, kind });
}

function naming(eventId: string, sender: string): RoomEvent {
  return event(eventId, sender, { case: "messageCreated", value: { mentions: [{ userId: "anna" }] } });
}

describe("behind a block", () => {
  const MESSAGE = event("m", "bert", { case: "messageCreated", value: {} });
  let anna: UserRecord;
  let blocks: BlockRecords;
  let doubts: number;

  function says(eventId: string, blocked: boolean): void {
    expect(
      anna.take(event(eventId, "anna", { case: "userBlocked", value: { userId: "bert", blocked } })),
    ).toBeUndefined();
  }

  beforeEach(() => {
    anna = new UserRecord("anna");
    doubts = 1;
    blocks = new BlockRecords(
      (_, userId) => (userId === "anna" ? anna : undefined),
      () => doubts,
    );
    says("block", true);
  });

  test("nothing comes of what was asked for once it was answered, whoever of the two asked", () => {
    blocks.answered("block");
    blocks.asks("acme", "m", "bert", "anna");
    expect(() => blocks.logged("acme", MESSAGE)).toThrow("not permitted");
    expect(() => blocks.logged("globex", MESSAGE)).not.toThrow();
  });

  test("anything may come of what was asked for before it was answered, or before it ended", () => {
    blocks.asks("acme", "m", "bert", "anna");
    blocks.answered("block");
    expect(() => blocks.logged("acme", MESSAGE)).not.toThrow();
    blocks.asks("acme", "m", "bert", "anna");
    says("end", false);
    says("again", true);
    expect(() => blocks.logged("acme", MESSAGE)).not.toThrow();
  });

  test("anything may come of what was asked for while two nodes had reason to take the inbox for theirs", () => {
    blocks.answered("block");
    doubts = 0;
    blocks.asks("acme", "m", "bert", "anna");
    doubts = 2;
    expect(() => blocks.logged("acme", MESSAGE)).not.toThrow();
    blocks.asks("acme", "m", "bert", "anna");
    doubts = 0;
    expect(() => blocks.logged("acme", MESSAGE)).not.toThrow();
  });

  test("nobody hears of who names them, as long as it stands", () => {
    blocks.answered("block");
    blocks.logged("acme", naming("n", "bert"));
    expect(blocks.hears("acme", "anna", naming("n", "bert"))).toBe("never");
    expect(blocks.hears("acme", "anna", naming("o", "carl"))).toBe("surely");
    says("end", false);
    expect(blocks.hears("acme", "anna", naming("n", "bert"))).toBe("perhaps");
  });

  test("a block that changes nothing, or of another's, is no event of an inbox", () => {
    const again: KindInit = { case: "userBlocked", value: { userId: "bert", blocked: true } };
    expect(anna.take(event("again", "anna", again))).toContain("changes nothing");
    expect(anna.take(event("other", "bert", again))).toContain("another");
  });
});
