// Histories of a room in which every promise was kept, and single changes after which one was not.

import fc from "fast-check";
import type { Acknowledged, Receiver, Refused, RoomHistory, SeenEvent } from "./history.js";

/** What becomes of one message: how its publisher came to know. */
type Fate = "acknowledged" | "asked for twice" | "refused first" | "never answered" | "refused for good";

const FATES: readonly Fate[] = [
  "acknowledged",
  "asked for twice",
  "refused first",
  "never answered",
  "refused for good",
];

interface Draw {
  readonly fates: readonly Fate[];
  readonly froms: readonly number[];
}

/** At least two messages stand, and at least one receiver has seen them all. */
export const soundHistories: fc.Arbitrary<RoomHistory> = fc
  .record<Draw>({
    fates: fc.array(fc.constantFrom(...FATES), { maxLength: 30 }),
    froms: fc.array(fc.nat({ max: 10 }), { maxLength: 3 }),
  })
  .map(historyOf);

function historyOf({ fates, froms }: Draw): RoomHistory {
  const stored: SeenEvent[] = [{ seq: 1, tag: 17, eventId: "created", clientMessageId: "", text: "" }];
  const acknowledged: Acknowledged[] = [];
  const refused: Refused[] = [];
  const published = new Set<string>();
  for (const [index, fate] of (["acknowledged", "acknowledged", ...fates] as const).entries()) {
    const key = `key-${index}`;
    published.add(key);
    if (fate === "refused for good") {
      refused.push({ clientMessageId: key, code: "ERROR_CODE_BLOCKED", retryable: false });
      continue;
    }
    const seq = stored.length + 1;
    const event = { seq, tag: seq * 17, eventId: `event-${key}`, clientMessageId: key, text: `text of ${key}` };
    stored.push(event);
    if (fate === "refused first") {
      refused.push({ clientMessageId: key, code: "ERROR_CODE_UNAVAILABLE", retryable: true });
    }
    if (fate === "never answered") continue;
    const answers = fate === "asked for twice" ? 2 : 1;
    for (let answer = 0; answer < answers; answer++) acknowledged.push(acknowledgementOf(event));
  }
  const receivers = [0, ...froms].map((from, index): Receiver => {
    const begins = Math.min(from, stored.length);
    return { name: `receiver-${index}`, from: begins, events: stored.slice(begins) };
  });
  return { stored, archived: stored, acknowledged, refused, published, receivers };
}

function acknowledgementOf({ clientMessageId, eventId, seq, tag, text }: SeenEvent): Acknowledged {
  return { clientMessageId, messageId: eventId, seq, tag, text, time: { begun: seq * 2, answered: seq * 2 + 1 } };
}

/** One promise broken, at the place that `pick` chooses. */
export type Breach = (history: RoomHistory, pick: number) => RoomHistory;

const STRANGER: SeenEvent = { seq: 0, tag: 5, eventId: "stranger", clientMessageId: "never-sent", text: "?" };

