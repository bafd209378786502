// Takes the pictures of the demo that the documentation shows, into docs/images: `npm run demo:pictures`. It needs a Chromium, at /usr/bin/chromium or
// where TRUNKLINE_TEST_CHROMIUM says, and what the compiler has written. Fails where one is too heavy for a page of many.
import { createClient } from "../dist/bridge/client/index.js";
import { openRoad } from "./demo-pictures/road.js";
import { startServer } from "./demo-pictures/server.js";
import { act, leaveBe, line, openStage, press, say, state } from "./demo-pictures/stage.js";

const ROOM = "engine-room";
/** So much of a connection comes back before what was missed does: how the room stands. */
const HEAD_BYTES = 700;
/** The upper part of it, where the connection is. */
const INSPECTOR = { x: 744, y: 0, width: 360, height: 350 };
/** Around a message. */
const MARGIN_PX = 3;

const server = await startServer();
const road = await openRoad(server.port);
const url = `http://127.0.0.1:${road.port}/`;
const stage = await openStage(url);
const { picture } = stage;

/** Somebody else, who needs no page. */
function other(name) {
  const token = () => server.issue({ user: name.toLowerCase(), name });
  return createClient({ url: `http://127.0.0.1:${server.port}/`, token });
}

/** A room with a conversation in it, and Ada in front of it. */
async function converse(context, grace) {
  const ada = await stage.enter(context, "Ada", ROOM);
  await grace.change({ joinRoom: { roomId: ROOM } });
  const room = grace.room(ROOM);
  const talk = [
    ["grace", "Morning! Is the engine up?"],
    ["ada", "Since half past six. Steam is at 4 bar."],
    ["grace", "And the valve on the left?"],
    ["ada", "Tight. I have put the sheet here: https://files.example.com/valves"],
  ];
  for (const [who, text] of talk) {
    if (who === "ada") await say(ada, text);
    else await room.send(text);
    await line(ada, text).waitFor();
  }
  return ada;
}

/** What makes a room look lived in: other rooms beside it, somebody who has read it, and how they feel about it. */
async function furnish(grace) {
  const members = [{ userId: "ada" }];
  const room = grace.room(ROOM);
  room.on("event", () => {});
  room.open({ after: { seq: 0, tag: 0 } });
  const { messages } = await room.history({});
  await room.react(messages.find(({ body }) => body.text.startsWith("Since")).messageId, "🎉", true);
  room.markRead(messages.at(-1).position);
  await grace.change({ createRoom: { kind: "ROOM_KIND_DIRECT", members } }).then(async ({ createRoom }) => {
    await grace.room(createRoom.room.roomId).send("Lunch at twelve?");
  });
  const createRoom = { roomId: "release", name: "Release 4.2", kind: "ROOM_KIND_GROUP", members };
  await grace.change({ createRoom });
  for (const text of ["It is out.", "Read the notes!"]) await grace.room("release").send(text);
}

const shown = (page, text) => page.getByText(text).last().waitFor();

async function chat(grace) {
  for (const [name, options] of [
    ["chat", { viewport: { width: 1104, height: 560 } }],
    ["dark", { colorScheme: "dark", viewport: { width: 1104, height: 560 } }],
    ["phone", { colorScheme: "dark", viewport: { width: 390, height: 700 }, hasTouch: true }],
  ]) {
    const context = await stage.open(options);
    const ada = await stage.enter(context, "Ada", ROOM);
    const keys = setInterval(() => grace.room(ROOM).typing.start(), 500);
    await shown(ada, "Grace is typing…");
    clearInterval(keys);
    await leaveBe(ada);
    await picture(ada, name);
    grace.room(ROOM).typing.stop();
    await context.close();
  }
}

async function connection(ada, grace) {
  await press(ada, "Connection inspector");
  await shown(ada, "for all tabs of yours here");
  await leaveBe(ada);
  await picture(ada, "live");

  road.holdAfter(0);
  await press(ada, "Drop connection");
  await state(ada, "connecting");
  await ada.locator(".connection.banner").waitFor();
  await leaveBe(ada);
  await picture(ada, "connecting");
  road.open();
  await state(ada, "live");

  await press(ada, "Go offline");
  await say(ada, "I am in the tunnel now. Does this arrive?");
  await ada.locator(".line.pending").waitFor();
  await leaveBe(ada);
  await picture(ada, "offline");
  for (let index = 1; index <= 60; index++) await grace.room(ROOM).send(`Pressure at ${index}: 4.${index % 10} bar`);
  road.holdAfter(HEAD_BYTES);
  await ada.locator(".inspector").getByRole("button", { name: "Go online" }).click();
  await shown(ada, "Catching up");
  await leaveBe(ada);
  await picture(ada, "catching-up");
  road.open();
  await shown(ada, "live");
  await ada.locator(".line.pending").waitFor({ state: "detached" });

  await server.stop();
  await state(ada, "waiting");
  await leaveBe(ada);
  await picture(ada, "waiting");
  await server.start();
  await state(ada, "live");

  server.revoke("ada");
  await state(ada, "closed");
  await leaveBe(ada);
  await picture(ada, "closed");
  await press(ada, "Reconnect");
  await state(ada, "live");
}

