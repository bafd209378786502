// Stories of people who come, go and come back, as others see them.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { at, isArray, type JsonObject, TestClient, TRANSPORTS, type Transport } from "../support/client/index.js";
import { TestServer } from "../support/server.js";
import { Person, type PersonOptions } from "../support/story/person.js";
import { Tunnel } from "../support/story/tunnel.js";
import { signToken } from "../support/token.js";
import { testWith } from "../support/tool.js";

const PAGE = fileURLToPath(new URL("../../examples/browser.html", import.meta.url));
const CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];

/** So patient that nobody who is lost is ever given up, and so impatient that everybody is soon. */
const patient = new TestServer({ environment: { TRUNKLINE_PRESENCE_GRACE: "1h" } });
const impatient = new TestServer({ environment: { TRUNKLINE_PRESENCE_GRACE: "100ms" } });
beforeAll(() => Promise.all([patient.start(), impatient.start()]));
afterAll(() => Promise.all([patient.dispose(), impatient.dispose()]));

async function enter(server: TestServer, name: string, options?: PersonOptions): Promise<Person> {
  return await new Person(server, name, options).comes();
}

/** Somebody whose network can be cut. */
async function enterByTunnel(server: TestServer, name: string, transport: Transport) {
  const { endpoints, issuer } = server;
  const { host } = new URL(endpoints.ws);
  const tunnel = await Tunnel.to(transport === "grpc" ? endpoints.grpc : host);
  onTestFinished(() => tunnel.close());
  const { address } = tunnel;
  const by = { grpc: address, ws: `ws://${address}/v1/connect`, http: `http://${address}` };
  return { tunnel, person: await new Person({ endpoints: by, issuer }, name, { transport }).comes() };
}

/** Resolves once the server has noticed that nobody of this name is connected any more. */
async function isGone(server: TestServer, name: string): Promise<void> {
  const client = new TestClient("grpc", server.endpoints);
  const token = signToken(server.issuer, { user: "bot", grants: ["service"] });
  for (;;) {
    const outcome = await client.call(token, "ListSessions", { userId: name }, "PresenceService");
    if ("error" in outcome) throw new Error(outcome.error.message);
    const sessions = at(outcome.response, "sessions");
    if (!isArray(sessions) || sessions.length === 0) return;
  }
}

describe.each(TRANSPORTS)("over %s", (transport) => {
  test("who loads their page anew was never away", async () => {
    const wanda = await enter(patient, `wanda-${transport}`, { transport });
    const { person: rita, tunnel } = await enterByTunnel(patient, `rita-${transport}`, transport);
    await rita.makes(`cafe-${transport}`, { members: [{ userId: wanda.name }] });
    expect(await wanda.watches(rita.name)).toEqual([rita.name]);
    tunnel.cut();
    await isGone(patient, rita.name);
    await rita.comes();
    await rita.setsStatus("AWAY", "getting coffee");
    expect(await wanda.notices(rita.name)).toBe("AWAY getting coffee");
    tunnel.cut();
    await isGone(patient, rita.name);
    await rita.comes();
    await rita.setsStatus("ONLINE");
    // Also what was set was there all the time.
    expect(await wanda.notices(rita.name)).toBe("ONLINE");
  });

  test("who says goodbye is away at once", async () => {
    const walt = await enter(patient, `walt-${transport}`, { transport });
    const rosa = await enter(patient, `rosa-${transport}`, { transport });
    await rosa.makes(`bar-${transport}`, { members: [{ userId: walt.name }] });
    await walt.watches(rosa.name);
    rosa.leaves();
    expect(await walt.notices(rosa.name)).toBe("OFFLINE");
    await rosa.comes();
    expect(await walt.notices(rosa.name)).toBe("ONLINE");
  });

  test("who is lost for long is away once", async () => {
    const wim = await enter(impatient, `wim-${transport}`, { transport });
    const { person: rolf, tunnel } = await enterByTunnel(impatient, `rolf-${transport}`, transport);
    await rolf.makes(`pub-${transport}`, { members: [{ userId: wim.name }] });
    await wim.watches(rolf.name);
    tunnel.cut();
    expect(await wim.notices(rolf.name)).toBe("OFFLINE");
    await rolf.comes();
    expect(await wim.notices(rolf.name)).toBe("ONLINE");
    await rolf.setsStatus("DO_NOT_DISTURB");
    expect(await wim.notices(rolf.name)).toBe("DO_NOT_DISTURB");
  });
});

