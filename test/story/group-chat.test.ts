// Stories of a group: as people live them, over whatever their devices speak.

import { afterAll, beforeAll, expect, test } from "vitest";
import { at } from "../support/client/index.js";
import { TestServer } from "../support/server.js";
import { Person, type PersonOptions } from "../support/story/person.js";

const server = new TestServer();
beforeAll(() => server.start());
afterAll(() => server.dispose());

const enter = (name: string, options?: PersonOptions): Promise<Person> => new Person(server, name, options).comes();
const members = (...users: readonly string[]) => ({ members: users.map((userId) => ({ userId })) });

test("somebody who joins late reads what was said, as it stands by then", async () => {
  const ada = await enter("ada", { transport: "grpc" });
  const bob = await enter("bob");
  await ada.makes("garden", { joinRule: "JOIN_RULE_OPEN", ...members("bob") });
  await ada.reads("garden");
  await bob.reads("garden");
  await ada.says("garden", "who waters the tomatos?");
  const offer = await bob.says("garden", "i can, on monday");
  const slip = await bob.says("garden", "or nevr");
  await bob.edits("garden", offer, "I can, on Monday");
  await bob.deletes("garden", slip);
  await ada.sees("garden", "ada: who waters the tomatos?", "bob: I can, on Monday");

  const carl = await enter("carl", { transport: "websocket-binary" });
  await carl.calls({ joinRoom: { roomId: "garden", key: "join" } });
  await carl.reads("garden");
  await carl.sees("garden", "ada: who waters the tomatos?", "bob: I can, on Monday");
  await carl.reactsTo("garden", offer, "+1");
  const history = await ada.calls({ getHistory: { roomId: "garden" } });
  expect(at(history, "getHistory", "messages", 1, "reactions", 0)).toMatchObject({ emoji: "+1", userIds: ["carl"] });
  expect(JSON.stringify(history)).not.toContain("nevr");
});

test("a phone that was in a tunnel comes out of it with everything, and with its own messages once", async () => {
  const dora = await enter("dora");
  const emil = await enter("emil", { transport: "grpc" });
  await dora.makes("train", members("emil"));
  await dora.reads("train");
  await emil.reads("train");
  await dora.says("train", "I am on the train");
  await emil.sees("train", "dora: I am on the train");
  dora.vanishes();
  await emil.says("train", "which one?");
  await emil.says("train", "dora?");
  await dora.comes();
  await dora.sees("train", "dora: I am on the train", "emil: which one?", "emil: dora?");
  await dora.says("train", "the late one");
  await emil.sees("train", "dora: I am on the train", "emil: which one?", "emil: dora?", "dora: the late one");
});

test("two devices of one user see each other's messages, and a newer connection of one does not touch the other", async () => {
  const phone = await enter("fay", { device: "phone" });
  const desk = await enter("fay", { device: "desk", transport: "grpc" });
  await phone.makes("notes");
  for (const device of [phone, desk]) await device.reads("notes");
  await phone.says("notes", "buy milk");
  await desk.sees("notes", "fay: buy milk");
  phone.vanishes();
  await desk.says("notes", "done");
  await phone.comes();
  await phone.sees("notes", "fay: buy milk", "fay: done");
  await desk.says("notes", "and bread");
  await phone.sees("notes", "fay: buy milk", "fay: done", "fay: and bread");
});

test("a member who is muted reads on, one who is banned hears of it and nothing after it, and cannot come back", async () => {
  const gina = await enter("gina");
  const hugo = await enter("hugo", { transport: "grpc" });
  await gina.makes("choir", { joinRule: "JOIN_RULE_OPEN", ...members("hugo") });
  await hugo.reads("choir");
  await gina.calls({ setMember: { roomId: "choir", key: "mute", userId: "hugo", muteForMs: 600_000 } });
  const publish = { roomId: "choir", clientMessageId: "la", attempt: 1, body: { text: "la la" } };
  expect(await hugo.isRefused({ publish })).toBe("PERMISSION_DENIED");
  await gina.says("choir", "shall we sing?");
  await hugo.sees("choir", "gina: shall we sing?");

  await gina.calls({ removeMember: { roomId: "choir", key: "ban", userId: "hugo", ban: true } });
  expect(await hugo.hears("unsubscribed")).toMatchObject({ reason: "UNSUBSCRIBE_REASON_ACCESS_LOST" });
  await gina.says("choir", "now we can");
  expect(await hugo.isRefused({ subscribe: { roomId: "choir" } })).toBe("NOT_A_MEMBER");
  expect(await hugo.isRefused({ call: { joinRoom: { roomId: "choir", key: "back" } } })).toBe("PERMISSION_DENIED");
  expect(await hugo.isRefused({ publish: { ...publish, clientMessageId: "again" } })).toBe("NOT_A_MEMBER");
  expect(hugo.page("choir")).toEqual(["gina: shall we sing?"]);
});

test("who was away learns from their inbox that they were added to a room and named in it", async () => {
  const ines = await enter("ines");
  await ines.makes("trip", members("jan"));
  await ines.says("trip", "@jan can you drive?", { mentions: [{ userId: "jan" }] });
  const jan = new Person(server, "jan", { transport: "grpc" });
  await jan.comes();
  const inbox = await jan.inbox(2);
  expect(inbox).toMatchObject([
    { addedToRoom: { roomId: "trip", by: { userId: "ines" } } },
    { mentioned: { roomId: "trip", messageIndex: 1, by: { userId: "ines" } } },
  ]);
});
