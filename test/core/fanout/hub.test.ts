// The hub: when what was announced is written, and how long a room is listened to.

import { describe, expect, it, onTestFinished } from "vitest";
import { EmbeddedSessionDirectory } from "../../../src/adapters/embedded/session-directory.js";
import type { FeedReader, RoomFeed } from "../../../src/core/fanout/feed.js";
import { Hub } from "../../../src/core/fanout/hub.js";
import { DEFAULT_LIMITS } from "../../../src/core/limit/limits.js";
import { TenantLimits } from "../../../src/core/limit/tenants.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { events } from "../subscription/room-model.js";
import { ScriptedVerifier, settle } from "../use-core.js";

const SAMPLE_MS = 250;

class TestHub {
  readonly clock = new StoppedClock();
  readonly engine = new MemoryEngine();
  readonly telemetry = new Telemetry();
  readonly hub: Hub;
  load = 0;
  /** What the owner says of every room; undefined: it does not answer. */
  top: number | undefined = 0;
  asked = 0;
  /** What was written: room, seqs, and when. */
  readonly written: string[] = [];

  constructor() {
    const { log, archive, fanout } = this.engine;
    const deps = {
      log,
      archive,
      fanout,
      directory: new EmbeddedSessionDirectory({ archive: archive, clock: this.clock }),
      verifier: new ScriptedVerifier(),
      clock: this.clock,
      ids: { random: () => "", digest: () => "" },
      telemetry: this.telemetry,
      limits: DEFAULT_LIMITS,
      tenants: new TenantLimits(DEFAULT_LIMITS),
      load: () => this.load,
    };
    this.hub = new Hub(deps, async () => {
      this.asked++;
      if (this.top === undefined) throw new TrunklineError(ErrorCode.UNAVAILABLE, "the owner is away");
      return this.top;
    });
    this.hub.start();
    onTestFinished(() => this.hub.stop());
  }

  /** The window is 33 ms from now on. */
  makeBusy(): void {
    this.load = 1;
    for (let sample = 0; sample < 3; sample++) this.clock.advance(SAMPLE_MS);
    this.load = 0.3;
  }

  async read(roomId: string): Promise<{ feed: RoomFeed; reader: FeedReader }> {
    const feed = this.hub.feed(roomRef("acme", roomId));
    const reader: FeedReader = {
      userId: "ada",
      offer: ({ firstSeq, lastSeq }) => this.written.push(`${roomId} ${firstSeq}-${lastSeq} at ${this.clock.now()}`),
      signal: () => {},
      behind: () => {},
      become: () => {},
      lose: () => {},
    };
    feed.join(reader);
    await this.hub.listen(feed);
    return { feed, reader };
  }

  announce(roomId: string, from: number, to = from): void {
    this.engine.fanout.announce(roomRef("acme", roomId), events(from, to));
  }

  /** Takes what was written. */
  take(): readonly string[] {
    return this.written.splice(0);
  }
}

describe("an idle process", () => {
  it("writes within the turn, all that the turn brought in one frame", async () => {
    const test = new TestHub();
    await test.read("lobby");
    test.announce("lobby", 1);
    test.announce("lobby", 2, 3);
    expect(test.take()).toEqual([]);
    await settle();
    test.announce("lobby", 4);
    await settle();
    expect(test.take()).toEqual(["lobby 1-3 at 0", "lobby 4-4 at 0"]);
  });

  it("tells how many events went to how many readers", async () => {
    const test = new TestHub();
    const flushed: unknown[] = [];
    test.telemetry.on("fanout.flushed", (told) => flushed.push(told));
    await test.read("lobby");
    await test.read("lobby");
    test.announce("lobby", 1, 3);
    await settle();
    expect(flushed).toEqual([{ events: 3, recipients: 2 }]);
  });
});

