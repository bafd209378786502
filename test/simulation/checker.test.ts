// The checker must be able to find what it is there to find.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, test } from "vitest";
import { nextTag } from "../../src/core/room/position.js";
import {
  JoinRule,
  MessageSchema,
  Permission,
  PositionSchema,
  Role,
  type RoomEvent,
  RoomEventSchema,
  RoomKind,
  RoomStatus,
} from "../../src/gen/trunkline/v1/message_pb.js";
import { Checker, type Outcome, type Place } from "./checker.js";
import { Violation, type ViolationKind } from "./violation.js";

const ROOM = "acme/r1";

type KindInit = NonNullable<MessageInitShape<typeof RoomEventSchema>["kind"]>;

const CREATED: KindInit = {
  case: "roomCreated",
  value: {
    room: { status: RoomStatus.ACTIVE, joinRule: JoinRule.INVITE, version: 1 },
    members: [
      { userId: "anna", role: Role.OWNER },
      { userId: "bert", role: Role.MEMBER },
    ],
  },
};

/** A history that goes on by one event at a time. */
class History {
  readonly events: RoomEvent[] = [];
  #messages = 0;

  next(kind: KindInit, actor = "anna", eventId = `event-${this.events.length + 1}`): RoomEvent {
    const tag = nextTag(this.events.at(-1)?.position?.tag ?? 0, eventId);
    const position = { seq: this.events.length + 1, tag };
    const event = create(RoomEventSchema, { eventId, position, actor: { userId: actor }, kind });
    this.events.push(event);
    return event;
  }

  message(key: string, actor = "anna", eventId?: string): RoomEvent {
    const body = { kind: { case: "text" as const, value: `text of ${key}` } };
    const value = { clientMessageId: key, messageIndex: ++this.#messages, body };
    return this.next({ case: "messageCreated", value }, actor, eventId);
  }
}

function place(event: RoomEvent | undefined): Place {
  return { seq: event?.position?.seq ?? 0, tag: event?.position?.tag ?? 0 };
}

function acknowledgement(event: RoomEvent, key: string) {
  return { roomKey: ROOM, eventId: event.eventId, clientMessageId: key, text: `text of ${key}`, ...place(event) };
}

function kindOf(action: () => void): ViolationKind | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof Violation) return error.kind;
    throw error;
  }
  return undefined;
}

let checker: Checker;
let history: History;

/** The room, with messages "a", "b" and "c" at 2, 3 and 4. */
beforeEach(() => {
  checker = new Checker();
  history = new History();
  history.next(CREATED);
  for (const key of ["a", "b", "c"]) history.message(key);
  for (const event of history.events) checker.logged(ROOM, event);
});

function at(seq: number): RoomEvent {
  const event = history.events[seq - 1];
  if (event === undefined) throw new RangeError(`no event ${seq}`);
  return event;
}

function subscribe(after: number, userId = "bert", outcome: Outcome = { is: "replaying", count: 4 - after }): void {
  checker.subscribed("link", {
    roomKey: ROOM,
    userId,
    after: after === 0 ? { seq: 0, tag: 0 } : place(at(after)),
    top: place(at(4)),
    outcome,
  });
}

function send(...seqs: readonly number[]): void {
  checker.sent("link", ROOM, seqs.map(at));
}

describe("a sound history", () => {
  test("is found sound", () => {
    subscribe(1);
    send(2, 3);
    send(4);
    checker.begins("device", ROOM, 1);
    for (const seq of [2, 3, 4]) checker.handed("device", ROOM, at(seq));
    checker.acknowledged(acknowledgement(at(3), "b"));
    checker.healed("device", ROOM, place(at(4)));
    checker.stored(ROOM, history.events);
  });
});

describe("in the log is found out", () => {
  function logged(event: RoomEvent): ViolationKind | undefined {
    return kindOf(() => checker.logged(ROOM, event));
  }

  test("a hole", () => {
    history.message("d");
    expect(logged(history.message("e"))).toBe("not as logged");
  });

  test("a tag that does not chain", () => {
    const event = history.message("d");
    event.position = { $typeName: "trunkline.v1.Position", seq: 5, tag: 1 };
    expect(logged(event)).toBe("not as logged");
  });

  test("an event stored twice", () => {
    expect(logged(history.message("b", "anna", "event-3"))).toBe("doubled");
  });

  test("a message index left out", () => {
    history.message("never stored");
    history.events.pop();
    expect(logged(history.message("d"))).toBe("not as logged");
  });

  test("a message of a stranger", () => {
    expect(logged(history.message("d", "carl"))).toBe("not permitted");
  });

  test("a message of somebody who was removed before it", () => {
    expect(logged(history.message("d", "bert"))).toBeUndefined();
    expect(logged(history.next({ case: "memberLeft", value: { userId: "bert" } }))).toBeUndefined();
    expect(logged(history.message("e", "bert"))).toBe("not permitted");
  });

  test("a removal by somebody without the right", () => {
    expect(logged(history.next({ case: "memberLeft", value: { userId: "anna" } }, "bert"))).toBe("not as logged");
    expect(logged(new History().next(CREATED))).toBe("not as logged");
  });

  test("anything after the room's deletion", () => {
    expect(logged(history.next({ case: "roomDeleted", value: {} }))).toBeUndefined();
    expect(logged(history.message("d"))).toBe("not as logged");
  });
});

