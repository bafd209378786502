// `trunkline.v1.json`: one message is one frame as proto3 JSON.

import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { RoomEventSchema } from "../../src/gen/trunkline/v1/message_pb.js";
import { ClientFrameSchema, ServerFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import type { EncodedEvent } from "../../src/ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { type Decoded, MAX_DEPTH, type TextCodec } from "./codec.js";
import { findFault } from "./json-fault.js";

const READ = { recursionLimit: MAX_DEPTH } as const;
const MAX_UINT32 = 0xffff_ffff;

/** A codec of its own: it remembers the text of the events it has seen for as long as others hold them. */
export function createJsonCodec(): TextCodec {
  // Batches for live, lagging and resuming sessions overlap: an event's text is made once.
  const texts = new WeakMap<EncodedEvent, string>();

  function textOf(event: EncodedEvent): string {
    let text = texts.get(event);
    if (text === undefined) {
      text = JSON.stringify(toJson(RoomEventSchema, event.event));
      texts.set(event, text);
    }
    return text;
  }

  return {
    subprotocol: "trunkline.v1.json",
    wire: "text",
    decode,
    frame: (frame) => JSON.stringify(toJson(ServerFrameSchema, frame)),
    roomEvents: (roomId, events) =>
      `{"roomEvents":{"roomId":${JSON.stringify(roomId)},"events":[${events.map(textOf).join(",")}]}}`,
  };
}

function decode(message: string): Decoded {
  let json: unknown;
  try {
    json = JSON.parse(message);
  } catch (cause) {
    return undecodable("frame", "not JSON", cause);
  }
  if (!isJsonObject(json)) return undecodable("frame", "not a JSON object");
  try {
    return { ok: true, frame: fromJson(ClientFrameSchema, json, READ) };
  } catch (cause) {
    const fault = findFault(ClientFrameSchema, json);
    const error = new TrunklineError(ErrorCode.INVALID_ARGUMENT, `${fault.field}: ${fault.reason}`, {
      field: fault.field,
      cause,
    });
    return { ok: false, error, undecodable: false, ref: refOf(json) };
  }
}

function undecodable(field: string, reason: string, cause?: unknown): Decoded {
  const error = new TrunklineError(ErrorCode.INVALID_ARGUMENT, `${field}: ${reason}`, { field, cause });
  return { ok: false, error, undecodable: true, ref: 0 };
}

function isJsonObject(json: unknown): json is Record<string, JsonValue> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** The frame's `ref` where it is a good one, so that the refusal of the rest can answer it. */
function refOf(json: Readonly<Record<string, JsonValue>>): number {
  const ref = json.ref;
  return typeof ref === "number" && Number.isInteger(ref) && ref >= 0 && ref <= MAX_UINT32 ? ref : 0;
}
