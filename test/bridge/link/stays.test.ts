// Clients that keep their connections when their session is over: what they are told, what is passed over, and when it ends all the same.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { wireError } from "../../../src/core/session/frames.js";
import type { Connection, SessionSink } from "../../../src/core/session/port.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import {
  type ClientFrame,
  ClientFrameSchema,
  GoodbyeSchema,
  type ServerFrame,
  ServerFrameSchema,
} from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { GRPC_ENCODING } from "../../../src/transport/grpc/session-stream.js";
import { eventually, useLinks } from "./use-links.js";

type Frame = ServerFrame["frame"];

/** A browser's connection that goes on when its session is over. */
class Browser implements SessionSink {
  readonly encoding = GRPC_ENCODING;
  readonly frames: Frame[] = [];
  ended: { readonly code: CloseCode; readonly reason: string } | undefined;
  #connection: Connection | undefined;

  /** `accept`: what a bridge does with it. */
  begin(accept: (sink: SessionSink) => Connection): void {
    this.#connection = accept(this);
  }

  write(frames: readonly Uint8Array[]): boolean {
    for (const bytes of frames) this.frames.push(fromBinary(ServerFrameSchema, bytes).frame);
    return true;
  }

  end(code: CloseCode, reason: string): void {
    this.ended = { code, reason };
  }

  turnTo(connection: Connection): void {
    this.#connection = connection;
  }