describe("a busy process", () => {
  it("writes for a quiet room at once, then collects for 33 ms counted from the last write", async () => {
    const test = new TestHub();
    await test.read("lobby");
    test.makeBusy();
    test.announce("lobby", 1);
    await settle();
    expect(test.take()).toEqual(["lobby 1-1 at 750"]);
    test.clock.advance(10);
    test.announce("lobby", 2);
    test.clock.advance(5);
    test.announce("lobby", 3);
    await settle();
    test.clock.advance(17);
    expect(test.take()).toEqual([]);
    test.clock.advance(1);
    expect(test.take()).toEqual(["lobby 2-3 at 783"]);
    test.clock.advance(33);
    test.announce("lobby", 4);
    await settle();
    expect(test.take()).toEqual(["lobby 4-4 at 816"]);
  });

  it("collects for 5, 12 and 33 ms as the load lasts", async () => {
    const test = new TestHub();
    await test.read("lobby");
    const waits: number[] = [];
    let seq = 0;
    for (let sample = 0; sample < 3; sample++) {
      test.load = 1;
      test.clock.advance(SAMPLE_MS);
      test.load = 0.3;
      test.announce("lobby", ++seq);
      await settle();
      test.take();
      test.announce("lobby", ++seq);
      await settle();
      let waited = 0;
      while (test.take().length === 0) {
        test.clock.advance(1);
        waited++;
      }
      waits.push(waited);
    }
    expect(waits).toEqual([5, 12, 33]);
  });

  it("keeps each room's own window", async () => {
    const test = new TestHub();
    for (const roomId of ["lobby", "hall", "yard"]) await test.read(roomId);
    test.makeBusy();
    test.announce("lobby", 1);
    await settle();
    test.clock.advance(10);
    test.announce("hall", 1);
    await settle();
    expect(test.take()).toEqual(["lobby 1-1 at 750", "hall 1-1 at 760"]);
    test.announce("lobby", 2);
    test.announce("hall", 2);
    test.announce("yard", 1);
    await settle();
    expect(test.take()).toEqual(["yard 1-1 at 760"]);
    test.clock.advance(23);
    expect(test.take()).toEqual(["lobby 2-2 at 783"]);
    test.clock.advance(10);
    expect(test.take()).toEqual(["hall 2-2 at 793"]);
  });

  it("writes at once what is collected when it leaves", async () => {
    const test = new TestHub();
    await test.read("lobby");
    test.makeBusy();
    test.announce("lobby", 1);
    await settle();
    test.announce("lobby", 2);
    test.hub.flush();
    expect(test.take()).toEqual(["lobby 1-1 at 750", "lobby 2-2 at 750"]);
    test.clock.advance(100);
    expect(test.take()).toEqual([]);
  });
});

