// What every fan-out must do: the guarantees of src/ports/fanout.ts, as tests.

import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ServerFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";
import type { EncodedEvent } from "../../src/ports/encoded-event.js";
import { EncodedFrame } from "../../src/ports/encoded-frame.js";
import type { Fanout, FanoutListener, GapListener, SignalListener } from "../../src/ports/fanout.js";
import type { RoomRef } from "../../src/ports/room-ref.js";
import { eventChange, newRoom } from "./samples.js";

export interface FanoutSubject {
  /** Where the room's owner announces. */
  readonly owner: Fanout;
  /** Where sessions listen; the same as `owner` in an engine of one process. */
  readonly listener: Fanout;
  close(): Promise<void>;
}

/** Nothing is wrong with the engine during these tests: it must not lose announcements, which a port may otherwise do. */
export function describeFanout(name: string, factory: () => Promise<FanoutSubject>): void {
  describe(`the fan-out of ${name}`, () => {
    let subject: FanoutSubject;
    beforeAll(async () => {
      subject = await factory();
    });
    afterAll(() => subject.close());

    function announce(room: RoomRef, ...seqs: readonly number[]): void {
      subject.owner.announce(
        room,
        seqs.map((seq) => eventChange(room, seq).event),
      );
    }

    it("tells a subscriber of the events in order, byte for byte", async () => {
      const room = newRoom();
      const heard = new Heard();
      await subject.listener.subscribe(room, heard.listener);
      announce(room, 1, 2);
      announce(room, 3);
      expect(await heard.through(3)).toEqual([1, 2, 3]);
      expect(heard.events.map(({ bytes }) => Buffer.from(bytes).toString("hex"))).toEqual(
        [1, 2, 3].map((seq) => Buffer.from(eventChange(room, seq).event.bytes).toString("hex")),
      );
    });

    it("tells each subscriber, also one that has subscribed twice", async () => {
      const room = newRoom();
      const [one, two] = [new Heard(), new Heard()];
      await subject.listener.subscribe(room, one.listener);
      await subject.listener.subscribe(room, two.listener);
      const second = await subject.listener.subscribe(room, two.listener);
      announce(room, 1);
      expect(await one.through(1)).toEqual([1]);
      expect(await two.count(2)).toEqual([1, 1]);
      second.close();
      announce(room, 2);
      await one.through(2);
      expect(await two.through(2)).toEqual([1, 1, 2]);
    });

    it("tells nobody of another room, or of the same id in another tenant", async () => {
      const room = newRoom();
      const others = [newRoom(), { ...room, tenantId: "other", key: `other/${room.roomId}` }];
      const [heard, sentinel] = [new Heard(), new Heard()];
      for (const other of others) await subject.listener.subscribe(other, heard.listener);
      await subject.listener.subscribe(room, sentinel.listener);
      announce(room, 1);
      await sentinel.through(1);
      expect(heard.seqs).toEqual([]);
    });

    it("does not call a listener after its subscription was closed", async () => {
      const room = newRoom();
      const [heard, sentinel] = [new Heard(), new Heard()];
      const subscription = await subject.listener.subscribe(room, heard.listener);
      await subject.listener.subscribe(room, sentinel.listener);
      announce(room, 1);
      await heard.through(1);
      subscription.close();
      subscription.close();
      announce(room, 2);
      await sentinel.through(2);
      expect(heard.seqs).toEqual([1]);
    });

    it("can be closed from within a listener, by itself and by another", async () => {
      const room = newRoom();
      const [closed, sentinel] = [new Heard(), new Heard()];
      const own = await subject.listener.subscribe(room, (events) => {
        own.close();
        later.close();
        sentinel.listener(events);
      });
      const later = await subject.listener.subscribe(room, closed.listener);
      const last = new Heard();
      await subject.listener.subscribe(room, last.listener);
      announce(room, 1);
      await last.through(1);
      announce(room, 2);
      await last.through(2);
      expect(sentinel.seqs).toEqual([1]);
      expect(closed.seqs).toEqual([]);
    });

    it("hears from the moment a subscription resolves, also after all others were closed", async () => {
      const room = newRoom();
      const [first, second] = [new Heard(), new Heard()];
      const subscription = await subject.listener.subscribe(room, first.listener);
      subscription.close();
      announce(room, 1);
      await subject.listener.subscribe(room, second.listener);
      subscription.close();
      announce(room, 2);
      expect((await second.through(2)).at(-1)).toBe(2);
      expect(first.seqs).toEqual([]);
    });

    it("takes announcements and signals to rooms without subscribers", () => {
      expect(() => announce(newRoom(), 1)).not.toThrow();
      expect(() => subject.owner.signal(newRoom(), frame(1))).not.toThrow();
    });

    it("tells subscribers that listen for signals of them in order, byte for byte", async () => {
      const room = newRoom();
      const [heard, deaf] = [new Heard(), new Heard()];
      await subject.listener.subscribe(room, heard.listener, heard.onSignal);
      await subject.listener.subscribe(room, deaf.listener);
      for (const id of [1, 2, 3]) subject.owner.signal(room, frame(id));
      announce(room, 1);
      await heard.signalled(3);
      await deaf.through(1);
      expect(heard.signals.map(({ frame: { frame } }) => frame)).toMatchObject(
        [1, 2, 3].map((id) => ({ case: "ping", value: { id } })),
      );
      expect(heard.signals.map(({ bytes }) => [...bytes])).toEqual([1, 2, 3].map((id) => [...frame(id).bytes]));
    });

    it("says how far a room has come to those who want to know, and to nobody else", async () => {
      const [room, other] = [newRoom(), newRoom()];
      const [heard, deaf] = [new Heard(), new Heard()];
      const elsewhere = await subject.listener.subscribe(other, deaf.listener, deaf.onSignal, deaf.onGap);
      const closed = await subject.listener.subscribe(room, deaf.listener, deaf.onSignal, deaf.onGap);
      await subject.listener.subscribe(room, heard.listener, undefined, heard.onGap);
      closed.close();
      subject.owner.top(room, 7);
      await heard.told(1);
      expect(heard.gaps).toEqual([7]);
      expect(heard.events).toEqual([]);
      expect(deaf.gaps).toEqual([]);
      elsewhere.close();
    });

    it("says no signal to a subscription that was closed, or to another room", async () => {
      const [room, other] = [newRoom(), newRoom()];
      const [heard, sentinel] = [new Heard(), new Heard()];
      const subscription = await subject.listener.subscribe(room, heard.listener, heard.onSignal);
      await subject.listener.subscribe(other, heard.listener, heard.onSignal);
      await subject.listener.subscribe(room, sentinel.listener, sentinel.onSignal);
      subscription.close();
      subject.owner.signal(room, frame(1));
      await sentinel.signalled(1);
      expect(heard.signals).toEqual([]);
    });
  });
}

