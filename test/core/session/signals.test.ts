// Ephemeral frames on their way to sessions: by room to its live subscribers, by user to all of the user's sessions.

import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ServerFrameSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { EncodedFrame } from "../../../src/ports/encoded-frame.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { settle, type TestClient, text, useCore } from "../use-core.js";

const signal = (roomId: string): EncodedFrame =>
  EncodedFrame.of(
    create(ServerFrameSchema, {
      frame: { case: "signals", value: { roomId, signals: [{ kind: { case: "typing", value: true } }] } },
    }),
  );
const heard = (client: TestClient): number => client.all("signals").length;

it("a room's signals reach who is subscribed and live, and nobody else", async () => {
  const core = await useCore();
  const [ada, bob, eve] = [await core.connect("ada"), await core.connect("bob"), await core.connect("eve")];
  await core.room(ada, "r", "bob", "eve");
  for (const client of [ada, bob]) await client.ask({ case: "subscribe", value: { roomId: "r" } });
  core.engine.fanout.signal(roomRef("acme", "r"), signal("r"));
  await settle();
  expect([heard(ada), heard(bob), heard(eve)]).toEqual([1, 1, 0]);
  await bob.ask({ case: "unsubscribe", value: { roomId: "r" } });
  core.engine.fanout.signal(roomRef("acme", "r"), signal("r"));
  await settle();
  expect([heard(ada), heard(bob)]).toEqual([2, 1]);
});

it("a user's signals reach all sessions of the user, without a subscription", async () => {
  const core = await useCore();
  const phone = await core.connect("ada", { device: { deviceId: "phone" } });
  const desk = await core.connect("ada", { device: { deviceId: "desk" } });
  const bob = await core.connect("bob");
  const inbox = phone.last("welcome").inboxRoomId;
  expect(desk.last("welcome").inboxRoomId).toBe(inbox);
  expect(bob.last("welcome").inboxRoomId).not.toBe(inbox);
  core.engine.fanout.signal(roomRef("acme", inbox), signal(inbox));
  await settle();
  expect([heard(phone), heard(desk), heard(bob)]).toEqual([1, 1, 0]);
  phone.connection.gone(true);
  core.engine.fanout.signal(roomRef("acme", inbox), signal(inbox));
  await settle();
  expect([heard(phone), heard(desk)]).toEqual([1, 2]);
});

it("signals are dropped where much waits, and durable events are not", async () => {
  const core = await useCore({ limits: { ephemeralBytes: 1_000 } });
  const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
  await core.room(ada, "r", "bob");
  await bob.ask({ case: "subscribe", value: { roomId: "r" } });
  bob.stall();
  bob.post({ case: "ping", value: { id: 1 } });
  await settle();
  for (let n = 0; n < 10; n++) await ada.ask(text("r", `m${n}`, "x".repeat(500)));
  for (let n = 0; n < 10; n++) core.engine.fanout.signal(roomRef("acme", "r"), signal("r"));
  bob.read();
  await settle();
  expect(heard(bob)).toBe(0);
  expect(bob.seqs("r")).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});
