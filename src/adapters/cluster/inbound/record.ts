// A record of the inbound topic, and the command that it holds.

import { fromBinary, fromJson, type JsonValue } from "@bufbuild/protobuf";
import type { KafkaMessage } from "kafkajs";
import { type InboundCommand, InboundCommandSchema } from "../../../gen/trunkline/v1/inbound_pb.js";
import { ErrorCode, TrunklineError } from "../../../ports/error.js";
import { CONTENT_TYPE, JSON_TYPE, PROTOBUF } from "../message-headers.js";

export interface InboundRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  /** Null: it has none. */
  readonly value: Buffer | null;
  /** In the order they came, names that repeat included. */
  readonly headers: readonly InboundHeader[];
}

export interface InboundHeader {
  readonly name: string;
  readonly value: Buffer;
}

/** The key of the command, where it is to have another than its place gives it: of a dead letter that is sent again. */
export const KEY_HEADER = "trunkline-key";

export function inboundRecord(partition: number, { offset, key, value, headers = {} }: KafkaMessage): InboundRecord {
  const list = Object.entries(headers).flatMap(([name, values]) =>
    // A header may have no value, also one of several of a name: kafkajs gives null, of which its types say nothing.
    [values].flat().map((each) => ({ name, value: Buffer.from(each ?? "") })),
  );
  return { partition, offset: Number(offset), key, value, headers: list };
}

/** What a header says, the first of its name; undefined: there is none. */
export function headerOf({ headers }: InboundRecord, wanted: string): string | undefined {
  return headers.find(({ name }) => name === wanted)?.value.toString("utf8");
}

/** The key of a command that has none: the same each time the record is read, and no other record's of any topic. */
export function keyOf(record: InboundRecord, topicId: string): string {
  return headerOf(record, KEY_HEADER) ?? `kafka:${topicId}:${record.partition}:${record.offset}`;
}

/** Throws INVALID_ARGUMENT or TOO_LARGE that names what cannot be read. */
export function commandOf(record: InboundRecord, maxBytes: number): InboundCommand {
  const { value } = record;
  const type = contentType(record);
  if (value === null) throw TrunklineError.invalid("value", "is missing");
  if (value.length > maxBytes) throw TrunklineError.tooLarge("value", maxBytes);
  try {
    return type === PROTOBUF ? fromBinary(InboundCommandSchema, value) : fromJson(InboundCommandSchema, json(value));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "";
    const message = `value: is no trunkline.v1.InboundCommand in ${type}: ${reason}`;
    throw new TrunklineError(ErrorCode.INVALID_ARGUMENT, message, { field: "value", cause });
  }
}

function contentType(record: InboundRecord): typeof PROTOBUF | typeof JSON_TYPE {
  const [named = ""] = (headerOf(record, CONTENT_TYPE) ?? "").toLowerCase().split(";");
  const type = named.trim();
  if (type === PROTOBUF || type === JSON_TYPE) return type;
  throw TrunklineError.invalid(CONTENT_TYPE, `must be ${PROTOBUF} or ${JSON_TYPE}`);
}

function json(value: Buffer): JsonValue {
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value));
}
