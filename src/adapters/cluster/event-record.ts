// An event as a record of the topic, and the rule that says which records count.

import { EncodedEvent } from "../../ports/encoded-event.js";
import type { LogRecord, NewRecord } from "../../ports/event-log.js";
import { roomRef } from "../../ports/room-ref.js";
import type { KafkaRecord, RecordHeader, StoredRecord } from "./kafka/record-batch.js";

/** The offset that a record's batch was built for, in decimal digits. */
const AT = "at";
/** A record's place in its batch, from 0, in decimal digits. */
const INDEX = "index";
/** Who opens the shard. A record with it is no event. */
const BARRIER = "barrier";

/** The records of a batch that is built for offset `at`. */
export function eventRecords(records: readonly NewRecord[], at: number): readonly KafkaRecord[] {
  const built: RecordHeader = { name: AT, value: `${at}` };
  return records.map(({ room, event }, index) => ({
    key: room.key,
    value: event.bytes,
    headers: [built, { name: INDEX, value: `${index}` }],
  }));
}

/** A record that takes an offset, so that whatever was built for that offset and comes later is void. */
export function barrierRecord(by: string): KafkaRecord {
  return { key: undefined, value: undefined, headers: [{ name: BARRIER, value: by }] };
}

/** Whether a record is an event of the log: one at another offset than it was built for is void, for every reader. */
export function counts({ offset, headers }: StoredRecord): boolean {
  const at = numberIn(headers, AT);
  const index = numberIn(headers, INDEX);
  return at !== undefined && index !== undefined && at + index === offset;
}

/** The event of a record that counts. Throws where it is none. The answer's bytes are its own. */
export function readEventRecord({ offset, key = "", value }: StoredRecord): LogRecord {
  const slash = key.indexOf("/");
  if (slash < 0 || value === undefined) throw new Error(`the record at offset ${offset} is no event`);
  const room = roomRef(key.slice(0, slash), key.slice(slash + 1));
  return { offset, room, event: EncodedEvent.decode(new Uint8Array(value)) };
}

function numberIn(headers: readonly RecordHeader[], wanted: string): number | undefined {
  const value = headers.find(({ name }) => name === wanted)?.value;
  return value !== undefined && /^\d{1,16}$/.test(value) ? Number(value) : undefined;
}
