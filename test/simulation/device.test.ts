// The simulated client does what the contract asks of one, also where a server refuses it.

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { nextTag } from "../../src/core/room/position.js";
import { ErrorCode } from "../../src/gen/trunkline/v1/error_pb.js";
import { Role, RoomEventSchema, RoomStatus } from "../../src/gen/trunkline/v1/message_pb.js";
import { type ClientFrame, ServerFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { Chance } from "./chance.js";
import { Checker, type Place } from "./checker.js";
import { Coverage } from "./coverage.js";
import { Device } from "./device.js";
import { Link } from "./link.js";
import { MarkerRecords } from "./marker-records.js";
import { SimulatedTime } from "./time.js";
import { Trace } from "./trace.js";

type Answer = NonNullable<MessageInitShape<typeof ServerFrameSchema>["frame"]>;

type Kind = NonNullable<MessageInitShape<typeof RoomEventSchema>["kind"]>;

const TOP = { seq: 1, tag: nextTag(0, "created") };
const SUBSCRIBED: Answer = {
  case: "subscribed",
  value: { roomId: "r", top: TOP, outcome: { case: "caughtUp", value: {} } },
};

function updated(version: number): Kind {
  return { case: "roomUpdated", value: { room: { version } } };
}

function refusal(code: ErrorCode, retryable: boolean): Answer {
  return { case: "error", value: { code, message: "refused", retryable, retryAfterMs: retryable ? 100 : 0 } };
}

/** A device of a member of room r, and a server that the test speaks for. */
function useDevice() {
  const time = new SimulatedTime();
  const checker = new Checker();
  const members = [{ userId: "u", role: Role.OWNER }];
  const log = (eventId: string, position: Place, kind: Kind): void =>
    checker.logged("t/r", create(RoomEventSchema, { eventId, position, actor: { userId: "u" }, kind }));
  log("created", TOP, { case: "roomCreated", value: { room: { status: RoomStatus.ACTIVE, version: 1 }, members } });
  const sent: ClientFrame[] = [];
  const violated = (cause: unknown): void => expect.fail(String(cause));
  const device = new Device({
    tenantId: "t",
    userId: "u",
    deviceId: "d",
    chance: new Chance(1),
    checker,
    markers: new MarkerRecords(checker),
    coverage: new Coverage(),
    trace: new Trace(),
    clock: time.clock(),
    eventId: (roomId, userId, key) => `${roomId}/${userId}/${key}`,
    token: () => "token",
    begins: () => {},
    connect: () => {
      const ignore = (): void => {};
      const link = new Link({
        name: "link",
        tenantId: "t",
        userId: "u",
        checker,
        window: Number.POSITIVE_INFINITY,
        absorb: ignore,
        arrived: ignore,
        refused: ignore,
        now: () => 0,
        shown: ignore,
        stale: ignore,
        marked: ignore,
        violated,
      });
      const receive = (frame: ClientFrame): number => sent.push(frame);
      link.connection = { receive, malformed: ignore, drained: ignore, finish: ignore, leave: ignore, gone: ignore };
      return link;
    },
  });
  const push = (frame: Answer, replyTo = 0): void => {
    const { link } = device;
    link?.write([toBinary(ServerFrameSchema, create(ServerFrameSchema, { replyTo, frame }))]);
    for (const arrival of link?.take(1) ?? []) device.arrive(arrival);
  };
  /** The server's answer to the last frame. */
  const answer = (frame: Answer): void => push(frame, sent.at(-1)?.ref);
  device.connect();
  answer({ case: "welcome", value: { inboxRoomId: "~i.u" } });
  device.subscribe("r", false);
  answer(SUBSCRIBED);
  return {
    device,
    answer,
    push,
    log,
    /** The frames sent from now on, by kind. */
    sentFromNow: () => {
      const first = sent.length;
      return () => sent.slice(first).map(({ frame }) => frame.case);
    },
    pass: (milliseconds: number) => {
      const until = time.nowMs + milliseconds;
      while (time.step(until)) {}
    },
  };
}

it("asks again to be unsubscribed, where that was refused for now", () => {
  const { device, answer, sentFromNow, pass } = useDevice();
  const sent = sentFromNow();
  device.unsubscribe("r");
  answer(refusal(ErrorCode.LIMIT_EXCEEDED, true));
  pass(1_000);
  expect(sent()).toEqual(["unsubscribe", "unsubscribe"]);
});

it("does not end a subscription that was asked for since", () => {
  const { device, answer, sentFromNow, pass } = useDevice();
  device.unsubscribe("r");
  answer(refusal(ErrorCode.LIMIT_EXCEEDED, true));
  device.subscribe("r", false);
  answer(SUBSCRIBED);
  const sent = sentFromNow();
  pass(1_000);
  expect(sent()).toEqual([]);
});

it("goes on with the subscription it has, where that could not be moved", () => {
  const { device, answer } = useDevice();
  device.subscribe("r", false);
  answer(refusal(ErrorCode.NOT_A_MEMBER, false));
  expect(device.rooms.get("r")?.state).toBe("live");
});

it("takes nothing of a subscription that it had given up, until another has begun", () => {
  const { device, answer, push, log } = useDevice();
  let tag = TOP.tag;
  const happens = (seq: number): Answer => {
    tag = nextTag(tag, `e${seq}`);
    log(`e${seq}`, { seq, tag }, updated(seq));
    return {
      case: "roomEvents",
      value: { roomId: "r", events: [{ eventId: `e${seq}`, position: { seq, tag }, kind: updated(seq) }] },
    };
  };
  device.unsubscribe("r");
  answer(refusal(ErrorCode.LIMIT_EXCEEDED, true));
  push(happens(2));
  device.subscribe("r", false);
  push(happens(3));
  expect(device.rooms.get("r")?.position?.seq).toBe(1);
});

it("ends a subscription whose gap it may not read", () => {
  const { device, answer, sentFromNow, log } = useDevice();
  const top = { seq: 2, tag: nextTag(TOP.tag, "updated") };
  log("updated", top, { case: "roomUpdated", value: { room: { version: 2 } } });
  device.subscribe("r", false);
  const sent = sentFromNow();
  const gap = { fromSeq: 2, toSeq: 2 };
  answer({ case: "subscribed", value: { roomId: "r", top, outcome: { case: "gap", value: gap } } });
  answer(refusal(ErrorCode.NOT_A_MEMBER, false));
  expect(sent()).toEqual(["call", "unsubscribe"]);
});
