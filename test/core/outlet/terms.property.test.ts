// Owners of one shard who come, go and die as they please, while what they ask of the store and of the target takes its time: whatever comes
// between, each event is handed over, or what is kept says that it has not been.

import fc from "fast-check";
import { expect, it } from "vitest";
import { EventOutlet } from "../../../src/core/outlet/event-outlet.js";
import { Outlet } from "../../../src/core/outlet/outlet.js";
import { shardOf } from "../../../src/ports/shard.js";
import { type TestRooms, useRooms, user } from "../room/use-rooms.js";
import { settle } from "../use-core.js";
import { holds, RecordingTarget } from "./use-sink.js";

const OWNERS = 3;
const SHARD = 0;
/** Finer than what is tried again is spread. */
const STEP_MS = 50;

const owner = fc.nat({ max: OWNERS - 1 });
const room = fc.nat({ max: 1 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ is: fc.constant("publish" as const), room }) },
  { weight: 4, arbitrary: fc.record({ is: fc.constant("open" as const), owner, held: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("yield" as const), owner }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("release" as const), owner }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant("die" as const), owner }) },
  { weight: 3, arbitrary: fc.record({ is: fc.constant("refuse" as const), room, refused: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant("hold" as const), owner, held: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant("late" as const), late: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ is: fc.constant("pass" as const), which: fc.nat() }) },
  { weight: 6, arbitrary: fc.record({ is: fc.constant("time" as const), ms: fc.constantFrom(50, 250, 1_000) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** A node that looks after the shard, for as long as it believes that it is its own. */
class Owner {
  readonly outlet: Outlet;
  /** Whether what it asks waits, on its way there and back, until it is let pass. */
  held: boolean;
  readonly #waiting: (() => void)[];
  readonly #end: () => void;

  constructor(rooms: TestRooms, target: RecordingTarget, waiting: (() => void)[], held: boolean) {
    this.held = held;
    this.#waiting = waiting;
    const { archive, outlets, end } = rooms.engine.node();
    let dead = false;
    this.#end = () => {
      dead = true;
      end();
    };
    const slow = <A extends unknown[], R>(ask: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        await this.#wait();
        if (dead) return new Promise(() => {});
        const answer = await ask(...args).then(
          (value) => () => value,
          (cause: unknown) => () => {
            throw cause;
          },
        );
        await this.#wait();
        return answer();
      };
    };
    archive.beginTerm = slow(archive.beginTerm.bind(archive));
    archive.follow = slow(archive.follow.bind(archive));
    outlets.takeUp = slow(outlets.takeUp.bind(outlets));
    outlets.park = slow(outlets.park.bind(outlets));
    outlets.unpark = slow(outlets.unpark.bind(outlets));
    const sink = { deliver: slow((batch: Parameters<RecordingTarget["deliver"]>[0]) => target.deliver(batch)) };
    const deps = { ...rooms.deps, archive };
    this.outlet = new Outlet(deps, new EventOutlet(deps, outlets, { name: "orders", sink }));
    this.outlet.start();
    this.outlet.opened(SHARD, endOf(rooms));
  }

  die(): void {
    this.#end();
    void this.outlet.stop();
  }

  async #wait(): Promise<void> {
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

function endOf(rooms: TestRooms): number {
  return rooms.engine.state.shards[SHARD]?.end ?? 0;
}

async function run(steps: readonly Step[]): Promise<void> {
  const rooms = await useRooms();
  const inShard = Array.from({ length: 40 }, (_, index) => `room-${index}`).filter(
    (roomId) => shardOf(`acme/${roomId}`, rooms.engine.shards) === SHARD,
  );
  const roomIds = inShard.slice(0, 2);
  const target = new RecordingTarget();
  const refused = new Set<string>();
  target.refuses = (batch) => [...refused].some((roomId) => holds(batch, roomId));
  const waiting: (() => void)[] = [];
  const owners: (Owner | undefined)[] = [];
  /** Everybody whose shard it is, or was: some have not heard of the end. */
  const all: Owner[] = [];
  let said = 0;
  /** Whether what is taken away is given up, and arrives when it is let pass. */
  let late = false;
  rooms.engine.holdsUnpark = (arrive) => {
    if (late) waiting.push(arrive);
    return late;
  };

  const elapse = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      rooms.clock.advance(STEP_MS);
      await settle(3);
    }
  };
  const open = (index: number, held: boolean): Owner => {
    const opened = new Owner(rooms, target, waiting, held);
    owners[index] = opened;
    all.push(opened);
    return opened;
  };
  const take = async (each: Step): Promise<void> => {
    switch (each.is) {
      case "publish":
        await rooms.publish(user("ada"), roomIds[each.room] ?? "", `m${said++}`);
        for (const at of owners) at?.outlet.appended(SHARD);
        break;
      case "open":
        if (owners[each.owner] === undefined) open(each.owner, each.held);
        break;
      case "yield":
        void owners[each.owner]?.outlet.yielding(SHARD);
        break;
      case "release":
        owners[each.owner]?.outlet.released(SHARD);
        owners[each.owner] = undefined;
        break;
      case "die":
        owners[each.owner]?.die();
        owners[each.owner] = undefined;
        break;
      case "refuse":
        if (each.refused) refused.add(roomIds[each.room] ?? "");
        else refused.delete(roomIds[each.room] ?? "");
        break;
      case "hold": {
        const at = owners[each.owner];
        if (at !== undefined) at.held = each.held;
        break;
      }
      case "late":
        late = each.late;
        break;
      case "pass":
        waiting.splice(each.which % Math.max(waiting.length, 1), 1)[0]?.();
        break;
      case "time":
        await elapse(each.ms);
    }
    await settle(3);
  };

  // It was there from the start, so that nothing stands before where the outlet begins.
  open(0, false);
  await settle();
  for (const roomId of roomIds) await rooms.room(roomId);
  for (const each of steps) await take(each);
  for (const each of all) each.die();
  for (const arrive of waiting.splice(0)) arrive();
  late = false;
  refused.clear();
  const last = open(0, false);
  await elapse(5_000);
  for (const roomId of roomIds) {
    const written = (await rooms.events(roomId)).map((_, index) => index + 1);
    // Some more than once; each for the first time in the order of the room.
    expect([...new Set(target.seqs(roomId))]).toEqual(written);
  }
  last.die();
}

it("loses nothing between owners, and hands everything over for the first time in order", {
  timeout: 120_000,
}, async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80, size: "max" }), run), {
    numRuns: 200,
  });
});