/** A signal that can be told from others. */
function frame(id: number): EncodedFrame {
  return EncodedFrame.of(create(ServerFrameSchema, { frame: { case: "ping", value: { id } } }));
}

/** What a listener has heard. */
class Heard {
  readonly events: EncodedEvent[] = [];
  readonly signals: EncodedFrame[] = [];
  readonly gaps: (number | undefined)[] = [];
  #waiting: (() => void)[] = [];

  readonly listener: FanoutListener = (events) => {
    this.events.push(...events);
    this.#wake();
  };

  readonly onSignal: SignalListener = (signal) => {
    this.signals.push(signal);
    this.#wake();
  };

  readonly onGap: GapListener = (top) => {
    this.gaps.push(top);
    this.#wake();
  };

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves once there are so many signals. */
  async signalled(count: number): Promise<void> {
    while (this.signals.length < count) await this.#next();
  }

  /** Resolves once it was told so often that something may be missing. */
  async told(count: number): Promise<void> {
    while (this.gaps.length < count) await this.#next();
  }

  get seqs(): readonly number[] {
    return this.events.map(({ seq }) => seq);
  }

  /** Resolves with all seqs once the one given was heard. */
  async through(seq: number): Promise<readonly number[]> {
    while (!this.seqs.includes(seq)) await this.#next();
    return this.seqs;
  }

  /** Resolves with all seqs once there are so many. */
  async count(events: number): Promise<readonly number[]> {
    while (this.events.length < events) await this.#next();
    return this.seqs;
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
