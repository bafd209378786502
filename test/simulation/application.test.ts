// What comes of an application's answers can be found wrong.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, test } from "vitest";
import { nextTag } from "../../src/core/room/position.js";
import {
  ActorSchema,
  MessageCreatedSchema,
  Permission,
  Role,
  RoomEventSchema,
  RoomKind,
  RoomStatus,
} from "../../src/gen/trunkline/v1/message_pb.js";
import { Application } from "./application.js";
import { Chance } from "./chance.js";
import { Checker } from "./checker.js";
import { Coverage } from "./coverage.js";
import { Gates } from "./gates.js";
import { FAIR } from "./ports.js";
import { SimulatedTime } from "./time.js";

type KindInit = NonNullable<MessageInitShape<typeof RoomEventSchema>["kind"]>;

const ROOM = "globex/r";

/** A channel of anna's, and an application that keeps who is in it. */
function useApplication() {
  const time = new SimulatedTime();
  const clock = time.clock();
  const checker = new Checker();
  const chance = new Chance(1);
  const conditions = { weather: { ...FAIR }, chance, gates: new Gates(chance), coverage: new Coverage() };
  const application = new Application({ checker, eventId: (...of) => of.join("/"), trusted: new Set() });
  const log = (eventId: string, kind: KindInit, userId: string): void => {
    const room = checker.room(ROOM);
    const position = { seq: room.top + 1, tag: nextTag(room.tag, eventId) };
    const createdAt = timestampFromMs(clock.now());
    const event = create(RoomEventSchema, { eventId, position, createdAt, actor: { userId }, kind });
    application.logged(room, event);
    checker.logged(ROOM, event);
  };
  const room = { kind: RoomKind.CHANNEL, status: RoomStatus.ACTIVE, version: 1 };
  log("made", { case: "roomCreated", value: { room, members: [{ userId: "anna", role: Role.OWNER }] } }, "anna");
  return {
    application,
    checker,
    time,
    clock,
    log,
    /** What the application makes of a text; undefined: it refuses it. */
    approve: async (key: string, text: string): Promise<string | undefined> => {
      const body = { kind: { case: "text" as const, value: text } };
      const verdict = await application.publishHook(conditions, clock).beforePublish({
        tenantId: "globex",
        roomId: "r",
        roomKind: RoomKind.CHANNEL,
        sender: create(ActorSchema, { userId: "anna" }),
        key,
        message: create(MessageCreatedSchema, { body }),
        editedMessageId: "",
      });
      if (verdict.decision === "refuse") return undefined;
      if (verdict.decision === "allow") return text;
      return verdict.body?.kind.case === "text" ? verdict.body.kind.value : "";
    },
    authorize: (userId: string, permission: Permission) =>
      application.accessHook(conditions, clock).authorize({ tenantId: "globex", roomId: "r", userId, permission }),
  };
}

function said(text: string, messageIndex: number): KindInit {
  return { case: "messageCreated", value: { messageIndex, body: { kind: { case: "text", value: text } } } };
}

const BERT_JOINS: KindInit = { case: "memberJoined", value: { member: { userId: "bert", role: Role.MEMBER } } };

describe("where an application has a say is found out", () => {
  let world: ReturnType<typeof useApplication>;

  beforeEach(() => {
    world = useApplication();
  });

  test("what is said that it has refused, or would have otherwise", async () => {
    const { approve, log } = world;
    const verdicts = new Set<string>();
    let index = 0;
    for (let asked = 0; asked < 100; asked++) {
      const text = await approve(`k${asked}`, "hello");
      const eventId = `globex/r/anna/k${asked}`;
      if (text !== "hello") expect(() => log(eventId, said("hello", index + 1), "anna")).toThrow("has not allowed");
      if (text !== undefined) log(eventId, said(text, ++index), "anna");
      verdicts.add(text ?? "refused");
    }
    expect([...verdicts].sort()).toEqual(["hello", "hello (changed)", "refused"]);
  });

  test("what is said long after it last allowed anything to be said", async () => {
    const { approve, authorize, application, time, clock, log } = world;
    await authorize("anna", Permission.PUBLISH);
    let text: string | undefined;
    while (text === undefined) text = await approve("k", "hello");
    application.begins("globex", "globex/r/anna/k", clock.now());
    log("globex/r/anna/k", said(text, 1), "anna");
    time.step(60_000);
    text = undefined;
    while (text === undefined) text = await approve("l", "hello");
    application.begins("globex", "globex/r/anna/l", clock.now());
    expect(() => log("globex/r/anna/l", said(text, 2), "anna")).toThrow("PUBLISH was allowed until");
  });

  test("who comes in without being let in since they were last there", async () => {
    const { authorize, time, log } = world;
    expect(() => log("in", BERT_JOINS, "bert")).toThrow("bert came in");
    await authorize("bert", Permission.READ);
    log("in", BERT_JOINS, "bert");
    time.step(1);
    log("out", { case: "memberLeft", value: { userId: "bert" } }, "anna");
    expect(() => log("in again", BERT_JOINS, "bert")).toThrow("bert came in");
    await authorize("bert", Permission.READ);
    log("in again", BERT_JOINS, "bert");
  });

  test("to whom the room is shown after it was last allowed", async () => {
    const { application, authorize, clock } = world;
    expect(() => application.requireShown(ROOM, "anna", clock.now())).toThrow("shown to anna");
    await authorize("anna", Permission.READ);
    expect(() => application.requireShown(ROOM, "anna", clock.now())).not.toThrow();
    expect(() => application.requireShown(ROOM, "anna", clock.now() + 60_000)).toThrow("shown to anna");
    application.changeMind(ROOM, "anna", Permission.READ);
    expect(application.admits(ROOM, "anna")).toBe(false);
  });
});
