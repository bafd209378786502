// Who is typing: said no more often than need be, and shown no longer than it holds.

import { expect, it } from "vitest";
import { RoomTyping } from "../../../../bridge/client/people/typing.js";
import { usePeople } from "./use-people.js";

const BEGINS = { typing: { roomId: "tea", typing: true } };
const ENDS = { typing: { roomId: "tea" } };

function useTyping() {
  const people = usePeople();
  const typing = new RoomTyping("tea", people.context);
  const shown: string[][] = [];
  typing.onChange((users) => shown.push(users.map(({ userId }) => userId)));
  const hear = (userId: string, on: boolean, deviceId = "phone"): void =>
    typing.signalled({ sender: { userId, deviceId, displayName: userId.toUpperCase() }, typing: on });
  return { ...people, typing, shown, hear };
}

it("typing is said at once, and then every three seconds while the user types on", async () => {
  const { typing, run, take } = useTyping();
  for (let key = 0; key < 65; key++) {
    typing.start();
    await run(100);
  }
  expect(take()).toEqual([BEGINS, BEGINS, BEGINS]);
});

it("a key pressed within the three seconds is said when they are over", async () => {
  const { typing, run, take } = useTyping();
  typing.start();
  await run(1_000);
  typing.start();
  await run(1_999);
  expect(take()).toEqual([BEGINS]);
  await run(1);
  expect(take()).toEqual([BEGINS]);
});

it("typing ends five seconds after the last key", async () => {
  const { typing, run, take } = useTyping();
  typing.start();
  await run(1_000);
  typing.start();
  await run(4_999);
  expect(take()).toEqual([BEGINS, BEGINS]);
  await run(1);
  expect(take()).toEqual([ENDS]);
  await run(60_000);
  expect(take()).toEqual([]);
});

it("what the server has ended by itself is not ended again", async () => {
  const { typing, run, take } = useTyping();
  typing.start();
  await run(60_000);
  typing.stop();
  expect(take()).toEqual([BEGINS]);
});

it("stopping is said at once, and typing anew too", () => {
  const { typing, take } = useTyping();
  typing.start();
  typing.stop();
  typing.start();
  expect(take()).toEqual([BEGINS, ENDS, BEGINS]);
});

it("a message ends typing without a word, and the next key is said at once", async () => {
  const { typing, run, take } = useTyping();
  typing.start();
  await run(100);
  typing.sent();
  await run(10_000);
  expect(take()).toEqual([BEGINS]);
  typing.start();
  expect(take()).toEqual([BEGINS]);
});

it("nothing is said without a connection, nor for a minute after it was refused", async () => {
  const { typing, server, run, take } = useTyping();
  server.live = false;
  typing.start();
  expect(take()).toEqual([]);
  server.live = true;
  server.answer = () => ({ code: "ERROR_CODE_PERMISSION_DENIED" });
  typing.start();
  await run(59_999);
  typing.start();
  expect(take()).toEqual([BEGINS]);
  await run(1);
  typing.start();
  expect(take()).toEqual([BEGINS]);
});

it("what is refused for now does not end it", async () => {
  const { typing, server, run, take } = useTyping();
  server.answer = () => ({ code: "ERROR_CODE_RATE_LIMITED", retryable: true });
  typing.start();
  await run(3_000);
  typing.start();
  expect(take()).toEqual([BEGINS, BEGINS]);
});

it("others are shown by name until they end it, and for six seconds at most", async () => {
  const { typing, shown, hear, run } = useTyping();
  hear("ben", true);
  hear("cleo", true);
  expect(typing.users).toEqual([
    { userId: "ben", name: "BEN" },
    { userId: "cleo", name: "CLEO" },
  ]);
  await run(3_000);
  hear("cleo", true);
  hear("ben", false);
  await run(3_000);
  expect(typing.users).toEqual([{ userId: "cleo", name: "CLEO" }]);
  await run(2_999);
  expect(typing.users).toHaveLength(1);
  await run(1);
  expect(typing.users).toEqual([]);
  expect(shown).toEqual([["ben", "cleo"], ["cleo"], []]);
});

it("a user types while one of their devices does", async () => {
  const { typing, hear, run } = useTyping();
  hear("ben", true, "phone");
  hear("ben", true, "desk");
  hear("ben", false, "phone");
  expect(typing.users).toHaveLength(1);
  await run(6_000);
  expect(typing.users).toEqual([]);
});

it("the user's own devices are left out, and signals of the application are none", () => {
  const { typing, hear } = useTyping();
  hear("ada", true);
  typing.signalled({ sender: { userId: "ben" }, custom: { type: "wave" } });
  expect(typing.users).toEqual([]);
});

it("a message ends what is shown of its sender, the end of the connection that of everybody", async () => {
  const { typing, hear, run, shown } = useTyping();
  for (const userId of ["ben", "cleo", "dan"]) hear(userId, true);
  typing.said("ben");
  await run();
  typing.left();
  await run(10_000);
  expect(shown).toEqual([["cleo", "dan"], []]);
});