  get connection(): Connection {
    if (this.#connection === undefined) throw new Error("it has not begun");
    return this.#connection;
  }

  say(frame: Exclude<Parameters<typeof create<typeof ClientFrameSchema>>[1], undefined>["frame"]): ClientFrame {
    const said = create(ClientFrameSchema, { frame });
    this.connection.receive(said);
    return said;
  }

  hello(canStay = true): ClientFrame {
    return this.say({ case: "hello", value: { token: "ann", protocol: 1, canStay } });
  }

  /** What it was told last. */
  get told(): Frame["value"] {
    return this.frames.at(-1)?.value;
  }
}

const ORIGIN = { transport: "websocket", address: "192.0.2.1" } as const;
const LEAVING = { code: CloseCode.GOING_AWAY, reason: "the node is leaving", error: undefined };
const STAY = { reason: CloseCode.GOING_AWAY, reconnectAfterMs: 3_000, stay: true };

/** A bridge between nodes, and browsers whose sessions are on the first of them. */
async function useBrowsers(count: number, nodes = 2, canStay = true) {
  const used = await useLinks(nodes);
  const { links, at } = used;
  const browsers = Array.from({ length: count }, () => new Browser());
  for (const browser of browsers) {
    browser.begin((sink) => links.accept(sink, ORIGIN));
    browser.hello(canStay);
  }
  const counts = () => Array.from({ length: nodes }, (_, index) => at(index).core.sessions.connections.length);
  await eventually(() => expect(Math.max(...counts())).toBe(count));
  const home = counts().indexOf(count);
  const { sessions } = at(home).core;
  await Promise.all(sessions.connections.map((each) => each.until(({ frames }) => frames.length === 1)));
  const [first] = browsers;
  if (first === undefined) throw new Error("there is a browser");
  /** Takes the node from the bridge, without a word to anybody. */
  const lose = async (): Promise<void> => {
    await at(home).server.close(0);
    await eventually(() => expect(first.told).toMatchObject({ reason: CloseCode.GOING_AWAY }));
  };
  return { ...used, browsers, browser: first, home, other: 1 - home, sessions, lose };
}

function goodbyes(browser: Browser): readonly Frame[] {
  return browser.frames.filter((frame) => frame.case === "goodbye");
}

function pong(id: number): Buffer {
  return Buffer.from(
    toBinary(ServerFrameSchema, create(ServerFrameSchema, { frame: { case: "pong", value: { id } } })),
  );
}

describe("a client that can stay", () => {
  it("is told to, and has its next session by the next link, on the same connection", async () => {
    const { links, browsers, at, other, lose } = await useBrowsers(3);
    await lose();
    expect(browsers.map(({ told }) => told)).toMatchObject([
      { ...STAY, reconnectAfterMs: 1_000 },
      { ...STAY, reconnectAfterMs: 2_000 },
      STAY,
    ]);
    expect([links.staying, links.size]).toEqual([3, 0]);
    await eventually(() => expect(links.trouble).toEqual([]));
    const { sessions } = at(other).core;
    for (const [index, browser] of browsers.entries()) {
      const said = [browser.hello(), browser.say({ case: "ping", value: { id: index } })];
      const connection = await sessions.connection(index);
      await connection.until(({ frames }) => frames.length === 2);
      expect(connection.frames).toEqual(said);
      expect(connection.origin).toEqual(ORIGIN);
      connection.sink.write([pong(index)]);
      await eventually(() => expect(browser.told).toMatchObject({ id: index }));
      expect(browser.ended).toBeUndefined();
    }
    expect([links.staying, links.size]).toEqual([0, 3]);
  });

  it("is told so by a node that leaves, after all that its session was told", async () => {
    const { links, browser, sessions, at, home, other } = await useBrowsers(1);
    at(home).server.setServing(false);
    await eventually(() => expect(links.limits).toHaveLength(1));
    const { sink } = await sessions.connection();
    sink.write([pong(1)]);
    sink.dismiss?.({ ...LEAVING, reconnectAfterMs: 700 });
    sink.write([pong(2)]);
    await eventually(() => expect(browser.told).toMatchObject({ ...STAY, reconnectAfterMs: 700 }));
    expect(browser.frames.map((frame) => frame.case)).toEqual(["pong", "goodbye"]);
    const said = browser.hello();
    const connection = await at(other).core.sessions.connection();
    await connection.until(({ frames }) => frames.length === 1);
    expect(connection.frames).toEqual([said]);
  });

  it("has what it says before its hello passed over, and its next session hears nothing of it", async () => {
    const { links, browser, at, other, lose } = await useBrowsers(1);
    await lose();
    await eventually(() => expect(links.trouble).toEqual([]));
    browser.say({ case: "publish", value: { roomId: "tea", clientMessageId: "late" } });
    browser.connection.malformed(TrunklineError.invalid("publish.room_id", "must be text"), false);
    const said = browser.hello();
    const connection = await at(other).core.sessions.connection();
    await connection.until(({ frames }) => frames.length > 0);
    expect(connection.frames).toEqual([said]);
    expect(connection.faults).toEqual([]);
    expect(browser.frames).toHaveLength(1);
  });

  it("stays once more where its hello cannot be judged just now, and is told why", async () => {
    const { links, browser, at, other, lose } = await useBrowsers(1);
    await lose();
    await eventually(() => expect(links.trouble).toEqual([]));
    browser.hello();
    const { sink } = await at(other).core.sessions.connection();
    const error = wireError(new TrunklineError(ErrorCode.UNAVAILABLE, "nobody knows", { retryAfterMs: 500 }));
    sink.dismiss?.({ code: CloseCode.UNAVAILABLE, reason: "nobody knows", reconnectAfterMs: 500, error });
    await eventually(() =>
      expect(browser.told).toEqual(
        create(GoodbyeSchema, { reason: CloseCode.UNAVAILABLE, reconnectAfterMs: 500, error, stay: true }),
      ),
    );
    expect([browser.ended, links.staying]).toEqual([undefined, 1]);
  });

  it("is gone with its connection", async () => {
    const { links, clock, browser, lose } = await useBrowsers(1);
    await lose();
    const { pending } = clock;
    browser.connection.gone(true);
    expect([links.staying, clock.pending]).toEqual([0, pending - 1]);
    expect(browser.ended).toBeUndefined();
  });

  it("stays once more where the node of its new link admits nobody now", async () => {
    const { links, browser, at, other, lose } = await useBrowsers(1);
    at(other).core.sessions.admission = { admitted: false, retryAfterMs: 5_000 };
    await lose();
    await eventually(() => expect(links.trouble).toEqual([]));
    browser.hello();
    const busy = { reason: CloseCode.OVERLOADED, reconnectAfterMs: 5_000, stay: true };
    await eventually(() => expect(browser.told).toMatchObject(busy));
    // The bridge knows by now, and does not ask.
    const { asked } = at(other).core.sessions;
    browser.hello();
    expect(goodbyes(browser)).toHaveLength(3);
    expect(browser.told).toMatchObject(busy);
    expect(at(other).core.sessions.asked).toBe(asked);
    expect(browser.ended).toBeUndefined();
    expect(links.staying).toBe(1);
  });

  it("stays while there is no link for 15 s, then is sent away", async () => {
    const { links, clock, browser, lose } = await useBrowsers(1, 1);
    await lose();
    clock.advance(14_999 - 3_000);
    browser.hello();
    expect(browser.told).toMatchObject({ ...STAY, reconnectAfterMs: 1_000 });
    clock.advance(3_001);
    browser.hello();
    expect(browser.told).toMatchObject({ ...STAY, reconnectAfterMs: 1_000, stay: false });
    expect(browser.ended).toMatchObject({ code: CloseCode.GOING_AWAY });
    expect(links.staying).toBe(0);
  });
});

describe("a client that stays ends", () => {
  it("10 s after its time, where it has said no hello, without another word", async () => {
    const { links, clock, browser, lose } = await useBrowsers(1);
    await lose();
    clock.advance(12_999);
    expect(browser.ended).toBeUndefined();
    clock.advance(1);
    expect(browser.ended).toEqual({ code: CloseCode.GOING_AWAY, reason: "no hello came in time" });
    expect(browser.frames).toHaveLength(1);
    expect(links.staying).toBe(0);
    browser.hello();
    expect(links.size).toBe(0);
  });

  it("with 1,001 frames that are no hello", async () => {
    const { links, browser, lose } = await useBrowsers(1);
    await lose();
    for (let count = 0; count < 1_000; count++) browser.say({ case: "pong", value: { id: count } });
    expect(browser.ended).toBeUndefined();
    browser.say({ case: "pong", value: { id: 1_000 } });
    expect(browser.ended).toMatchObject({ code: CloseCode.OVERLOADED });
    expect(browser.told).toMatchObject({ reason: CloseCode.OVERLOADED, stay: false });
    expect(links.staying).toBe(0);
  });

  it("with something that cannot be read at all", async () => {
    const { browser, lose } = await useBrowsers(1);
    await lose();
    browser.connection.malformed(TrunklineError.invalid("frame", "not valid"), true);
    expect(browser.ended).toMatchObject({ code: CloseCode.PROTOCOL_ERROR });
  });

  it("when the bridge leaves", async () => {
    const { links, browsers, clock, lose } = await useBrowsers(2);
    await lose();
    const { pending } = clock;
    void links.leave(1_000, 1_000);
    expect(browsers.map(({ ended }) => ended?.code)).toEqual([CloseCode.GOING_AWAY, CloseCode.GOING_AWAY]);
    expect(clock.pending).toBeLessThan(pending);
  });
});

it("ends the connection of a client that has not said that it can stay, as it does without a hello", async () => {
  const { links, browser, lose } = await useBrowsers(1, 2, false);
  const silent = new Browser();
  silent.begin((sink) => links.accept(sink, ORIGIN));
  await lose();
  for (const { told, ended } of [browser, silent]) {
    expect(told).toMatchObject({ reason: CloseCode.GOING_AWAY, stay: false });
    expect(ended?.code).toBe(CloseCode.GOING_AWAY);
  }
  expect(links.staying).toBe(0);
});

it("ends the connections of clients that can stay, where the bridge itself leaves", async () => {
  const { links, browsers, clock, sessions } = await useBrowsers(2);
  sessions.endsFinished = true;
  const left = links.leave(0, 1_000);
  clock.advance(1_000);
  await left;
  for (const { told, ended } of browsers) {
    expect(told).toMatchObject({ reason: CloseCode.GOING_AWAY, stay: false });
    expect(ended?.code).toBe(CloseCode.GOING_AWAY);
  }
});
