// Whatever becomes of tabs and of what connects them, each is told every event once and in order, and everything that was asked is settled.

import fc from "fast-check";
import { expect, it } from "vitest";
import { Server } from "../support/server.js";
import { FakeBrowser, type Tab } from "../support/tabs.js";
import { World } from "../support/world.js";

const ROOMS = ["tea", "cake"];
const DOINGS = [
  "open",
  "visit",
  "copy",
  "crash",
  "freeze",
  "freeze hearing",
  "thaw",
  "cut",
  "silence",
  "restart",
  "move",
  "say",
  "publish",
  "leave room",
  "read room",
  "close client",
  "connect client",
  "expire",
  "online",
  "offline",
] as const;

const schedule = fc.array(
  fc.record({
    doing: fc.constantFrom(...DOINGS),
    tab: fc.nat(20),
    room: fc.constantFrom(...ROOMS),
    ms: fc.constantFrom(0, 1, 3, 50, 1_000, 12_000),
  }),
  { minLength: 5, maxLength: 40 },
);

/** From 0 to 1, the same again for the same seed. */
function diceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

it("tells each tab every event once and in order, over one connection", async () => {
  await fc.assert(
    fc.asyncProperty(schedule, fc.nat(), async (steps, seed) => {
      const dice = diceOf(seed);
      const world = new World();
      const server = new Server(world);
      const browser = new FakeBrowser(server, dice);
      browser.delayMs = () => Math.floor(dice() * 4);
      server.takesMs = () => Math.floor(dice() * 30);
      const asked: { readonly tab: Tab; settled: boolean }[] = [];
      let said = 0;
      const open = (copied?: Tab): Tab => {
        const tab = browser.open({}, copied);
        for (const room of ROOMS) tab.read(room);
        return tab;
      };
      open();
      const alive = (): Tab[] => browser.tabs.filter(({ gone }) => !gone);
      for (const { doing, tab: number, room, ms } of steps) {
        const tabs = alive();
        const tab = tabs[number % Math.max(tabs.length, 1)];
        if (doing === "open" && tabs.length < 8) open();
        else if (doing === "visit" && tabs.length < 8) browser.open().client.room(room).open();
        else if (doing === "copy" && tab !== undefined && tabs.length < 8) open(tab);
        else if (doing === "crash") tab?.crash();
        else if (doing === "freeze") tab?.freeze();
        else if (doing === "freeze hearing") tab?.freeze({ hears: true });
        else if (doing === "thaw" && tab?.frozen) tab.thaw();
        else if (doing === "cut") server.network.cut();
        else if (doing === "silence") server.network.silence();
        else if (doing === "restart") server.end(4100, 1_000);
        else if (doing === "move") server.move(1_000);
        else if (doing === "say") server.say(room, `${said++}`, `${said++}`, `${said++}`);
        else if (doing === "expire") for (const session of server.sessions) session.expire(5_000);
        else if (tab === undefined || tab.frozen) continue;
        else if (doing === "publish") {
          const asking = { tab, settled: false };
          asked.push(asking);
          const over = (): void => {
            asking.settled = true;
          };
          const text = `${said++}`;
          tab.client.publish({ roomId: room, clientMessageId: text, body: { text } }).then(over, over);
        } else if (doing === "leave room") tab.client.room(room).close();
        else if (doing === "read room") tab.client.room(room).open();
        else if (doing === "close client") tab.client.close();
        else if (doing === "connect client") tab.client.connect();
        else if (doing === "offline") tab.page.reach(false);
        else if (doing === "online") tab.page.reach(true);
        await world.run(ms);
      }
      // Nothing more is said: what was missed is not found by what comes after it.
      const heal = async (tabs: readonly Tab[]): Promise<void> => {
        for (const tab of tabs) {
          if (tab.frozen) tab.thaw();
          tab.page.reach(true);
          tab.client.connect();
          for (const room of tab.heard.keys()) tab.client.room(room).open();
        }
        await world.run(180_000);
        for (const tab of tabs) {
          expect(tab.client.state.status).toBe("live");
          for (const [room, texts] of tab.heard) expect(texts).toEqual(server.room(room).texts);
        }
      };
      // Nobody waits for those that sleep on.
      await heal(alive().filter(({ frozen }) => !frozen));
      await heal(alive());
      if (alive().length > 0) expect(browser.connections).toBe(1);
      expect(asked.filter(({ tab, settled }) => !tab.gone && !settled)).toEqual([]);
      for (const tab of alive()) tab.client.close();
      await world.run(60_000);
      expect(browser.left).toEqual([]);
    }),
    { numRuns: Number(process.env.TRUNKLINE_TEST_RUNS ?? 60) },
  );
}, 60_000);
