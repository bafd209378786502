// Receivers and publisher for Trunkline: every receiver checks that its events are dense by seq.

import { openPublisher } from "../client/publisher.js";
import { createRoom } from "../client/rooms.js";
import { openSession } from "../client/session.js";
import { createTokens } from "../client/tokens.js";
import { type Dial, dialBinary, dialGrpc, dialJson } from "../client/wire.js";
import type { TrunklineTarget } from "../target.js";
import { connectHttp2 } from "../wire/grpc.js";
import { findMarker, numberAt } from "../wire/message-text.js";
import { EventWalker } from "../wire/walk.js";
import { createReadBuffer } from "../wire/websocket.js";
import { countMessages, type FanoutInput, type FanoutRoom } from "./fanout-room.js";
import { mapPooled } from "./pool.js";
import type { Tally } from "./tally.js";

const CONNECTING_AT_ONCE = 100;
/** A phone has a connection of its own; a load generator with a thousand HTTP/2 connections would measure itself. */
const STREAMS_PER_CONNECTION = 100;
/** One JSON receiver in so many decodes its frames in full and checks seq. */
const CHECKED_JSON_RECEIVERS = 50;
const ROOM = "fanout";

/** Creates the room, subscribes everybody and opens the publisher's session. */
export async function openTrunklineRoom(
  target: TrunklineTarget,
  input: FanoutInput,
  tally: Tally,
  fail: (reason: string) => void,
): Promise<FanoutRoom> {
  const tokens = await createTokens(target.keyFile);
  const readBuffer = createReadBuffer();
  const binary = dialBinary({ port: target.webPort, readBuffer });
  const users = Array.from({ length: input.members }, (_, at) => `member-${at}`);
  const publisher = await openPublisher(binary, await tokens("publisher"), ROOM, fail);
  await createRoom(publisher.session, ROOM, users);

  const dial = dialFor(input.receivers, target, readBuffer, binary);
  const walker = new EventWalker();
  const receivers = await mapPooled(users.length, CONNECTING_AT_ONCE, async (receiver) => {
    const user = users[receiver] ?? "";
    const reportFailure = (reason: string) => fail(`receiver ${receiver}: ${reason}`);
    return openSession(dial, {
      token: await tokens(user),
      deviceId: `device-${receiver}`,
      attempt: 1,
      rooms: [{ roomId: ROOM }],
      events: input.receivers === "json" ? readJson(tally, receiver) : readBinary(tally, receiver, walker),
      failed: reportFailure,
    });
  });
  return {
    publish: publisher.publish,
    close() {
      publisher.session.destroy();
      for (const receiver of receivers) receiver.destroy();
    },
  };
}

type ReadEvents = (buffer: Buffer, start: number, end: number) => void;

/** seq − number is the same for all messages: one publisher, one room, nobody comes or goes. */
function readBinary(tally: Tally, receiver: number, walker: EventWalker): ReadEvents {
  let offset: number | undefined;
  return (buffer, start, end) => {
    if (!walker.walk(buffer, start, end) || walker.count === 0) return;
    if (!walker.dense) throw new Error(`receiver ${receiver} got events that are not dense`);
    const number =
      offset === undefined ? numberAt(buffer, findMarker(buffer, walker.firstAt, end)) : walker.first - offset;
    offset = walker.first - number;
    tally.received(receiver, number, walker.count, performance.now());
  };
}

/** Every receiver counts the messages by their numbers; some also decode and compare seq. */
function readJson(tally: Tally, receiver: number): ReadEvents {
  let top = 0;
  return (buffer, start, end) => {
    countMessages(tally, receiver, buffer, start, end);
    if (receiver % CHECKED_JSON_RECEIVERS !== 0) return;
    for (const seq of seqsOf(JSON.parse(buffer.toString("utf8", start, end)))) {
      if (top !== 0 && seq !== top + 1) throw new Error(`receiver ${receiver} got seq ${seq} after ${top}`);
      top = seq;
    }
  };
}

function seqsOf(frame: unknown): readonly number[] {
  const events = field(field(frame, "roomEvents"), "events");
  if (!Array.isArray(events)) throw new Error("a JSON frame has no events");
  return events.map((event) => Number(field(field(event, "position"), "seq")));
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function dialFor(receivers: FanoutInput["receivers"], target: TrunklineTarget, readBuffer: Buffer, binary: Dial): Dial {
  if (receivers === "json") return dialJson({ port: target.webPort, readBuffer });
  if (receivers !== "grpc") return binary;
  let streams = 0;
  let connection = connectHttp2(target.grpcPort);
  return dialGrpc(() => {
    if (++streams % STREAMS_PER_CONNECTION === 0) connection = connectHttp2(target.grpcPort);
    return connection;
  });
}