testWith(
  "chromium",
  "a browser's tab that is loaded anew was never away",
  async (executablePath) => {
    const page = createServer((_request, response) => {
      response.setHeader("content-type", "text/html").end(readFileSync(PAGE));
    });
    await new Promise<void>((resolve) => page.listen(0, "127.0.0.1", resolve));
    const address = page.address();
    const origin = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    const environment = { TRUNKLINE_ALLOWED_ORIGINS: origin, TRUNKLINE_PRESENCE_GRACE: "1h" };
    const server = new TestServer({ environment });
    const browser = await chromium.launch({ executablePath, args: CHROMIUM_FLAGS });
    onTestFinished(async () => {
      await browser.close();
      await server.dispose();
      page.close();
    });
    await server.start();
    const wanda = await enter(server, "wanda");
    await wanda.makes("lobby", { members: [{ userId: "tara" }] });
    const tab = await browser.newPage();
    const token = signToken(server.issuer, { user: "tara", name: "tara" });
    await tab.goto(`${origin}/#ws=${server.endpoints.ws}&room=lobby&token=${token}`);
    await tab.getByText("connected as tara").waitFor();
    expect(await wanda.watches("tara")).toEqual(["tara"]);
    await tab.reload();
    await tab.getByText("connected as tara").waitFor();
    // Whatever was to be told of the tab has been told before this.
    const phone = await enter(server, "tara", { device: "phone" });
    await phone.setsStatus("DO_NOT_DISTURB");
    expect(await wanda.notices("tara")).toBe("DO_NOT_DISTURB");
  },
  90_000,
);

test("two devices of one user follow each other: what one reads, sets and blocks, the other knows", async () => {
  const phone = await enter(patient, "fay", { device: "phone", transport: "grpc" });
  const desk = await enter(patient, "fay", { device: "desk" });
  const gus = await enter(patient, "gus");
  await gus.makes("shop", { members: [{ userId: "fay" }] });
  for (const one of [phone, desk, gus]) await one.reads("shop");
  await gus.says("shop", "we are out of tea");
  for (const one of [phone, desk]) await one.sees("shop", "gus: we are out of tea");
  await phone.hasRead("shop");
  const ofFay = (content: JsonObject): boolean => at(content, "markers", 0, "userId") === "fay";
  expect(await desk.hears("markers", ofFay)).toMatchObject({ roomId: "shop", markers: [{ readSeq: 2 }] });
  const rooms = at(await desk.calls({ listRooms: {} }), "listRooms", "rooms");
  expect(at(rooms, 0, "unreadCount") ?? 0).toBe(0);

  await desk.calls({ setSettings: { key: "s", settings: [{ key: "theme", value: "ZGFyaw==" }] } });
  await phone.calls({ blockUser: { userId: "gus", blocked: true, key: "b" } });
  const both = [
    { settingChanged: { key: "theme", value: "ZGFyaw==" } },
    { userBlocked: { userId: "gus", blocked: true } },
  ];
  const [, ...told] = await phone.inbox(3);
  expect(told).toMatchObject(both);
  const [, ...seen] = await desk.inbox(3);
  expect(seen).toMatchObject(both);
  phone.vanishes();
  await desk.calls({ blockUser: { userId: "gus", blocked: false, key: "u" } });
  await phone.comes();
  expect(at(await phone.calls({ listBlockedUsers: {} }), "listBlockedUsers", "userIds")).toBeUndefined();
});
