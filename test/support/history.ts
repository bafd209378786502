// Judges what happened to a room: what was acknowledged, what the store holds, what each receiver was given.
//
// Pure: no I/O, no clock. An empty list of findings means the promises held.

/** What makes an event itself: where it stands, and what it says. */
export interface SeenEvent {
  readonly seq: number;
  readonly tag: number;
  readonly eventId: string;
  /** The key its sender gave it; empty for events that are no messages. */
  readonly clientMessageId: string;
  readonly text: string;
}

/** A publish that was answered. */
export interface Acknowledged {
  readonly clientMessageId: string;
  readonly messageId: string;
  readonly seq: number;
  readonly tag: number;
  readonly text: string;
}

export interface Receiver {
  readonly name: string;
  /** The seq after which it began to listen. */
  readonly from: number;
  /** What its application was handed, in that order. */
  readonly events: readonly SeenEvent[];
}

export interface RoomHistory {
  /** Everything the store holds, by a full read after the last change. */
  readonly stored: readonly SeenEvent[];
  readonly acknowledged: readonly Acknowledged[];
  /** Every key that anybody ever published under. */
  readonly published: ReadonlySet<string>;
  readonly receivers: readonly Receiver[];
}

export type FindingKind = "hole" | "lost" | "doubled" | "different" | "phantom" | "reordered" | "incomplete";

export interface Finding {
  readonly kind: FindingKind;
  readonly what: string;
}

export function checkHistory(history: RoomHistory): readonly Finding[] {
  return [
    ...checkStored(history.stored, history.published),
    ...checkAcknowledged(history.stored, history.acknowledged),
    ...history.receivers.flatMap((receiver) => checkReceiver(history.stored, receiver)),
  ];
}

/** The store itself: dense from 1, each key once, nothing that nobody sent. */
function checkStored(stored: readonly SeenEvent[], published: ReadonlySet<string>): readonly Finding[] {
  const findings: Finding[] = [];
  const seqOfKey = new Map<string, number>();
  for (const [index, event] of stored.entries()) {
    if (event.seq !== index + 1) {
      findings.push({ kind: "hole", what: `the store has seq ${event.seq} where ${index + 1} belongs` });
      break;
    }
    if (event.clientMessageId === "") continue;
    const first = seqOfKey.get(event.clientMessageId);
    if (first !== undefined) {
      findings.push({ kind: "doubled", what: `${event.clientMessageId} is stored at ${first} and ${event.seq}` });
    }
    seqOfKey.set(event.clientMessageId, event.seq);
    if (!published.has(event.clientMessageId)) {
      findings.push({ kind: "phantom", what: `${event.clientMessageId} at ${event.seq} was never published` });
    }
  }
  return findings;
}

/** What was acknowledged stands where the acknowledgement said, once, and says what was sent. */
function checkAcknowledged(stored: readonly SeenEvent[], acknowledged: readonly Acknowledged[]): readonly Finding[] {
  const findings: Finding[] = [];
  const bySeq = new Map(stored.map((event) => [event.seq, event]));
  for (const ack of acknowledged) {
    const event = bySeq.get(ack.seq);
    const named = `${ack.clientMessageId}, acknowledged at ${ack.seq}`;
    if (event === undefined) findings.push({ kind: "lost", what: named });
    else if (event.clientMessageId !== ack.clientMessageId) {
      findings.push({ kind: "lost", what: `${named}: ${event.clientMessageId || event.eventId} stands there` });
    } else if (event.tag !== ack.tag || event.eventId !== ack.messageId || event.text !== ack.text) {
      findings.push({ kind: "different", what: `${named}, is stored with another tag, id or text` });
    }
  }
  return findings;
}

/** A receiver was handed exactly what is stored after where it began, in order, up to the end. */
function checkReceiver(stored: readonly SeenEvent[], receiver: Receiver): readonly Finding[] {
  const findings: Finding[] = [];
  const bySeq = new Map(stored.map((event) => [event.seq, event]));
  const seen = new Set<number>();
  let last = receiver.from;
  for (const event of receiver.events) {
    const named = `${receiver.name} was handed ${event.seq}`;
    const original = bySeq.get(event.seq);
    if (original === undefined) findings.push({ kind: "phantom", what: `${named}, which is not in the store` });
    else if (!same(original, event))
      findings.push({ kind: "different", what: `${named}, and it differs from the stored one` });
    if (seen.has(event.seq)) findings.push({ kind: "doubled", what: `${named} twice` });
    else if (event.seq < last) findings.push({ kind: "reordered", what: `${named} after ${last}` });
    else if (event.seq > last + 1) findings.push({ kind: "hole", what: `${named} after ${last}` });
    seen.add(event.seq);
    last = Math.max(last, event.seq);
  }
  const top = stored.at(-1)?.seq ?? 0;
  if (last < top) findings.push({ kind: "incomplete", what: `${receiver.name} stopped at ${last} of ${top}` });
  return findings;
}

function same(one: SeenEvent, other: SeenEvent): boolean {
  return (
    one.seq === other.seq &&
    one.tag === other.tag &&
    one.eventId === other.eventId &&
    one.clientMessageId === other.clientMessageId &&
    one.text === other.text
  );
}