describe("a feed", () => {
  it("is one for all readers of a room, with one subscription", async () => {
    const test = new TestHub();
    const { feed } = await test.read("lobby");
    expect((await test.read("lobby")).feed).toBe(feed);
    expect(test.hub.feed(roomRef("globex", "lobby"))).not.toBe(feed);
    test.announce("lobby", 1);
    await settle();
    expect(test.take()).toEqual(["lobby 1-1 at 0", "lobby 1-1 at 0"]);
  });

  it("is forgotten when its last reader has left, not before", async () => {
    const test = new TestHub();
    const [first, second] = [await test.read("lobby"), await test.read("lobby")];
    first.feed.leave(first.reader);
    test.hub.release(first.feed);
    test.announce("lobby", 1);
    await settle();
    expect(test.take()).toEqual(["lobby 1-1 at 0"]);
    second.feed.leave(second.reader);
    test.hub.release(second.feed);
    test.announce("lobby", 2);
    await settle();
    expect(test.take()).toEqual([]);
    expect(second.feed.top).toBe(1);
    expect(test.hub.feed(second.feed.ref)).not.toBe(second.feed);
  });

  it("that was released while its subscription was made listens to nothing", async () => {
    const test = new TestHub();
    const feed = test.hub.feed(roomRef("acme", "lobby"));
    const listening = test.hub.listen(feed);
    test.hub.release(feed);
    await listening;
    const again = await test.read("lobby");
    test.announce("lobby", 1);
    await settle();
    expect([feed.top, again.feed.top, test.take().length]).toEqual([0, 1, 1]);
  });

  it("whose subscription failed is subscribed anew by the next who asks", async () => {
    const test = new TestHub();
    const { fanout } = test.engine;
    const subscribe = fanout.subscribe.bind(fanout);
    fanout.subscribe = async () => {
      throw new Error("away");
    };
    await expect(test.read("lobby")).rejects.toThrow("away");
    fanout.subscribe = subscribe;
    await test.hub.listen(test.hub.feed(roomRef("acme", "lobby")));
    test.announce("lobby", 1);
    await settle();
    expect(test.take()).toEqual(["lobby 1-1 at 0"]);
  });

  it("hears nothing after the hub has stopped, and no timer is left", async () => {
    const test = new TestHub();
    await test.read("lobby");
    test.makeBusy();
    test.announce("lobby", 1);
    await settle();
    test.announce("lobby", 2);
    test.hub.stop();
    test.announce("lobby", 3);
    await settle();
    expect([test.take(), test.clock.pending]).toEqual([["lobby 1-1 at 750"], 0]);
  });

  it("reads the archive for catching up in so many places at once", async () => {
    const test = new TestHub();
    const waiting: (() => void)[] = [];
    test.engine.archive.events = () => new Promise((resolve) => waiting.push(() => resolve([])));
    const feeds = Array.from({ length: DEFAULT_LIMITS.replayReads + 5 }, (_, index) =>
      test.hub.feed(roomRef("acme", `room-${index}`)),
    );
    const reads = feeds.map((feed) => feed.after(0));
    expect(waiting.length).toBe(DEFAULT_LIMITS.replayReads);
    for (const answer of waiting.slice(0, 3)) answer();
    await settle();
    expect(waiting.length).toBe(DEFAULT_LIMITS.replayReads + 3);
    for (let at = 3; at < waiting.length; at++) {
      waiting[at]?.();
      await settle(2);
    }
    expect(await Promise.all(reads)).toEqual(feeds.map(() => undefined));
  });
});

describe("a feed that may have missed announcements", () => {
  it("goes on from where the owner says the room is", async () => {
    const test = new TestHub();
    const { feed } = await test.read("lobby");
    test.announce("lobby", 1);
    await settle();
    test.engine.fanout.top(feed.ref, 3);
    expect(feed.top).toBe(3);
    expect(test.asked).toBe(0);
  });

  it("asks the owner where nobody can say, until it answers, and no more once nobody reads it", async () => {
    const test = new TestHub();
    const { feed, reader } = await test.read("lobby");
    test.top = undefined;
    test.engine.loseConnections();
    await settle();
    expect([test.asked, feed.top]).toEqual([1, 0]);
    test.clock.advance(1_000);
    await settle();
    expect(test.asked).toBe(2);
    test.top = 7;
    test.clock.advance(1_000);
    await settle();
    expect([test.asked, feed.top]).toEqual([3, 7]);
    test.clock.advance(5_000);
    await settle();
    expect(test.asked).toBe(3);
    test.top = undefined;
    test.engine.loseConnections();
    await settle();
    feed.leave(reader);
    test.hub.release(feed);
    test.clock.advance(5_000);
    await settle();
    expect(test.asked).toBe(4);
  });

  it("asks again for what is lost while it is asking", async () => {
    const test = new TestHub();
    const { feed } = await test.read("lobby");
    test.top = 1;
    test.engine.loseConnections();
    test.top = 2;
    test.engine.loseConnections();
    await settle();
    expect([test.asked, feed.top]).toEqual([2, 2]);
  });
});
