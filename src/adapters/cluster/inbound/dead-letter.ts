// A record that is given up, as it came and with the reason.

import { ErrorCode, type TrunklineError } from "../../../ports/error.js";
import type { KafkaRecord, RecordHeader } from "../kafka/record-batch.js";
import { headerText } from "../message-headers.js";
import { type InboundRecord, KEY_HEADER } from "./record.js";

/** Headers that begin so are not the sender's. */
const OURS = "trunkline-";
/** What stands in a name for bytes that are no UTF-8. */
const NO_TEXT = "\ufffd";
/** What is kept of a reason, in characters. */
const MAX_REASON = 1_000;
/** What a dead letter is longer than its record, in bytes, at most: room for a reason of which each character takes four. */
export const MAX_ADDED_BYTES = 16 * 1024;

export interface DeadLetter {
  readonly record: InboundRecord;
  readonly topic: string;
  /** The key under which its command was tried. */
  readonly key: string;
  readonly error: TrunklineError;
  readonly nowMs: number;
}

/** What stands on the topic of dead letters. */
export function deadLetter({ record, topic, key, error, nowMs }: DeadLetter): KafkaRecord {
  const { code, field, message } = error;
  const added = {
    "error-code": ErrorCode[code],
    "error-field": field.slice(0, MAX_REASON),
    "error-reason": message.slice(0, MAX_REASON),
    "source-topic": topic,
    "source-partition": `${record.partition}`,
    "source-offset": `${record.offset}`,
    "failed-at": new Date(nowMs).toISOString(),
  };
  const headers: RecordHeader[] = record.headers
    // A name that was no text is longer now, and nobody would know it again.
    .filter(({ name }) => !name.startsWith(OURS) && !name.includes(NO_TEXT))
    .map(({ name, value }) => ({ name: headerText(name), value: value.toString("latin1") }));
  for (const [name, value] of Object.entries(added)) headers.push({ name: OURS + name, value: headerText(value) });
  headers.push({ name: KEY_HEADER, value: headerText(key.slice(0, MAX_REASON)) });
  return { key: record.key?.toString("latin1"), value: record.value ?? undefined, headers };
}
