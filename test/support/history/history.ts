// Judges what happened to a room: what its publishers were told, what the log and the archive hold, what each receiver was handed.
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

/** A publish that was accepted. One that was asked for again may have been, more than once. */
export interface Acknowledged {
  readonly clientMessageId: string;
  readonly messageId: string;
  readonly seq: number;
  readonly tag: number;
  readonly text: string;
  /** When it was first asked for and when it was answered, by one clock for all publishers; absent: not known. */
  readonly time?: { readonly begun: number; readonly answered: number };
}

/** A publish that was not accepted; asked for again under its key, it may have been since. */
export interface Refused {
  readonly clientMessageId: string;
  /** The name of the error's code, as the contract has it. */
  readonly code: string;
  /** It may be asked for again. */
  readonly retryable: boolean;
}

export interface Receiver {
  readonly name: string;
  /** The seq after which it began to listen. */
  readonly from: number;
  /** What its application was handed, in that order. */
  readonly events: readonly SeenEvent[];
}

export interface RoomHistory {
  /** Everything the log holds, by a full read after the last change. */
  readonly stored: readonly SeenEvent[];
  /** The same of the archive, once it has all; absent: it is the log. */
  readonly archived?: readonly SeenEvent[];
  readonly acknowledged: readonly Acknowledged[];
  readonly refused?: readonly Refused[];
  /** Every key that anybody ever published under, with or without an answer. */
  readonly published: ReadonlySet<string>;
  readonly receivers: readonly Receiver[];
}

export type FindingKind =
  /** A seq is missing. */
  | "hole"
  /** Acknowledged, and not there. */
  | "lost"
  | "doubled"
  /** One event, told in two ways. */
  | "different"
  /** There, and nobody asked for it; or handed out, and not there. */
  | "phantom"
  | "reordered"
  /** A receiver did not get to the end. */
  | "incomplete"
  /** One seq was said to be that of two events. */
  | "reused"
  /** Refused for good, and there. */
  | "taken up"
  /** A refusal that does not say what it is. */
  | "untyped"
  /** The archive does not hold what the log holds. */
  | "not archived";

export interface Finding {
  readonly kind: FindingKind;
  /** Where it shows; 0: nowhere in particular. */
  readonly seq: number;
  readonly what: string;
}

export function checkHistory(history: RoomHistory): readonly Finding[] {
  return [
    ...checkStored(history.stored, history.published),
    ...checkArchived(history.stored, history.archived ?? history.stored),
    ...checkAcknowledged(history.stored, history.acknowledged),
    ...checkRefused(history.stored, history.refused ?? []),
    ...checkPlaces(history),
    ...checkTimes(history.acknowledged),
    ...history.receivers.flatMap((receiver) => checkReceiver(history.stored, receiver)),
  ];
}

/** The store itself: dense from 1, each key once, nothing that nobody sent. */
function checkStored(stored: readonly SeenEvent[], published: ReadonlySet<string>): readonly Finding[] {
  const findings: Finding[] = [];
  const seqOfKey = new Map<string, number>();
  for (const [index, event] of stored.entries()) {
    if (event.seq !== index + 1) {
      findings.push({
        kind: "hole",
        seq: event.seq,
        what: `the store has seq ${event.seq} where ${index + 1} belongs`,
      });
      break;
    }
    if (event.clientMessageId === "") continue;
    const first = seqOfKey.get(event.clientMessageId);
    if (first !== undefined) {
      findings.push({
        kind: "doubled",
        seq: event.seq,
        what: `${event.clientMessageId} is stored at ${first} and ${event.seq}`,
      });
    }
    seqOfKey.set(event.clientMessageId, event.seq);
    if (!published.has(event.clientMessageId)) {
      findings.push({
        kind: "phantom",
        seq: event.seq,
        what: `${event.clientMessageId} at ${event.seq} was never published`,
      });
    }
  }
  return findings;
}

/** The archive, event by event. */
function checkArchived(stored: readonly SeenEvent[], archived: readonly SeenEvent[]): readonly Finding[] {
  const findings: Finding[] = [];
  for (let index = 0; index < Math.max(stored.length, archived.length); index++) {
    const [inLog, inArchive] = [stored[index], archived[index]];
    if (inLog !== undefined && inArchive !== undefined && same(inLog, inArchive)) continue;
    const what = `the log has ${told(inLog)} and the archive ${told(inArchive)} as event ${index + 1}`;
    findings.push({ kind: "not archived", seq: index + 1, what });
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
    if (event === undefined) findings.push({ kind: "lost", seq: ack.seq, what: named });
    else if (event.clientMessageId !== ack.clientMessageId) {
      findings.push({
        kind: "lost",
        seq: ack.seq,
        what: `${named}: ${event.clientMessageId || event.eventId} stands there`,
      });
    } else if (event.tag !== ack.tag || event.eventId !== ack.messageId || event.text !== ack.text) {
      findings.push({ kind: "different", seq: ack.seq, what: `${named}, is stored with another tag, id or text` });
    }
  }
  return findings;
}

