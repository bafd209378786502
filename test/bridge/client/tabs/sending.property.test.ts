// Whatever becomes of tabs, and of what connects them: what any of them sends is stored once, each tab's in its order, and all of them show the same.

import fc from "fast-check";
import { expect, it } from "vitest";
import type { Sending } from "../../../../bridge/client/outbox/sending.js";
import type { OutboxStorage } from "../../../../bridge/client/outbox/storage.js";
import type { Timeline } from "../../../../bridge/client/timeline/timeline.js";
import { SlowStorage } from "../outbox/use-pages.js";
import { MessageRoom } from "../support/message-room.js";
import { Server } from "../support/server.js";
import { FakeBrowser, type Tab } from "../support/tabs.js";
import { World } from "../support/world.js";

const ROOMS = ["tea", "cake"];
const DOINGS = [
  "send",
  "send",
  "send",
  "send",
  "open",
  "crash",
  "freeze",
  "freeze hearing",
  "thaw",
  "cut",
  "cut",
  "lose an answer",
  "silence",
  "restart",
  "move",
  "refuse",
  "refuse",
  "refuse",
  "online",
  "offline",
] as const;

const schedule = fc.array(
  fc.record({
    doing: fc.constantFrom(...DOINGS),
    tab: fc.nat(20),
    room: fc.constantFrom(...ROOMS),
    ms: fc.constantFrom(0, 0, 1, 3, 20, 50, 1_000, 12_000),
  }),
  { minLength: 5, maxLength: 50 },
);

/** From 0 to 1, the same again for the same seed. */
function diceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What all tabs keep together, as one of them sees it: it hears nothing while it stands still. */
class StorageOfTab implements OutboxStorage {
  readonly #all: OutboxStorage;
  tab: Tab | undefined;

  constructor(all: OutboxStorage) {
    this.#all = all;
  }

  load(owner: string): ReturnType<OutboxStorage["load"]> {
    return this.#heard(this.#all.load(owner));
  }

  put(...args: Parameters<OutboxStorage["put"]>): Promise<void> {
    return this.#heard(this.#all.put(...args));
  }

  remove(owner: string, id: string): Promise<void> {
    return this.#heard(this.#all.remove(owner, id));
  }

  get(owner: string, id: string): ReturnType<OutboxStorage["get"]> {
    return this.#heard(this.#all.get(owner, id));
  }

  #heard<T>(asked: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const task = (run: () => void): void => (this.tab === undefined ? run() : this.tab.task(run));
      asked.then(
        (value) => task(() => resolve(value)),
        (error: unknown) => task(() => reject(error)),
      );
    });
  }
}

interface Sent {
  readonly tab: Tab;
  readonly sending: Sending;
}

it("stores what is sent once and in each tab's order, and shows it in all of them", async () => {
  await fc.assert(
    fc.asyncProperty(schedule, fc.nat(), fc.nat({ max: 20 }), async (steps, seed, storageDelayMs) => {
      const dice = diceOf(seed);
      const world = new World();
      const server = new Server(world);
      const rooms = ROOMS.map((id) => new MessageRoom(server, id));
      const storage = new SlowStorage(world);
      storage.delayMs = storageDelayMs;
      const browser = new FakeBrowser(server, dice);
      browser.delayMs = () => Math.floor(dice() * 4);
      server.takesMs = () => Math.floor(dice() * 30);
      let refusals = 0;
      server.refuse = (kind) =>
        kind === "publish" && refusals-- > 0 ? { code: "ERROR_CODE_UNAVAILABLE", retryable: true } : undefined;
      let losses = 0;
      const { answers } = server;
      server.answers = (frame) => {
        const answering = answers(frame);
        if (answering?.kind !== "publish") return answering;
        const answer = (): ReturnType<typeof answering.answer> => {
          const result = answering.answer();
          if (losses-- > 0) server.network.cut();
          return result;
        };
        return { ...answering, answer };
      };
      const timelines = new Map<Tab, readonly Timeline[]>();
      const open = (): Tab => {
        const own = new StorageOfTab(storage);
        const tab = browser.open({ outbox: { storage: own, owner: { userId: "ada" } } });
        own.tab = tab;
        timelines.set(
          tab,
          ROOMS.map((id) => tab.client.room(id).timeline()),
        );
        return tab;
      };
      open();
      const sent: Sent[] = [];
      const alive = (): Tab[] => browser.tabs.filter(({ gone }) => !gone);
      for (const { doing, tab: number, room, ms } of steps) {
        const tabs = alive();
        const tab = tabs[number % Math.max(tabs.length, 1)];
        refusals = Math.max(refusals, 0);
        losses = Math.max(losses, 0);
        if (doing === "open" && tabs.length < 6) open();
        else if (doing === "crash") tab?.crash();
        else if (doing === "freeze") tab?.freeze();
        else if (doing === "freeze hearing") tab?.freeze({ hears: true });
        else if (doing === "thaw" && tab?.frozen) tab.thaw();
        else if (doing === "cut") server.network.cut();
        else if (doing === "lose an answer") losses++;
        else if (doing === "silence") server.network.silence();
        else if (doing === "restart") server.end(4100, 1_000);
        else if (doing === "move") server.move(1_000);
        else if (doing === "refuse") refusals++;
        else if (tab === undefined || tab.frozen) continue;
        else if (doing === "send") sent.push({ tab, sending: tab.client.room(room).send(`${sent.length}`) });
        else if (doing === "offline") tab.page.reach(false);
        else if (doing === "online") tab.page.reach(true);
        await world.run(ms);
      }
      refusals = losses = 0;
      for (const tab of alive()) {
        if (tab.frozen) tab.thaw();
        tab.page.reach(true);
      }
      // What those have left that are gone, the next one sees to.
      open();
      await world.run(300_000);
      for (const { tab, sending } of sent) if (!tab.gone) expect(sending.state).toBe("stored");
      for (const [index, { id, messages, texts }] of rooms.entries()) {
        const keys = messages.map(({ clientMessageId }) => clientMessageId);
        const wanted = sent.filter(({ sending }) => sending.roomId === id).map(({ sending }) => sending.key);
        expect(keys.toSorted()).toEqual(wanted.toSorted());
        for (const tab of browser.tabs) {
          const own = sent.filter((each) => each.tab === tab && each.sending.roomId === id);
          const order = own.map(({ sending }) => sending.key);
          expect(keys.filter((key) => order.includes(key ?? ""))).toEqual(order);
        }
        for (const tab of alive()) {
          const shown = timelines.get(tab)?.[index]?.snapshot.messages ?? [];
          expect(shown.map(({ body }) => body?.text)).toEqual(texts.slice(-50));
          expect(shown.filter(({ sending }) => sending !== undefined)).toEqual([]);
          expect(tab.client.room(id).pending).toEqual([]);
        }
      }
      expect(await settled(world, storage)).toEqual([]);
      for (const tab of alive()) tab.client.close();
      await world.run(60_000);
      expect(browser.left).toEqual([]);
    }),
    { numRuns: Number(process.env.TRUNKLINE_TEST_RUNS ?? 60) },
  );
}, 60_000);

async function settled(world: World, storage: SlowStorage) {
  const loading = storage.load(" ada");
  await world.run(100);
  return await loading;
}