describe("of answers is found out", () => {
  test("an acknowledgement of what is not in the log", () => {
    expect(kindOf(() => checker.acknowledged(acknowledgement(history.message("d"), "d")))).toBe("lost");
  });

  test("an acknowledgement at another's place", () => {
    expect(kindOf(() => checker.acknowledged({ ...acknowledgement(at(3), "c"), text: "text of c" }))).toBe("lost");
  });

  test("an acknowledgement of another text", () => {
    expect(kindOf(() => checker.acknowledged({ ...acknowledgement(at(3), "b"), text: "other" }))).toBe("different");
  });

  test("a refusal of what is in the log", () => {
    expect(kindOf(() => checker.refused(ROOM, "event-3"))).toBe("taken back");
    expect(kindOf(() => checker.refused(ROOM, "event-9"))).toBeUndefined();
  });

  test("a page with what is not in the log", () => {
    const phantom = history.message("d");
    expect(kindOf(() => checker.shown(ROOM, "bert", place(phantom), [phantom]))).toBe("phantom");
    expect(kindOf(() => checker.shown(ROOM, "bert", place(at(4)), [phantom]))).toBe("phantom");
  });

  test("a page for somebody who may not read", () => {
    expect(kindOf(() => checker.shown(ROOM, "carl", place(at(4)), []))).toBe("not permitted");
  });

  test("a history that leaves a message out or changes one", () => {
    const message = (index: number, text = `text of ${" abc"[index]}`) =>
      create(MessageSchema, {
        messageId: at(index + 1).eventId,
        messageIndex: index,
        position: at(index + 1).position,
        version: 1,
        body: { kind: { case: "text", value: text } },
      });
    const shown = (...messages: ReturnType<typeof message>[]) =>
      kindOf(() => checker.history(ROOM, "bert", place(at(4)), messages));
    expect(shown(message(1), message(2), message(3))).toBeUndefined();
    expect(shown(message(1), message(3))).toBe("hole");
    expect(shown(message(1, "other"))).toBe("different");
  });
});

describe("of messages that change is found out", () => {
  const text = (words: string) => ({ kind: { case: "text" as const, value: words } });
  /** What was refused did not happen. */
  const log = (kind: KindInit, actor = "anna") => {
    const event = history.next(kind, actor);
    const found = kindOf(() => checker.logged(ROOM, event));
    if (found !== undefined) history.events.pop();
    return found;
  };
  const edited = (version: number): KindInit => {
    return { case: "messageEdited", value: { messageId: at(2).eventId, body: text("edited"), version } };
  };
  const deleted = (expired = false, version = 2): KindInit => {
    return { case: "messageDeleted", value: { messageId: at(2).eventId, version, expired } };
  };
  const withoutWords = ({ eventId, position, actor }: RoomEvent, clientMessageId: string, messageIndex: number) => {
    const kind: KindInit = { case: "messageCreated", value: { clientMessageId, messageIndex } };
    return create(RoomEventSchema, { eventId, kind, ...(position && { position }), ...(actor && { actor }) });
  };
  const shown = (version: number, words: string, asOf: number) =>
    kindOf(() => {
      const { eventId: messageId, position } = at(2);
      const message = create(MessageSchema, { messageId, messageIndex: 1, position, version, body: text(words) });
      checker.history(ROOM, "bert", place(at(asOf)), [message]);
    });

  test("a version that does not follow, a message that is not there", () => {
    expect(log(edited(3))).toBe("not as logged");
    expect(log({ case: "messagePinned", value: { messageId: "none", pinned: true } })).toBe("not as logged");
  });

  test("a change by somebody without the right", () => {
    expect(log(edited(2), "bert")).toBe("not permitted");
    expect(log(deleted(), "bert")).toBe("not permitted");
    expect(log({ case: "messagePinned", value: { messageId: at(2).eventId, pinned: true } }, "bert")).toBe(
      "not permitted",
    );
  });

  test("a message that ends before its time", () => {
    const end = create(RoomEventSchema, { ...history.next(deleted(true)) });
    end.actor = undefined;
    expect(kindOf(() => checker.logged(ROOM, end))).toBe("not as logged");
  });

  test("a history that shows a form the message no longer has, or never had", () => {
    expect(log(edited(2))).toBeUndefined();
    expect(shown(2, "edited", 5)).toBeUndefined();
    expect(shown(1, "text of a", 4)).toBeUndefined();
    expect(shown(2, "edited", 4)).toBeUndefined();
    expect(shown(1, "text of a", 5)).toBe("different");
    expect(shown(1, "edited", 5)).toBe("different");
  });

  test("words that are still stored after the message was deleted, and none that are gone", () => {
    const created = at(2);
    expect(log(deleted())).toBeUndefined();
    const scrubbed = withoutWords(created, "a", 1);
    const stored = (second: RoomEvent) => kindOf(() => checker.stored(ROOM, [at(1), second, at(3), at(4), at(5)]));
    expect(stored(scrubbed)).toBeUndefined();
    expect(stored(created)).toBe("taken back");
    expect(kindOf(() => checker.shown(ROOM, "bert", place(at(5)), [scrubbed]))).toBeUndefined();
  });

  test("words that are gone though nobody deleted them", () => {
    const scrubbed = withoutWords(at(3), "b", 2);
    expect(kindOf(() => checker.shown(ROOM, "bert", place(at(4)), [scrubbed]))).toBe("different");
  });
});

