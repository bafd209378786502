// Which way a client connects, with time and both ways in the test's hands.

import { describe, expect, it } from "vitest";
import { chooseDial } from "../../../../bridge/client/fallback/choose.js";
import type { Dial, Wire, WireListener } from "../../../../bridge/client/platform.js";
import { StoppedClock } from "../../../support/stopped-clock.js";

const MINUTE_MS = 60_000;
const REMEMBERED_MS = 10 * MINUTE_MS;

/** What was dialled, and what became of it. */
interface Dialled {
  readonly way: "socket" | "events";
  readonly listener: WireListener;
  readonly sent: unknown[];
  closedWith: number | undefined;
}

function useChoice(rememberedUntilMs = 0) {
  const clock = new StoppedClock();
  const dialled: Dialled[] = [];
  const way =
    (name: Dialled["way"]): Dial =>
    (_url, _subprotocol, listener) => {
      const one: Dialled = { way: name, listener, sent: [], closedWith: undefined };
      dialled.push(one);
      return {
        send: (data) => one.sent.push(data),
        close: (code) => {
          one.closedWith ??= code;
        },
      };
    };
  const memory = {
    untilMs: rememberedUntilMs,
    read: () => memory.untilMs,
    write: (untilMs: number) => {
      memory.untilMs = untilMs;
    },
  };
  const platform = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (ms: number, action: () => void) => clock.after(ms, action),
    random: () => 0,
    id: () => "",
  };
  const dial = chooseDial({ socket: way("socket"), events: way("events"), memory }, platform);
  const closes: number[] = [];
  /** Dials, and answers what was dialled for it. */
  const connect = (): { readonly wire: Wire; readonly by: Dialled } => {
    const wire = dial("https://chat/v1/connect", "trunkline.v1.json", {
      opened: () => {},
      received: () => {},
      closed: (code) => closes.push(code),
    });
    return { wire, by: last() };
  };
  const last = (): Dialled => {
    const one = dialled.at(-1);
    if (one === undefined) throw new Error("nothing was dialled");
    return one;
  };
  const fail = (): void => {
    connect().by.listener.closed(1006);
  };
  /** Connected by the fallback, because WebSockets have failed. */
  const fallen = () => {
    fail();
    fail();
    const { wire, by } = connect();
    by.listener.opened();
    by.listener.received("{}");
    return { wire, by };
  };
  return { clock, dialled, memory, closes, connect, last, fail, fallen };
}

describe("falling back", () => {
  it("comes after two WebSockets over which nothing was heard, and is remembered for ten minutes", () => {
    const { dialled, fallen, memory, clock, fail, connect } = useChoice();
    fallen();
    expect(dialled.map(({ way }) => way)).toEqual(["socket", "socket", "events"]);
    expect(memory.untilMs).toBe(REMEMBERED_MS);
    // A new page, or another connection of this one.
    expect(connect().by.way).toBe("events");
    clock.advance(REMEMBERED_MS);
    fail();
  });

  it("does not come for WebSockets that have carried something, however they ended", () => {
    const { connect, fail } = useChoice();
    for (let round = 0; round < 5; round++) {
      fail();
      const { by } = connect();
      expect(by.way).toBe("socket");
      by.listener.opened();
      by.listener.received("{}");
      by.listener.closed(1006);
    }
  });

  it("counts a WebSocket that was given up after a while, and not one that was closed at once", () => {
    const { connect, clock } = useChoice();
    for (let round = 0; round < 5; round++) connect().wire.close(1000);
    for (let round = 0; round < 2; round++) {
      const { wire, by } = connect();
      expect(by.way).toBe("socket");
      by.listener.opened();
      clock.advance(10_000);
      wire.close(1000);
    }
    expect(connect().by.way).toBe("events");
  });

  it("is undone where it does not get through either: the server is away", () => {
    const { fail, connect, memory, dialled } = useChoice();
    for (let round = 0; round < 6; round++) fail();
    expect(dialled.map(({ way }) => way)).toEqual(["socket", "socket", "events", "socket", "socket", "events"]);
    expect(memory.untilMs).toBe(0);
    expect(connect().by.way).toBe("socket");
  });

  it("is undone where its stream is held back on the way, and not where it was closed at once", () => {
    const { connect, clock } = useChoice(MINUTE_MS);
    connect().wire.close(1000);
    const { wire, by } = connect();
    expect(by.way).toBe("events");
    clock.advance(10_000);
    wire.close(1000);
    expect(connect().by.way).toBe("socket");
  });

  it("is forgotten where it is remembered and gets through no longer", () => {
    const { fail, connect } = useChoice(MINUTE_MS);
    fail();
    expect(connect().by.way).toBe("socket");
  });

  it.each([Number.NaN, -1, REMEMBERED_MS + 1])("makes nothing of a memory that makes no sense: %s", (untilMs) => {
    expect(useChoice(untilMs).connect().by.way).toBe("socket");
  });
});

