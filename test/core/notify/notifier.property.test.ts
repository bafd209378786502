// Whatever happens in whatever order, nobody who stays away goes untold, and nobody is told of what they have received.

import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { TestClient } from "../use-core.js";
import { GRACE_MS, Town } from "./use-notifier.js";

const ROOMS = ["r", "s"] as const;
const USERS = ["bob", "carl"] as const;

type Step =
  | { readonly does: "say"; readonly roomId: string }
  | { readonly does: "come" | "leave" | "vanish"; readonly userId: string }
  | { readonly does: "read"; readonly userId: string; readonly roomId: string }
  | { readonly does: "wait"; readonly ms: number }
  | { readonly does: "restart" | "crash" | "notifier down" | "notifier up" };

const roomId = fc.constantFrom(...ROOMS);
const userId = fc.constantFrom(...USERS);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant("say" as const), roomId }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom("come" as const, "leave", "vanish"), userId }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("read" as const), userId, roomId }) },
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constant("wait" as const), ms: fc.integer({ min: 250, max: 2 * GRACE_MS }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constantFrom("restart" as const, "crash", "notifier down", "notifier up") }),
  },
);

/** What is known of a user in a room: the test's own account. */
interface Standing {
  /** The last message. */
  top: number;
  /** How far they have read. */
  read: number;
  /** Whether something was said since they were last here. */
  owed: boolean;
  /** How often they had been told when they came last. */
  toldBefore: number;
  /** Handed over: first and last seq, in order, repeats too. */
  readonly told: { readonly id: string; readonly first: number; readonly last: number }[];
}

class Account {
  readonly town = new Town();
  readonly #clients = new Map<string, TestClient>();
  readonly #standings = new Map<string, Standing>();
  #seen = 0;

  standing(user: string, room: string): Standing {
    const key = `${user}/${room}`;
    const standing = this.#standings.get(key) ?? { top: 0, read: 0, owed: false, toldBefore: 0, told: [] };
    this.#standings.set(key, standing);
    return standing;
  }

  async take(step: Step): Promise<void> {
    const { town } = this;
    switch (step.does) {
      case "say": {
        const seq = await town.says("ada", step.roomId);
        for (const user of USERS) {
          const standing = this.standing(user, step.roomId);
          standing.top = seq;
          if (!this.#isHere(user)) standing.owed = true;
        }
        break;
      }
      case "come":
        if (!this.#isHere(step.userId)) this.#clients.set(step.userId, await town.comes(step.userId));
        this.#look();
        for (const room of ROOMS) {
          const standing = this.standing(step.userId, room);
          standing.owed = false;
          standing.toldBefore = standing.told.length;
        }
        // So that a crash does not take it: who was here is stored about once a second.
        await this.elapse(1_250);
        break;
      case "leave":
      case "vanish":
        this.#clients.get(step.userId)?.connection.gone(step.does === "leave");
        this.#clients.delete(step.userId);
        break;
      case "read": {
        const client = this.#clients.get(step.userId);
        if (client === undefined || !this.#isHere(step.userId)) break;
        await town.reads(client, step.roomId);
        const standing = this.standing(step.userId, step.roomId);
        standing.read = standing.top;
        // So are markers.
        await this.elapse(1_250);
        break;
      }
      case "wait":
        await this.elapse(step.ms);
        break;
      case "restart":
      case "crash":
        this.#clients.clear();
        await (step.does === "restart" ? town.restart() : town.crash());
        break;
      case "notifier down":
      case "notifier up":
        town.notifier.down = step.does === "notifier down";
    }
    this.#look();
  }

  async elapse(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 5_000) {
      await this.town.elapse(Math.min(left, 5_000));
      this.#look();
    }
  }

  /** Everybody goes, and everything that is owed comes. */
  async end(): Promise<void> {
    this.town.notifier.down = false;
    for (const user of USERS) await this.take({ does: "vanish", userId: user });
    await this.elapse(600_000);
  }

  #isHere(user: string): boolean {
    const client = this.#clients.get(user);
    return client !== undefined && client.endedWith === undefined;
  }

  /** What was handed over just now, held against what is so just now. */
  #look(): void {
    const { taken } = this.town.notifier;
    for (const { userId: user, roomId: room, notificationId: id, first, last } of taken.slice(this.#seen)) {
      const standing = this.standing(user, room);
      const told = { id, first: first?.seq ?? 0, last: last?.seq ?? 0 };
      // Never of what was read.
      expect(told.first).toBeGreaterThan(standing.read);
      // In order: bursts do not overlap, and a repeat is of the last one.
      const before = standing.told.at(-1);
      if (before !== undefined && before.id !== id) expect(told.first).toBeGreaterThan(before.last);
      standing.told.push(told);
    }
    this.#seen = taken.length;
  }
}

it("whoever stays away is told of each burst, in order, and of nothing that they have read", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
      const account = new Account();
      await account.town.start();
      try {
        for (const room of ROOMS) await account.town.room(room, "ada", ...USERS);
        for (const each of steps) await account.take(each);
        await account.end();
        // Whoever never came back for what was said has been told since they went.
        for (const user of USERS) {
          for (const room of ROOMS) {
            const { owed, told, toldBefore } = account.standing(user, room);
            if (owed) expect(told.length).toBeGreaterThan(toldBefore);
          }
        }
      } finally {
        await account.town.stop();
      }
    }),
    { numRuns: 80 },
  );
}, 120_000);
