// A message as it stands: its creating event, until there is a document of it.

import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { materialise } from "../../../src/core/message/materialise.js";
import { MessageDocumentSchema } from "../../../src/gen/trunkline/store/v1/documents_pb.js";
import { MessageSchema, type RoomEvent, RoomEventSchema } from "../../../src/gen/trunkline/v1/message_pb.js";
import { EncodedEvent } from "../../../src/ports/encoded-event.js";

const CREATED: RoomEvent = create(RoomEventSchema, {
  eventId: "e-7",
  position: { seq: 7, tag: 77 },
  createdAt: timestampFromMs(1_790_000_000_000),
  actor: { userId: "ada", deviceId: "phone", displayName: "Ada" },
  kind: {
    case: "messageCreated",
    value: {
      body: { kind: { case: "text", value: "hello" } },
      messageIndex: 3,
      clientMessageId: "k",
      replyTo: "e-1",
      threadRoot: "e-2",
      mentions: [{ userId: "bob" }],
      metadata: { a: 1 },
      expiresAt: timestampFromMs(1_790_000_001_000),
    },
  },
});

function stored(event: RoomEvent): EncodedEvent {
  return EncodedEvent.decode(toBinary(RoomEventSchema, event));
}

describe("materialise", () => {
  it("takes everything from the creating event of a message that has not changed", () => {
    expect(materialise("lobby", { messageIndex: 3, created: stored(CREATED), document: undefined })).toEqual(
      create(MessageSchema, {
        messageId: "e-7",
        roomId: "lobby",
        position: { seq: 7, tag: 77 },
        messageIndex: 3,
        createdAt: timestampFromMs(1_790_000_000_000),
        sender: { userId: "ada", deviceId: "phone", displayName: "Ada" },
        body: { kind: { case: "text", value: "hello" } },
        replyTo: "e-1",
        threadRoot: "e-2",
        mentions: [{ userId: "bob" }],
        metadata: { a: 1 },
        expiresAt: timestampFromMs(1_790_000_001_000),
        version: 1,
        clientMessageId: "k",
      }),
    );
  });

  it("takes everything from the document of one that has", () => {
    const document = create(MessageDocumentSchema, { appliedSeq: 9, message: { messageId: "e-7", deleted: true } });
    for (const created of [stored(CREATED), undefined]) {
      expect(materialise("lobby", { messageIndex: 3, created, document })).toEqual(document.message);
    }
  });

  it("makes nothing of another event, nor of nothing", () => {
    const created = stored(create(RoomEventSchema, { eventId: "e-8", kind: { case: "roomDeleted", value: {} } }));
    expect(materialise("lobby", { messageIndex: 3, created, document: undefined })).toBeUndefined();
    expect(materialise("lobby", { messageIndex: 3, created: undefined, document: undefined })).toBeUndefined();
  });
});