describe("of an inbox is found out", () => {
  const INBOX = "acme/~i.bert";
  const room = { kind: RoomKind.INBOX, status: RoomStatus.ACTIVE, version: 1 };
  const opened: KindInit = { case: "roomCreated", value: { room, members: [{ userId: "bert", role: Role.READER }] } };
  const added: KindInit = { case: "addedToRoom", value: { roomId: "r1" } };

  function inbox(...kinds: readonly KindInit[]): () => ViolationKind | undefined {
    const events = new History();
    const all = [events.next(opened, ""), ...kinds.map((kind) => events.next(kind, "bert"))];
    return () => kindOf(() => all.forEach((event) => void checker.logged(INBOX, event)));
  }

  function setting(version: number, text = "x"): KindInit {
    return { case: "settingChanged", value: { key: "a", value: new TextEncoder().encode(text), version } };
  }

  test("somebody who was added and never told, or told twice", () => {
    expect(kindOf(() => checker.toldInInboxes())).toBe("lost");
    expect(inbox(added)()).toBeUndefined();
    expect(checker.toldInInboxes()).toBe(0);
    expect(logNext(added)).toBeUndefined();
    expect(kindOf(() => checker.toldInInboxes())).toBe("doubled");
  });

  test("somebody who was removed and never told, or told without having been", () => {
    const removed: KindInit = { case: "removedFromRoom", value: { roomId: "r1" } };
    expect(inbox(added)()).toBeUndefined();
    checker.logged(ROOM, history.next({ case: "memberLeft", value: { userId: "bert" } }));
    expect(kindOf(() => checker.toldInInboxes())).toBe("lost");
    expect(logNext(removed)).toBeUndefined();
    expect(checker.toldInInboxes()).toBe(0);
    expect(logNext(removed)).toBe(undefined);
    expect(kindOf(() => checker.toldInInboxes())).toBe("doubled");
  });

  test("somebody who was named and never told, or told twice", () => {
    expect(inbox(added)()).toBeUndefined();
    const mentioned = (messageId: string): KindInit => ({ case: "mentioned", value: { roomId: "r1", messageId } });
    const said = history.next({
      case: "messageCreated",
      value: {
        clientMessageId: "c",
        messageIndex: 4,
        mentions: [{ userId: "bert" }, { userId: "bert" }, { userId: "anna" }],
      },
    });
    checker.logged(ROOM, said);
    expect(kindOf(() => checker.toldInInboxes())).toBe("lost");
    expect(logNext(mentioned(said.eventId))).toBeUndefined();
    expect(checker.toldInInboxes()).toBe(1);
    expect(logNext(mentioned(said.eventId))).toBeUndefined();
    expect(kindOf(() => checker.toldInInboxes())).toBe("doubled");
  });

  test("somebody who was told of words that do not name them", () => {
    expect(inbox(added)()).toBeUndefined();
    expect(logNext({ case: "mentioned", value: { roomId: "r1", messageId: "none" } })).toBeUndefined();
    expect(kindOf(() => checker.toldInInboxes())).toBe("doubled");
  });

  test("a setting whose version does not follow, or that another has set", () => {
    expect(inbox(setting(1), setting(2), setting(0, ""), setting(1))()).toBeUndefined();
    expect(checker.room(INBOX).user?.settings.get("a")).toEqual({ value: "x", version: 1 });
    expect(logNext(setting(3))).toBe("not as logged");
    expect(logNext(setting(2), "anna")).toBe("not permitted");
  });

  test("a room shown without what was acknowledged before it was asked for", () => {
    checker.acknowledged(acknowledgement(at(3), "b"));
    const asked = checker.asked(ROOM);
    expect(kindOf(() => checker.shownTo(ROOM, "bert", place(at(2)), asked))).toBe("stale");
    expect(checker.shownTo(ROOM, "bert", place(at(3)), asked)).toBe(false);
  });

  test("the same, but not of who asked, or was answered, while two nodes had reason to believe that a room is theirs", () => {
    checker.acknowledged(acknowledgement(at(3), "b"));
    const before = checker.asked(ROOM);
    checker.inDoubt = true;
    const meanwhile = checker.asked(ROOM);
    expect(checker.shownTo(ROOM, "bert", place(at(2)), before)).toBe(true);
    expect(checker.shownTo(ROOM, "bert", place(at(2)), meanwhile)).toBe(true);
    checker.inDoubt = false;
    expect(checker.shownTo(ROOM, "bert", place(at(2)), before)).toBe(true);
    expect(checker.shownTo(ROOM, "bert", place(at(2)), meanwhile)).toBe(true);
    expect(kindOf(() => checker.shownTo(ROOM, "bert", place(at(2)), checker.asked(ROOM)))).toBe("stale");
  });

  test("an acknowledged change that is not there", () => {
    inbox(setting(1))();
    expect(kindOf(() => checker.keptForUser(INBOX, "event-2"))).toBeUndefined();
    expect(kindOf(() => checker.keptForUser(INBOX, "event-3"))).toBe("lost");
  });

  function checkedAfter(key: string, eventId: string) {
    const { top, tag } = checker.room(key);
    return create(PositionSchema, { seq: top + 1, tag: nextTag(tag, eventId) });
  }

  function logNext(kind: KindInit, actor = "bert"): ViolationKind | undefined {
    const eventId = `next-${checker.room(INBOX).top}`;
    const event = create(RoomEventSchema, {
      eventId,
      position: checkedAfter(INBOX, eventId),
      actor: { userId: actor },
      kind,
    });
    return kindOf(() => checker.logged(INBOX, event));
  }
});