/** A refusal says what it is, and one for good is one. */
function checkRefused(stored: readonly SeenEvent[], refused: readonly Refused[]): readonly Finding[] {
  const findings: Finding[] = [];
  const byKey = new Map(stored.map((event) => [event.clientMessageId, event]));
  for (const { clientMessageId, code, retryable } of refused) {
    if (!/^ERROR_CODE_[A-Z_]+$/.test(code) || code === "ERROR_CODE_UNSPECIFIED") {
      findings.push({ kind: "untyped", seq: 0, what: `${clientMessageId} was refused with "${code}"` });
    }
    const event = byKey.get(clientMessageId);
    if (retryable || event === undefined) continue;
    const what = `${clientMessageId} was refused for good with ${code} and stands at ${event.seq}`;
    findings.push({ kind: "taken up", seq: event.seq, what });
  }
  return findings;
}

/** Nobody was told of a place what somebody else was told otherwise, whatever the log came to hold. */
function checkPlaces({ acknowledged, receivers }: RoomHistory): readonly Finding[] {
  const findings: Finding[] = [];
  const tellers = new Map<number, { readonly eventId: string; readonly by: string }>();
  const take = (seq: number, eventId: string, by: string): void => {
    const before = tellers.get(seq);
    if (before === undefined) tellers.set(seq, { eventId, by });
    else if (before.eventId !== eventId) {
      findings.push({
        kind: "reused",
        seq,
        what: `${seq} is ${before.eventId} to ${before.by} and ${eventId} to ${by}`,
      });
    }
  };
  for (const { seq, messageId, clientMessageId } of acknowledged) take(seq, messageId, clientMessageId);
  for (const { name, events } of receivers) for (const { seq, eventId } of events) take(seq, eventId, name);
  return findings;
}

/** What was asked for after something had been acknowledged stands after it. */
function checkTimes(acknowledged: readonly Acknowledged[]): readonly Finding[] {
  const findings: Finding[] = [];
  const timed = acknowledged.flatMap(({ clientMessageId, seq, time }) =>
    time === undefined ? [] : [{ clientMessageId, seq, ...time }],
  );
  const answers = timed.toSorted((one, other) => one.answered - other.answered);
  let next = 0;
  let last: (typeof timed)[number] | undefined;
  for (const begun of timed.toSorted((one, other) => one.begun - other.begun)) {
    for (let answer = answers[next]; answer !== undefined && answer.answered < begun.begun; answer = answers[++next]) {
      if (last === undefined || answer.seq > last.seq) last = answer;
    }
    // Answered again, it is where it was.
    if (last === undefined || last.seq <= begun.seq) continue;
    const what = `${begun.clientMessageId} stands at ${begun.seq}, and was asked for when ${last.clientMessageId} was at ${last.seq}`;
    findings.push({ kind: "reordered", seq: begun.seq, what });
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
    if (original === undefined)
      findings.push({ kind: "phantom", seq: event.seq, what: `${named}, which is not in the store` });
    else if (!same(original, event))
      findings.push({ kind: "different", seq: event.seq, what: `${named}, and it differs from the stored one` });
    if (seen.has(event.seq)) findings.push({ kind: "doubled", seq: event.seq, what: `${named} twice` });
    else if (event.seq < last) findings.push({ kind: "reordered", seq: event.seq, what: `${named} after ${last}` });
    else if (event.seq > last + 1) findings.push({ kind: "hole", seq: event.seq, what: `${named} after ${last}` });
    seen.add(event.seq);
    last = Math.max(last, event.seq);
  }
  const top = stored.at(-1)?.seq ?? 0;
  if (last < top)
    findings.push({ kind: "incomplete", seq: last, what: `${receiver.name} stopped at ${last} of ${top}` });
  return findings;
}

function told(event: SeenEvent | undefined): string {
  return event === undefined ? "nothing" : `${event.seq}/${event.tag} ${event.clientMessageId || event.eventId}`;
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