async function messages(grace) {
  const context = await stage.open({ viewport: { width: 460, height: 420 }, deviceScaleFactor: 1.5 });
  const ada = await stage.enter(context, "Ada", "ticks");
  const room = grace.room("ticks");
  const shoot = async (text, name) => {
    await leaveBe(ada);
    const box = await line(ada, text).boundingBox();
    const clip = { x: 0, y: box.y - MARGIN_PX, width: 460, height: box.height + 2 * MARGIN_PX };
    await picture(ada, `message-${name}`, { clip });
  };
  const text = "The boiler is cleaned.";
  const tick = (label) => line(ada, text).getByRole("img", { name: label }).waitFor();

  await press(ada, "Connection inspector");
  await press(ada, "Go offline");
  await press(ada, "Close the inspector");
  await say(ada, text);
  await line(ada, text).and(ada.locator(".pending")).waitFor();
  await shoot(text, "pending");
  await press(ada, "Go online");
  await grace.change({ joinRoom: { roomId: "ticks" } });
  await tick("sent");
  await shoot(text, "sent");
  room.on("event", () => {});
  room.open({ after: { seq: 0, tag: 0 } });
  await tick("delivered");
  await shoot(text, "delivered");
  room.markRead();
  await tick("read");
  await shoot(text, "read");

  await say(ada, "The password is swordfish.");
  await line(ada, "swordfish").and(ada.locator(".failed")).waitFor();
  await shoot("swordfish", "failed");
  await line(ada, "swordfish").getByRole("button", { name: "Discard" }).click();

  await act(ada, text, "Edit");
  await say(ada, "The boiler is cleaned and full.");
  await shown(ada, "edited");
  await shoot("cleaned and full", "edited");
  await act(ada, "cleaned and full", "React");
  await press(ada, "Party");
  await ada.getByRole("button", { name: "Party, 1" }).waitFor();
  await shoot("cleaned and full", "reacted");
  await act(ada, "cleaned and full", "Reply");
  await say(ada, "Then we can start.");
  await line(ada, "Then we can start.").locator(".quote").waitFor();
  await shoot("Then we can start.", "reply");
  await act(ada, "Then we can start.", "Delete");
  await ada.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await shown(ada, "This message was deleted.");
  await shoot("This message was deleted.", "deleted");
  await context.close();
}

async function tabs() {
  const context = await stage.open();
  const first = await stage.enter(context, "Ada", ROOM);
  const second = await stage.enter(context, "Ada", ROOM);
  for (const [page, name, text] of [
    [first, "leader", "for all tabs of yours here"],
    [second, "follower", ", for this one too"],
  ]) {
    await page.bringToFront();
    await press(page, "Connection inspector");
    await shown(page, text);
    await leaveBe(page);
    await picture(page, `tab-${name}`, { clip: INSPECTOR });
  }
  await context.close();
}

async function fallback() {
  const context = await stage.open();
  // A network that lets no WebSocket through.
  await context.addInitScript("delete globalThis.WebSocket");
  const ada = await stage.enter(context, "Ada", ROOM);
  await press(ada, "Connection inspector");
  await shown(ada, "server-sent events");
  await leaveBe(ada);
  await picture(ada, "fallback", { clip: INSPECTOR });
  await context.close();
}

const grace = other("Grace");
try {
  const context = await stage.open();
  const ada = await converse(context, grace);
  await furnish(grace);
  await chat(grace);
  await connection(ada, grace);
  await context.close();
  await messages(grace);
  await tabs();
  await fallback();
} finally {
  grace.close();
  await stage.close();
  road.close();
  await server.end();
}
for (const path of stage.heavy) console.error(`${path} is heavier than 100 KiB`);
process.exit(stage.heavy.length > 0 ? 1 : 0);