describe("of a subscription is found out", () => {
  test("an outcome that skips", () => {
    expect(kindOf(() => subscribe(1, "bert", { is: "caught-up" }))).toBe("wrong outcome");
    expect(kindOf(() => subscribe(1, "bert", { is: "replaying", count: 2 }))).toBe("wrong outcome");
    expect(kindOf(() => subscribe(1, "bert", { is: "gap", from: 3, to: 4 }))).toBe("wrong outcome");
  });

  test("a reset without a reason", () => {
    for (const reason of ["beyond-end", "other-history", "expired"] as const) {
      expect(kindOf(() => subscribe(1, "bert", { is: "reset", reason }))).toBe("wrong outcome");
    }
  });

  test("a position of another history that is continued from", () => {
    const subscribed = (outcome: Outcome) => () =>
      checker.subscribed("link", {
        roomKey: ROOM,
        userId: "bert",
        after: { seq: 2, tag: 7 },
        top: place(at(4)),
        outcome,
      });
    expect(kindOf(subscribed({ is: "replaying", count: 2 }))).toBe("wrong outcome");
    expect(kindOf(subscribed({ is: "reset", reason: "other-history" }))).toBeUndefined();
  });

  test("a reader without the right", () => {
    expect(kindOf(() => subscribe(1, "carl"))).toBe("not permitted");
  });
});

