// The load of `sdk` for coming back: a page in many rooms whose connection is cut again and again, with a message in each room meanwhile.

import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { PublishSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import { type OpenPage, openPage } from "../browser/chromium.js";
import type { StartOptions } from "../browser/page/receiver.js";
import type { Comeback } from "../browser/page/reconnect.js";
import { servePage } from "../browser/pages.js";
import { createRoom } from "../client/rooms.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens } from "../client/tokens.js";
import { dialBinary } from "../client/wire.js";
import { quantile } from "../stats.js";
import type { TrunklineTarget } from "../target.js";
import { messageText } from "../wire/message-text.js";
import { createReadBuffer } from "../wire/websocket.js";
import { startFarAway } from "./far-away.js";
import { mapPooled } from "./pool.js";

export interface ReconnectInput {
  readonly target: TrunklineTarget;
  readonly rooms: number;
  /** How often the connection is cut. */
  readonly times: number;
  /** What is added to each way of the network between the page and the server. */
  readonly oneWayMs: number;
  readonly deadlineMs: number;
}

/** Medians over all times. */
export interface ReconnectOutcome {
  readonly dialToOpenMs: number;
  readonly openToWelcomeMs: number;
  readonly openToLiveMs: number;
  readonly openToCaughtUpMs: number;
  /** The most over all times. */
  readonly framesUp: number;
  readonly framesDown: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Over all times together. */
  readonly lost: number;
  readonly doubled: number;
}

const READER = "reader";
const LOOK_MS = 10;

export async function runReconnect(input: ReconnectInput): Promise<ReconnectOutcome> {
  const { target, oneWayMs } = input;
  const tokens = await createTokens(target.keyFile);
  let failed: string | undefined;
  const owner = await openSession(dialBinary({ port: target.webPort, readBuffer: createReadBuffer() }), {
    token: await tokens("owner"),
    deviceId: "owner",
    attempt: 1,
    rooms: [],
    failed: (reason) => {
      failed ??= reason;
    },
  });
  const rooms = Array.from({ length: input.rooms }, (_, at) => `room-${at}`);
  await mapPooled(rooms.length, owner.maxInFlight, (at) => createRoom(owner, rooms[at] ?? "", [READER]));
  const network = await startFarAway(target.webPort, oneWayMs);
  const pages = await servePage("reconnect");
  const browser = await openPage(pages.url);
  try {
    const options: StartOptions = {
      url: `http://127.0.0.1:${network.port}`,
      token: await tokens(READER),
      rooms,
    };
    await browser.page.evaluate(`reconnecting.start(${JSON.stringify(options)})`);
    const comebacks: Comeback[] = [];
    for (let time = 0; time < input.times; time++) {
      network.cut();
      await mapPooled(rooms.length, owner.maxInFlight, (at) => say(owner, rooms[at] ?? "", time));
      network.restore();
      await browser.page.evaluate("reconnecting.comeBack()");
      comebacks.push(await comeback(browser, rooms.length, input.deadlineMs));
    }
    if (failed !== undefined) throw new Error(failed);
    return outcomeOf(comebacks, rooms.length);
  } finally {
    await browser.close();
    pages.close();
    network.close();
    owner.destroy();
  }
}

async function say(owner: Session, roomId: string, time: number): Promise<void> {
  await owner.ask({
    case: "publish",
    value: create(PublishSchema, {
      roomId,
      clientMessageId: `m-${time}`,
      attempt: 1,
      body: { kind: { case: "text", value: messageText(time) } },
    }),
  });
}

async function comeback({ page }: OpenPage, missed: number, deadlineMs: number): Promise<Comeback> {
  const until = performance.now() + deadlineMs;
  while (performance.now() < until) {
    const back = await page.evaluate<Comeback | undefined>(`reconnecting.back(${missed})`);
    if (back !== undefined) return back;
    await pause(LOOK_MS);
  }
  throw new Error(`not back within ${deadlineMs} ms`);
}

function outcomeOf(comebacks: readonly Comeback[], rooms: number): ReconnectOutcome {
  const over = (value: (comeback: Comeback) => number): readonly number[] => comebacks.map(value);
  const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
  const doubled = sum(over((one) => one.doubled));
  return {
    dialToOpenMs: quantile(
      over((one) => one.dialToOpenMs),
      0.5,
    ),
    openToWelcomeMs: quantile(
      over((one) => one.openToWelcomeMs),
      0.5,
    ),
    openToLiveMs: quantile(
      over((one) => one.openToLiveMs),
      0.5,
    ),
    openToCaughtUpMs: quantile(
      over((one) => one.openToCaughtUpMs),
      0.5,
    ),
    framesUp: Math.max(...over((one) => one.up.frames)),
    framesDown: Math.max(...over((one) => one.down.frames)),
    bytesUp: quantile(
      over((one) => one.up.bytes),
      0.5,
    ),
    bytesDown: quantile(
      over((one) => one.down.bytes),
      0.5,
    ),
    lost: comebacks.length * rooms - (sum(over((one) => one.messages)) - doubled),
    doubled,
  };
}
