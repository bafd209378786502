// A room's feed: each event once and in order to whoever is live, whatever the fan-out repeats or loses.

import { describe, expect, it } from "vitest";
import type { FeedReader } from "../../../src/core/fanout/feed.js";
import { event, events, left, RoomModel } from "../subscription/room-model.js";

/** A reader that is up to date with whatever it is offered. */
class Listener implements FeedReader {
  readonly userId: string;
  readonly told: string[] = [];

  constructor(room: RoomModel, userId = "ada") {
    this.userId = userId;
    room.feed.join(this);
  }

  offer(frame: { readonly firstSeq: number; readonly lastSeq: number }): void {
    this.told.push(`${frame.firstSeq}-${frame.lastSeq}`);
  }

  signal(): void {
    this.told.push("signal");
  }

  behind(): void {
    this.told.push("behind");
  }

  become(seq: number): void {
    this.told.push(`changed at ${seq}`);
  }

  lose(seq: number, loss: string): void {
    this.told.push(`${loss} at ${seq}`);
  }
}

describe("a feed", () => {
  it("collects until it is flushed, then hands all of it in one frame", () => {
    const room = new RoomModel();
    const ada = new Listener(room);
    room.feed.receive(events(1, 2));
    room.feed.receive(events(3, 3));
    expect([ada.told, room.scheduled, room.feed.top]).toEqual([[], true, 0]);
    expect(room.feed.flush()).toBe(3);
    expect([ada.told, room.feed.top]).toEqual([["1-3"], 3]);
    expect([room.feed.flush(), ada.told.length]).toEqual([0, 1]);
  });

  it("drops what was announced before, and asks for no flush of nothing", () => {
    const room = new RoomModel();
    const ada = new Listener(room);
    room.feed.receive(events(1, 3));
    room.flush();
    room.feed.receive(events(1, 3));
    expect(room.scheduled).toBe(false);
    room.feed.receive(events(2, 5));
    room.flush();
    expect(ada.told).toEqual(["1-3", "4-5"]);
  });

  it("hands what it has when the next event does not join on: no frame has a hole", () => {
    const room = new RoomModel();
    const ada = new Listener(room);
    room.feed.receive([...events(1, 2), ...events(5, 6)]);
    expect(ada.told).toEqual(["1-2"]);
    room.flush();
    expect(ada.told).toEqual(["1-2", "5-6"]);
  });

  it("tells of a top beyond what was announced, once, and takes what is announced after it", () => {
    const room = new RoomModel();
    const ada = new Listener(room);
    room.feed.receive(events(1, 2));
    for (const top of [1, 2]) room.feed.hear(top);
    expect(ada.told).toEqual([]);
    for (const top of [4, 4, 3]) room.feed.hear(top);
    expect([ada.told, room.feed.top]).toEqual([["1-2", "behind"], 4]);
    room.feed.receive(events(3, 5));
    room.flush();
    expect(ada.told).toEqual(["1-2", "behind", "5-5"]);
  });

  it("tells of a loss right behind the event, to that user's readers and to no others", () => {
    const room = new RoomModel();
    const [ada, also, bob] = [new Listener(room), new Listener(room), new Listener(room, "bob")];
    room.feed.receive([event(1), event(2, left("ada")), event(3)]);
    expect([ada.told, bob.told]).toEqual([["1-2", "access-lost at 2"], ["1-2"]]);
    room.flush();
    expect(also.told).toEqual(["1-2", "access-lost at 2", "3-3"]);
  });

  it("hands nothing more to who has left it", () => {
    const room = new RoomModel();
    const [ada, bob] = [new Listener(room), new Listener(room, "bob")];
    expect(room.feed.size).toBe(2);
    room.feed.receive(events(1, 1));
    room.feed.leave(ada);
    room.flush();
    expect([ada.told, bob.told, room.feed.size]).toEqual([[], ["1-1"], 1]);
  });

  it("pages from the ring, and from the archive what the ring no longer has, up to what was handed out", async () => {
    const room = new RoomModel(1, 3);
    room.grow(9);
    room.announce(1, 5);
    room.flush();
    room.announce(6, 7);
    room.flush();
    room.announce(8, 9);
    const pageAfter = async (seq: number) => (await room.feed.after(seq))?.events.map((each) => each.seq);
    expect(await pageAfter(5)).toEqual([6, 7]);
    expect(room.reads).toBe(0);
    expect(await pageAfter(0)).toEqual([1, 2, 3]);
    expect(await pageAfter(3)).toEqual([4, 5, 6]);
    expect(room.reads).toBe(2);
    expect(await pageAfter(7)).toBeUndefined();
  });
});