export const breaches: Readonly<Record<string, Breach>> = {
  "an acknowledged event is lost from the log, the archive and all receivers": (history, pick) => {
    const lost = chosen(history.acknowledged, pick).seq;
    const without = (events: readonly SeenEvent[]) =>
      events
        .filter(({ seq }) => seq !== lost)
        .map((event) => (event.seq > lost ? { ...event, seq: event.seq - 1 } : event));
    return everywhere(history, without);
  },
  "an event is lost from the archive": (history, pick) => ({
    ...history,
    archived: without(history.stored, chosen(history.stored, pick)),
  }),
  "an event is archived twice": (history, pick) => ({
    ...history,
    archived: [...history.stored, chosen(history.stored, pick)],
  }),
  "an event is archived with another text": (history, pick) => {
    const changed = chosen(history.stored, pick);
    return {
      ...history,
      archived: history.stored.map((event) => (event === changed ? { ...event, text: "!" } : event)),
    };
  },
  "a message is in the log twice, and everybody sees so": (history, pick) => {
    const twice = chosen(history.stored.slice(1), pick);
    return everywhere(history, (events) => [...events, { ...twice, seq: history.stored.length + 1 }]);
  },
  "what nobody asked for is in the log, and everybody sees it": (history) =>
    everywhere(history, (events) => [...events, { ...STRANGER, seq: history.stored.length + 1 }]),
  "a receiver is handed what is not in the log": (history) =>
    received(history, (events) => [...events, { ...STRANGER, seq: history.stored.length + 1 }]),
  "a receiver is handed another event in the place of one": (history, pick) =>
    received(history, (events) => {
      const replaced = chosen(events, pick);
      return events.map((event) => (event === replaced ? { ...STRANGER, seq: event.seq } : event));
    }),
  "a receiver misses an event": (history, pick) => received(history, (events) => without(events, chosen(events, pick))),
  "a receiver is handed an event twice": (history, pick) =>
    received(history, (events) => {
      const twice = chosen(events, pick);
      return events.flatMap((event) => (event === twice ? [event, event] : [event]));
    }),
  "a receiver is handed an event again, later": (history, pick) =>
    received(history, (events) => [...events, chosen(events, pick)]),
  "a receiver is handed two events in the wrong order": (history, pick) =>
    received(history, (events) => {
      const at = pick % (events.length - 1);
      return events.toSpliced(at, 2, ...events.slice(at, at + 2).reverse());
    }),
  "two messages of the log have changed places, for one receiver alone": (history, pick) =>
    received(history, (events) => {
      const at = pick % (events.length - 1);
      const [one, other] = [events[at], events[at + 1]];
      if (one === undefined || other === undefined) throw new Error("fewer than two events");
      return events.toSpliced(at, 2, { ...other, seq: one.seq }, { ...one, seq: other.seq });
    }),
  "an acknowledgement names another place": (history, pick) =>
    answered(history, pick, (ack) => ({ ...ack, seq: ack.seq === 2 ? 3 : 2 })),
  "an acknowledgement names another tag": (history, pick) =>
    answered(history, pick, (ack) => ({ ...ack, tag: ack.tag + 1 })),
  "an acknowledgement names another event": (history, pick) =>
    answered(history, pick, (ack) => ({ ...ack, messageId: "event-other" })),
  "what was acknowledged says something else": (history, pick) =>
    answered(history, pick, (ack) => ({ ...ack, text: `not ${ack.text}` })),
  "a message is acknowledged that is beyond the log": (history) => {
    const stranger = acknowledgementOf({ ...STRANGER, seq: history.stored.length + 1 });
    return { ...history, acknowledged: [...history.acknowledged, stranger] };
  },
  "a message stands before one that was acknowledged earlier": (history) => {
    const last = Math.max(...history.acknowledged.map(({ seq }) => seq));
    const acknowledged = history.acknowledged.map((ack) =>
      ack.seq === last ? { ...ack, time: { begun: -2, answered: -1 } } : ack,
    );
    return { ...history, acknowledged };
  },
  "what stands was refused for good": (history, pick) => {
    const { clientMessageId } = chosen(history.acknowledged, pick);
    const refused = { clientMessageId, code: "ERROR_CODE_PERMISSION_DENIED", retryable: false };
    return { ...history, refused: [...(history.refused ?? []), refused] };
  },
  "a refusal does not say what it is": (history) => {
    const refused = { clientMessageId: "key-0", code: "", retryable: true };
    return { ...history, refused: [...(history.refused ?? []), refused] };
  },
};

function chosen<T>(items: readonly T[], pick: number): T {
  const item = items[pick % items.length];
  if (item === undefined) throw new Error("nothing to choose from");
  return item;
}

function without(events: readonly SeenEvent[], gone: SeenEvent): readonly SeenEvent[] {
  return events.filter((event) => event !== gone);
}

/** The log, the archive and the receivers agree in it. */
function everywhere(history: RoomHistory, change: (events: readonly SeenEvent[]) => readonly SeenEvent[]): RoomHistory {
  const stored = change(history.stored);
  const receivers = history.receivers.map(({ name, from, events }) => ({
    name,
    from,
    events: from === 0 ? change(events) : stored.filter(({ seq }) => seq > from),
  }));
  return { ...history, stored, archived: stored, receivers };
}

/** The first receiver, who has seen all. */
function received(history: RoomHistory, change: (events: readonly SeenEvent[]) => readonly SeenEvent[]): RoomHistory {
  const [first, ...others] = history.receivers;
  if (first === undefined) throw new Error("no receiver");
  return { ...history, receivers: [{ ...first, events: change(first.events) }, ...others] };
}

function answered(history: RoomHistory, pick: number, change: (ack: Acknowledged) => Acknowledged): RoomHistory {
  const picked = chosen(history.acknowledged, pick);
  return { ...history, acknowledged: history.acknowledged.map((ack) => (ack === picked ? change(ack) : ack)) };
}
