// A follower sees every event, in order, at least once, whatever is interrupted.

import { describe, expect, it, onTestFinished } from "vitest";
import type { CoreDependencies } from "../../../src/core/core.js";
import { Follower, type Following } from "../../../src/core/follow/follower.js";
import type { EncodedEvent } from "../../../src/ports/encoded-event.js";
import type { EventLog } from "../../../src/ports/event-log.js";
import type { RoomRef } from "../../../src/ports/room-ref.js";
import { shardOf } from "../../../src/ports/shard.js";
import { type TestRooms, useRooms, user } from "../room/use-rooms.js";
import { gate, settle } from "../use-core.js";

const ada = user("ada");

class Recorder implements Following {
  readonly name = "recorder";
  /** `room seq`, in the order in which they were done. */
  readonly done: string[] = [];
  /** Events that make work that takes turns of the event loop. */
  slow: (seq: number) => boolean = () => false;
  /** How often the next work fails. */
  failures = 0;

  handle({ roomId }: RoomRef, { seq }: EncodedEvent): Promise<void> | undefined {
    const finish = (): void => {
      this.done.push(`${roomId} ${seq}`);
    };
    if (!this.slow(seq)) {
      finish();
      return undefined;
    }
    if (this.failures > 0) {
      this.failures--;
      return settle(1).then(() => Promise.reject(new Error("not now")));
    }
    return settle(1).then(finish);
  }
}

function follow(
  rooms: TestRooms,
  following = new Recorder(),
  deps: CoreDependencies = rooms.deps,
): { follower: Follower; recorder: Recorder } {
  const follower = new Follower(deps, following);
  rooms.owner.onAppended((shard, from, records) => follower.appended(shard, from, records));
  for (const [shard, end] of rooms.owner.ends.entries()) follower.opened(shard, end);
  follower.start();
  // Not waited for: an archive that has died with its process never answers.
  onTestFinished(() => void follower.stop());
  return { follower, recorder: following };
}

async function say(rooms: TestRooms, roomId: string, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await rooms.publish(ada, roomId, `m${n}`);
}

describe("a follower", () => {
  it("begins where the log ends when it runs for the first time", async () => {
    const rooms = await useRooms();
    await rooms.room("r");
    const { recorder } = follow(rooms);
    await settle();
    await say(rooms, "r", 1, 2);
    await settle();
    expect(recorder.done).toEqual(["r 2", "r 3"]);
  });

  it("reads nothing again that it was told of, and everything it was not", async () => {
    const rooms = await useRooms();
    await rooms.room("r");
    const { recorder } = follow(rooms);
    recorder.slow = (seq) => seq % 3 === 0;
    await settle();
    await Promise.all(Array.from({ length: 10 }, (_, n) => rooms.publish(ada, "r", `m${n}`)));
    await settle();
    expect(recorder.done).toEqual(Array.from({ length: 10 }, (_, n) => `r ${n + 2}`));
  });

  it("misses nothing that comes while it reads", async () => {
    const rooms = await useRooms();
    await rooms.room("r");
    const recorder = new Recorder();
    const { deps } = rooms;
    const read = gate<void>();
    const { log } = deps;
    const late: EventLog = {
      shards: log.shards,
      archivesOnAppend: log.archivesOnAppend,
      era: log.era,
      continues: (era, offsets) => log.continues(era, offsets),
      maxBatchBytes: log.maxBatchBytes,
      open: (shard) => log.open(shard),
      append: (shard, at, batch) => log.append(shard, at, batch),
      ends: () => log.ends(),
      begins: () => log.begins(),
      read: async (shard, from, limit) => {
        const records = await log.read(shard, from, limit);
        await read.promise;
        return records;
      },
    };
    follow(rooms, recorder, { ...deps, log: late });
    await settle();
    await say(rooms, "r", 1, 2);
    read.resolve();
    await settle();
    expect(recorder.done).toEqual(["r 2", "r 3"]);
  });

  it("tries again what has failed, and goes on behind it only then", async () => {
    const rooms = await useRooms();
    await rooms.room("r");
    const { recorder } = follow(rooms);
    recorder.slow = (seq) => seq === 3;
    recorder.failures = 2;
    await settle();
    await say(rooms, "r", 1, 4);
    await settle();
    expect(recorder.done).toEqual(["r 2"]);
    for (const wait of [500, 1_000]) {
      rooms.clock.advance(wait);
      await settle();
    }
    expect(recorder.done).toEqual(["r 2", "r 3", "r 4", "r 5"]);
  });

  it("takes up after a restart where it was remembered, and does nothing twice that it had time to remember", async () => {
    const rooms = await useRooms();
    await rooms.room("r");
    const first = follow(rooms);
    await settle();
    await say(rooms, "r", 1, 2);
    rooms.clock.advance(1_000);
    await settle();
    await say(rooms, "r", 3, 3);
    await rooms.restart();
    const second = follow(rooms);
    await settle();
    await say(rooms, "r", 4, 4);
    await settle();
    expect(first.recorder.done).toEqual(["r 2", "r 3", "r 4"]);
    expect(second.recorder.done).toEqual(["r 4", "r 5"]);
  });

  it("follows what was stored without an answer", async () => {
    const rooms = await useRooms();
    await rooms.room("r");
    const { recorder } = follow(rooms);
    await settle();
    rooms.engine.faultNextAppend({ kind: "lose-answer" });
    await expect(rooms.publish(ada, "r", "m1")).rejects.toThrow();
    expect(recorder.done).toEqual([]);
    rooms.clock.advance(200);
    await settle();
    expect(recorder.done).toEqual(["r 2"]);
  });

  it("leaves no timer behind", async () => {
    const rooms = await useRooms();
    const before = rooms.clock.pending;
    const { follower } = follow(rooms);
    await settle();
    await follower.stop();
    expect(rooms.clock.pending).toBe(before);
  });
});

describe("a follower that was away for longer than the log keeps events", () => {
  it("says what is lost, loudly, and goes on with what is left", async () => {
    const rooms = await useRooms();
    await rooms.room("r");
    const first = follow(rooms);
    await settle();
    await first.follower.stop();
    await say(rooms, "r", 1, 3);
    const shard = shardOf("acme/r", rooms.engine.shards);
    const { end = 0 } = rooms.engine.state.shards[shard] ?? {};
    rooms.engine.expire(shard, end - 1);
    const lost: unknown[] = [];
    rooms.deps.telemetry.on("follower.lost", (event) => lost.push(event));
    const { recorder, follower } = follow(rooms);
    await settle();
    expect(recorder.done).toEqual(["r 4"]);
    expect(lost).toEqual([{ follower: "recorder", shard, from: end - 3, to: end - 1 }]);
    await say(rooms, "r", 4, 4);
    await settle();
    expect(recorder.done).toEqual(["r 4", "r 5"]);
    await follower.stop();
    // It is said once: where it goes on is remembered.
    const again = follow(rooms);
    await settle();
    expect([again.recorder.done, lost.length]).toEqual([[], 1]);
  });
});