describe("going back to WebSocket", () => {
  it("is tried after half a minute: it may have been the server that was away", () => {
    const { fallen, clock, last, closes, connect } = useChoice();
    const { wire, by } = fallen();
    wire.send('{"hello":{},"ref":1}');
    clock.advance(20_000);
    // Nobody waits for an answer to these.
    wire.send('{"mark":{"roomId":"tea"}}');
    wire.send('{"pong":{"id":1}}');
    clock.advance(10_000);
    expect(last().way).toBe("socket");
    last().listener.opened();
    expect(by.closedWith).toBe(4000);
    expect(closes).toEqual([1006, 1006, 1006]);
    expect(connect().by.way).toBe("socket");
  });

  it("is tried after half a minute whatever became of the connections since, before the next one says hello", () => {
    const { fallen, connect, clock, last, closes } = useChoice();
    fallen().by.listener.closed(1006);
    for (let second = 0; second < 29; second++) {
      clock.advance(1_000);
      const { by } = connect();
      expect(by.way).toBe("events");
      by.listener.opened();
      // Refused before it was welcome.
      by.listener.received('{"goodbye":{}}');
      by.listener.closed(4102);
    }
    clock.advance(1_000);
    const { by } = connect();
    expect(by.way).toBe("events");
    clock.advance(0);
    const probe = last();
    expect(probe.way).toBe("socket");
    probe.listener.opened();
    expect([by.closedWith, closes.at(-1)]).toEqual([4000, 1006]);
    expect(connect().by.way).toBe("socket");
  });

  it("is tried beside a connection over which nothing is heard, and is remembered for as long where it fails", () => {
    const { fail, connect, clock, last, dialled } = useChoice();
    fail();
    fail();
    const { by } = connect();
    clock.advance(30_000);
    expect(last().way).toBe("socket");
    last().listener.closed(1006);
    by.listener.received("{}");
    by.listener.closed(1006);
    const count = dialled.length;
    connect();
    clock.advance(REMEMBERED_MS - 1);
    expect(dialled.slice(count).map(({ way }) => way)).toEqual(["events"]);
    clock.advance(1);
    expect(last().way).toBe("socket");
  });

  it("comes once one opens, when nothing was sent for a while; only then is the other connection left", () => {
    const { fallen, clock, closes, last, connect, memory } = useChoice();
    const { wire, by } = fallen();
    clock.advance(20_000);
    wire.send('{"ref":1}');
    clock.advance(10_000);
    // Not now: it may wait for an answer.
    expect(last()).toBe(by);
    clock.advance(30_000);
    const probe = last();
    expect(probe.way).toBe("socket");
    expect(by.closedWith).toBeUndefined();
    probe.listener.opened();
    expect(probe).toMatchObject({ closedWith: 1000, sent: [] });
    expect(by.closedWith).toBe(4000);
    expect(closes).toEqual([1006, 1006, 1006]);
    expect(memory.untilMs).toBe(0);
    wire.close(1000);
    expect(clock.pending).toBe(0);
    expect(connect().by.way).toBe("socket");
  });

  it("is put off where something was sent while the WebSocket opened", () => {
    const { fallen, clock, last } = useChoice();
    const { wire, by } = fallen();
    clock.advance(30_000);
    const probe = last();
    wire.send('{"ref":1}');
    probe.listener.opened();
    expect(probe.closedWith).toBe(1000);
    expect(by.closedWith).toBeUndefined();
    clock.advance(30_000);
    expect(last()).not.toBe(probe);
  });

  it.each([
    ["fails", ({ listener }: Dialled) => listener.closed(1006), 0],
    ["does not open in ten seconds", () => {}, 10_000],
  ])("is tried again ten minutes after a WebSocket that %s", (_what, end, ms) => {
    const { fallen, clock, dialled, last, memory, connect } = useChoice();
    const { by } = fallen();
    clock.advance(30_000);
    end(last());
    clock.advance(ms);
    expect(by.closedWith).toBeUndefined();
    expect(memory.untilMs).toBe(clock.now() + REMEMBERED_MS);
    const count = dialled.length;
    clock.advance(REMEMBERED_MS - 1);
    expect(dialled).toHaveLength(count);
    expect(connect().by.way).toBe("events");
    clock.advance(1);
    expect(last().way).toBe("socket");
  });

  it("is over at the first WebSocket that carries nothing after all", () => {
    const { fallen, clock, last, connect } = useChoice();
    fallen();
    clock.advance(30_000);
    last().listener.opened();
    const { by } = connect();
    expect(by.way).toBe("socket");
    by.listener.closed(1006);
    const again = connect();
    expect(again.by.way).toBe("events");
    again.by.listener.received("{}");
    // It is not tried all the time.
    clock.advance(REMEMBERED_MS - 1);
    expect(last()).toBe(again.by);
    clock.advance(1);
    expect(last().way).toBe("socket");
  });

  it.each(["the client", "the server"])("is not tried any more once %s has ended the connection", (who) => {
    const { fallen, clock, dialled, last } = useChoice();
    const { wire, by } = fallen();
    clock.advance(30_000);
    const probe = last();
    if (who === "the client") wire.close(1000);
    else by.listener.closed(4100);
    expect(probe.closedWith).toBe(1000);
    expect(clock.pending).toBe(0);
    expect(dialled).toHaveLength(4);
  });
});