describe("on the wire is found out", () => {
  test("a hole", () => {
    subscribe(1);
    expect(kindOf(() => send(2, 4))).toBe("hole");
  });

  test("an event sent twice, or in another order", () => {
    subscribe(1);
    send(2, 3);
    expect(kindOf(() => send(3))).toBe("doubled");
    expect(kindOf(() => send(2))).toBe("doubled");
  });

  test("an event that is not in the log", () => {
    subscribe(4, "bert", { is: "caught-up" });
    const phantom = history.message("d");
    expect(kindOf(() => checker.sent("link", ROOM, [phantom]))).toBe("phantom");
  });

  test("an event that says something else than the log", () => {
    subscribe(1);
    const other = new History();
    other.next(CREATED);
    expect(kindOf(() => checker.sent("link", ROOM, [other.message("x")]))).toBe("different");
  });

  test("events without a subscription, or after its end", () => {
    expect(kindOf(() => send(2))).toBe("not permitted");
    subscribe(1);
    checker.unsubscribed("link", ROOM, false);
    expect(kindOf(() => send(2))).toBe("not permitted");
  });

  test.each<readonly [string, KindInit]>([
    ["a removal", { case: "memberLeft", value: { userId: "bert" } }],
    [
      "a denial",
      {
        case: "memberChanged",
        value: { member: { userId: "bert", role: Role.MEMBER, denied: [Permission.READ] } },
      },
    ],
  ])("an event after %s", (_what, kind) => {
    subscribe(4, "bert", { is: "caught-up" });
    checker.logged(ROOM, history.next(kind));
    checker.logged(ROOM, history.message("d"));
    send(5);
    expect(kindOf(() => send(6))).toBe("not permitted");
  });

  test("a right that is said to be lost and is not", () => {
    subscribe(1);
    expect(kindOf(() => checker.unsubscribed("link", ROOM, true))).toBe("wrong outcome");
  });

  test("a reset of what is still kept", () => {
    subscribe(1);
    expect(kindOf(() => checker.resetWhileLive("link", ROOM))).toBe("wrong outcome");
    checker.purged(ROOM, 3);
    expect(kindOf(() => checker.resetWhileLive("link", ROOM))).toBeUndefined();
  });

  test("an event after a reset", () => {
    checker.purged(ROOM, 3);
    subscribe(1, "bert", { is: "reset", reason: "expired" });
    expect(kindOf(() => send(4))).toBe("not permitted");
  });
});

describe("at the application is found out", () => {
  const handed = (seq: number) => kindOf(() => checker.handed("device", ROOM, at(seq)));

  test("an event handed twice, in another order, or after a hole", () => {
    checker.begins("device", ROOM, 1);
    expect(handed(2)).toBeUndefined();
    expect(handed(2)).toBe("doubled");
    expect(handed(4)).toBe("hole");
    expect(handed(3)).toBeUndefined();
    expect(handed(2)).toBe("reordered");
  });

  test("a device that is not up to date though everything is healed", () => {
    expect(kindOf(() => checker.healed("device", ROOM, place(at(3))))).toBe("not healed");
    expect(kindOf(() => checker.healed("device", ROOM, { seq: 4, tag: 1 }))).toBe("not healed");
  });
});

describe("of the store is found out", () => {
  const stored = (...events: readonly RoomEvent[]) => kindOf(() => checker.stored(ROOM, events));

  test("an event that was logged and is gone", () => {
    expect(stored(at(1), at(2), at(3))).toBe("taken back");
    expect(stored(at(1), at(2), at(4))).toBe("taken back");
    expect(stored(at(2), at(3), at(4))).toBe("taken back");
  });

  test("nothing, where it was purged", () => {
    checker.purged(ROOM, 2);
    expect(stored(at(3), at(4))).toBeUndefined();
  });
});

describe("of a restored backup is found out", () => {
  function restore(events: readonly RoomEvent[]): void {
    checker.restored(
      events.map((event) => [ROOM, event] as const),
      new Map(),
    );
  }

  test("an acknowledged event of the backup's time that the backup lacks", () => {
    checker.acknowledged(acknowledgement(at(3), "b"));
    const other = new History();
    other.next(CREATED);
    for (const key of ["a", "x"]) other.message(key, "anna", `other-${key}`);
    expect(kindOf(() => restore(other.events))).toBe("lost");
  });

  test("nothing of what came after the backup", () => {
    checker.acknowledged(acknowledgement(at(4), "c"));
    expect(kindOf(() => restore(history.events.slice(0, 3)))).toBeUndefined();
    expect(checker.room(ROOM).top).toBe(3);
  });

  test("a receiver that is let go on from a place that no longer is", () => {
    const after = place(at(4));
    restore(history.events.slice(0, 3));
    const subscribed = (outcome: Outcome) => () =>
      checker.subscribed("link", { roomKey: ROOM, userId: "bert", after, top: place(at(3)), outcome });
    expect(kindOf(subscribed({ is: "caught-up" }))).toBe("wrong outcome");
    expect(kindOf(subscribed({ is: "reset", reason: "beyond-end" }))).toBeUndefined();
  });
});
