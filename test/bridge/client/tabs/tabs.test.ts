// Tabs that share a connection, on a scripted server in stopped time.

import { describe, expect, it, onTestFinished, vi } from "vitest";
import { RefusedError } from "../../../../bridge/client/error.js";
import * as channel from "../../../../bridge/client/tabs/channel.js";
import { FakeBrowser, type Tab } from "../support/tabs.js";
import { useServer } from "../support/use-client.js";

function useTabs(count: number) {
  const { world, server } = useServer();
  const browser = new FakeBrowser(server);
  const tabs = Array.from({ length: count }, () => browser.open());
  const first = tabs[0] as Tab;
  const second = tabs[1] as Tab;
  return { world, server, browser, tabs, first, second, run: (ms = 1_000) => world.run(ms) };
}

const LIVE = { status: "live" };
const CHANNEL = "../../../../bridge/client/tabs/channel.js";

describe("tabs of one browser", () => {
  it("share one connection, as one device", async () => {
    const { tabs, browser, run } = useTabs(20);
    await run();
    for (const { client } of tabs) expect(client.state).toMatchObject(LIVE);
    expect(browser.connections).toBe(1);
    expect(tabs.reduce((links, { page }) => links + page.links.length, 0)).toBe(1);
  });

  it("say how the one connection goes, each of them", async () => {
    const { server, tabs, run } = useTabs(2);
    await run();
    expect(tabs.map(({ client }) => client.state)).toMatchObject([{ via: "websocket" }, { via: "websocket" }]);
    server.network.via = "events";
    server.network.cut();
    await run(20_000);
    expect(tabs.map(({ client }) => client.state)).toMatchObject([{ via: "events" }, { via: "events" }]);
  });

  it("each read what they want, from where they want", async () => {
    const { first, second, server, run } = useTabs(2);
    server.say("tea", "one", "two");
    await run();
    first.read("tea");
    await run();
    server.say("tea", "three");
    await run();
    second.read("tea");
    second.read("cake");
    await run();
    server.say("tea", "four");
    server.say("cake", "sweet");
    await run();
    expect(first.heard.get("tea")).toEqual(["one", "two", "three", "four"]);
    expect(second.heard.get("tea")).toEqual(["one", "two", "three", "four"]);
    expect(second.heard.get("cake")).toEqual(["sweet"]);
    expect(server.violations).toEqual([]);
  });

  it("make no text of what is read only where the connection is", async () => {
    const { first, second, browser, server, run } = useTabs(2);
    await run();
    const texts = () => browser.posted.filter((said) => typeof said === "string" && said.includes("messageCreated"));
    first.read("tea");
    await run();
    server.say("tea", "one");
    await run();
    expect([first.heard.get("tea"), texts()]).toEqual([["one"], []]);
    second.read("tea");
    await run();
    server.say("tea", "two");
    await run();
    for (const { heard } of [first, second]) expect(heard.get("tea")).toEqual(["one", "two"]);
    expect(texts()).not.toEqual([]);
  });

  it("keep a room subscribed for as long as one of them reads it", async () => {
    const { first, second, server, run } = useTabs(2);
    first.read("tea");
    second.read("tea");
    await run();
    first.client.room("tea").close();
    await run();
    expect(server.session.rooms).toEqual(["tea"]);
    second.client.room("tea").close();
    await run();
    expect(server.session.rooms).toEqual([]);
  });

  it("miss nothing that another tab's subscription has come past", async () => {
    const { first, second, server, run } = useTabs(2);
    await run();
    server.limits.recoveryLimit = 100;
    first.read("tea");
    await run();
    // Said while the second subscribes from now on.
    second.client.room("tea").open();
    server.say("tea", "one", "two", "three");
    await run();
    expect(first.heard.get("tea")).toEqual(["one", "two", "three"]);
  });

  it("are told of a position that cannot be continued from, and of no other's", async () => {
    const { first, second, server, run } = useTabs(2);
    server.say("tea", "one", "two");
    first.read("tea");
    await run();
    second.client.room("tea").open({ after: { seq: 9, tag: 9 } });
    await run();
    expect(second.client.room("tea").state).toMatchObject({ status: "reset" });
    server.say("tea", "three");
    await run();
    expect(first.heard.get("tea")).toEqual(["one", "two", "three"]);
  });

  it("are told of it also where another tab comes back from elsewhere", async () => {
    const { first, second, server, run } = useTabs(2);
    server.say("tea", "one", "two");
    second.read("tea");
    await run();
    server.network.cut();
    server.room("tea").rewrite();
    await run(5);
    first.read("tea");
    await run(20_000);
    expect(second.client.room("tea").state).toMatchObject({ status: "reset" });
    expect(first.heard.get("tea")).toEqual(["one'", "two'"]);
  });

  it("are told by the hub where a room stands that another tab reads", async () => {
    const { first, second, server, run } = useTabs(2);
    const tops: unknown[] = [];
    second.client.on("top", (top) => tops.push(top));
    first.read("tea");
    await run();
    const { position } = server.room("tea").say("one");
    server.session.push({ roomEvents: { roomId: "tea", events: [{ position, messageCreated: { messageIndex: 1 } }] } });
    await run();
    expect(tops).toEqual([{ roomId: "tea", top: position, lastMessageIndex: 1 }]);
  });

  it("get the answers to what they have asked, and the refusals", async () => {
    const { first, second, server, run } = useTabs(2);
    await run();
    const answers = [first, second].map(({ client }, index) =>
      client.publish({ roomId: "tea", clientMessageId: `m${index}`, body: { text: `m${index}` } }),
    );
    await run();
    expect((await Promise.all(answers)).map(({ position }) => position?.seq)).toEqual([1, 2]);
    server.refuse = () => ({ code: "ERROR_CODE_TOO_LARGE", field: "publish.body.text" });
    const refused = second.client.publish({ roomId: "tea", clientMessageId: "m", body: { text: "long" } });
    const told = expect(refused).rejects.toMatchObject({ code: "ERROR_CODE_TOO_LARGE", field: "publish.body.text" });
    await run();
    await told;
    await expect(refused).rejects.toBeInstanceOf(RefusedError);
  });

  it("take turns where one asks for more than the server takes at a time", async () => {
    const { first, second, server, run } = useTabs(2);
    await run();
    server.takesMs = () => 100;
    const done: string[] = [];
    const ask = ({ client }: Tab, key: string): void => {
      client.publish({ roomId: key, clientMessageId: key, body: { text: key } }).then(() => done.push(key));
    };
    for (let index = 0; index < 50; index++) ask(first, `first-${index}`);
    ask(second, "second");
    await run(10_000);
    expect(done).toHaveLength(51);
    expect(done.indexOf("second")).toBeLessThan(20);
    expect(server.violations).toEqual([]);
  });

  it("go on over the next tab when the one that holds the connection is closed", async () => {
    const { tabs, first, browser, server, run } = useTabs(3);
    for (const tab of tabs) tab.read("tea");
    server.say("tea", "one");
    await run();
    first.crash();
    server.say("tea", "two");
    await run(5_000);
    server.say("tea", "three");
    await run();
    for (const tab of tabs.slice(1)) expect(tab.heard.get("tea")).toEqual(["one", "two", "three"]);
    expect(browser.connections).toBe(1);
    expect(new Set(browser.devices).size).toBe(1);
  });

  it.each([
    ["nothing runs", false],
    ["nothing but what others say is heard", true],
  ])("take the connection over from a tab in which %s, and which comes back to them", async (_how, hears) => {
    const { tabs, first, browser, server, run } = useTabs(3);
    for (const tab of tabs) tab.read("tea");
    await run();
    first.freeze({ hears });
    server.say("tea", "one");
    await run(20_000);
    expect(tabs.slice(1).map(({ heard }) => heard.get("tea"))).toEqual([["one"], ["one"]]);
    first.thaw();
    server.say("tea", "two");
    await run(20_000);
    for (const tab of tabs) {
      expect(tab.heard.get("tea")).toEqual(["one", "two"]);
      expect(tab.client.state).toMatchObject(LIVE);
      expect(tab.states).not.toContain("closed replaced");
    }
    expect(browser.connections).toBe(1);
  });

  it("come back from their positions when the connection is cut", async () => {
    const { tabs, browser, server, run } = useTabs(5);
    for (const tab of tabs) tab.read("tea");
    await run();
    server.network.cut();
    server.say("tea", "one", "two");
    await run(20_000);
    for (const tab of tabs) expect(tab.heard.get("tea")).toEqual(["one", "two"]);
    expect(browser.connections).toBe(1);
  });

  it("are closed when the server ends the session for good", async () => {
    const { tabs, server, run } = useTabs(3);
    await run();
    server.end(4502);
    await run();
    for (const { client } of tabs) expect(client.state).toEqual({ status: "closed", reason: "kicked" });
  });

  it("stay away for as long as the server asks", async () => {
    const { tabs, server, run } = useTabs(3);
    await run();
    server.end(4102, 30_000);
    await run(29_000);
    for (const { client } of tabs) expect(client.state).toMatchObject({ status: "waiting", reason: "busy" });
    await run(5_000);
    for (const { client } of tabs) expect(client.state).toMatchObject(LIVE);
    expect(server.network.dialled).toHaveLength(2);
  });

  it("show the server a token each once, and after that one of them does", async () => {
    const { tabs, server, run } = useTabs(4);
    await run();
    expect(tabs.map(({ asked }) => asked)).toEqual([[false], [false], [false], [false]]);
    server.network.cut();
    await run(20_000);
    expect(tabs.map(({ asked }) => asked.length).sort()).toEqual([1, 1, 1, 2]);
  });

  it("get a token from another tab where the first has none to give", async () => {
    const { server, world } = useServer();
    const browser = new FakeBrowser(server);
    const failing = browser.open({ token: () => Promise.reject(new Error("away")) });
    await world.run(1_000);
    const able = browser.open();
    await world.run(60_000);
    expect(able.client.state).toMatchObject(LIVE);
    expect(failing.client.state.status).not.toBe("closed");
  });

  it("keep apart where they are of different users", async () => {
    const { browser, first, server, run } = useTabs(1);
    await run();
    server.refuse = (kind) => (kind === "refreshToken" ? { code: "ERROR_CODE_PERMISSION_DENIED" } : undefined);
    const other = browser.open();
    await run(20_000);
    expect(first.client.state).toMatchObject(LIVE);
    expect(other.client.state).toMatchObject(LIVE);
    expect(browser.connections).toBe(2);
    expect(new Set(browser.devices).size).toBe(2);
  });

  it("keep apart where they are of two versions of the client, for as long as both are open", async () => {
    const { browser, first, second, run } = useTabs(2);
    await run();
    vi.resetModules();
    vi.doMock(CHANNEL, () => ({ ...channel, VERSION: channel.VERSION + 1 }));
    onTestFinished(() => void vi.doUnmock(CHANNEL));
    ({ share: browser.share } = await import("../../../../bridge/client/tabs/share.js"));
    const later = [browser.open(), browser.open()];
    await run(120_000);
    for (const { states } of [first, second, ...later]) expect(states).toEqual(["live"]);
    expect(browser.connections).toBe(2);
    expect(new Set(browser.devices).size).toBe(2);
  });

  it.each([
    ["4000 where the last of them has dropped the connection, and comes back", "drop", 4000, LIVE],
    ["1000 where the last of them is closed", "close", 1000, { status: "closed" }],
  ] as const)("close the connection with %s", async (_when, how, code, after) => {
    const { first, second, browser, server, run } = useTabs(2);
    await run();
    second.client.close();
    first.read("tea");
    await run();
    first.client[how]();
    await run(20_000);
    expect(first.page.links.map(({ leftWith }) => leftWith)).toEqual(how === "drop" ? [code, undefined] : [code]);
    expect(first.client.state).toMatchObject(after);
    server.say("tea", "one");
    await run();
    expect(first.heard.get("tea")).toEqual(how === "drop" ? ["one"] : []);
    expect(browser.connections).toBe(how === "drop" ? 1 : 0);
  });

  it("leave nothing behind when they are closed", async () => {
    const { tabs, browser, run } = useTabs(3);
    await run();
    for (const { client } of tabs) client.close();
    await run(60_000);
    expect(browser.connections).toBe(0);
    expect(browser.left).toEqual([]);
    for (const { page } of tabs) expect([page.timers, page.watchers]).toEqual([0, 0]);
  });

  it("go on when the client of the tab that holds the connection is closed, over the same connection", async () => {
    const { first, second, server, run } = useTabs(2);
    second.read("tea");
    await run();
    first.client.close();
    await run();
    server.say("tea", "one");
    await run();
    expect(second.heard.get("tea")).toEqual(["one"]);
    expect(server.network.dialled).toHaveLength(1);
  });
});

describe("tabs that do not share", () => {
  it("are a device each, which a reload keeps and a copy does not", async () => {
    const { server, world } = useServer();
    const browser = new FakeBrowser(server);
    const one = browser.open({ tabs: "own" });
    await world.run(1_000);
    const copy = browser.open({ tabs: "own" }, one);
    await world.run(1_000);
    expect(browser.connections).toBe(2);
    const [device] = browser.devices;
    one.crash();
    await world.run(1_000);
    const reloaded = browser.open({ tabs: "own" }, one);
    await world.run(1_000);
    expect([copy, reloaded].map(({ client }) => client.state.status)).toEqual(["live", "live"]);
    expect(browser.devices).toContain(device);
    expect(browser.connections).toBe(2);
  });
});
