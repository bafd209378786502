// An outlet of events and a real HTTP server that is not always well.

import { expect, it } from "vitest";
import { Webhook } from "../../../src/adapters/webhook/webhook.js";
import { settle, type TestClient, text, useCore } from "../../core/use-core.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { seqsIn, useReceiver } from "./use-receiver.js";

async function useOutlet() {
  const [receiver, clock, engine] = [await useReceiver(), new StoppedClock(), new MemoryEngine()];
  const webhook = new Webhook({ url: receiver.url, secrets: ["s".repeat(32)], endpoint: "orders", clock });
  const events = [{ name: "orders", kinds: new Set(["messageCreated"] as const), sink: webhook }];
  const core = await useCore({ clock, engine, outlets: { store: engine.outlets, events } });
  await settle();
  const parked: number[] = [];
  core.telemetry.on("outlet.parked", (event) => parked.push(event.parked));
  /** Resolves once as many rooms are set aside. */
  const aside = async (rooms: number) => {
    while (parked.at(-1) !== rooms) await settle(1);
  };
  const says = async (client: TestClient, roomId: string, ...words: readonly string[]) => {
    for (const each of words) expect((await client.ask(text(roomId, each))).case).toBe("published");
  };
  return { receiver, core, aside, says };
}

it("keeps the order of a room whose events are retried, while other rooms go on", async () => {
  const { receiver, core, aside, says } = await useOutlet();
  const ada = await core.connect("ada");
  for (const roomId of ["sick", "well"]) await core.room(ada, roomId);
  let sick = true;
  receiver.answer = (post, response) => {
    response.writeHead(sick && seqsIn(post, "sick").length > 0 ? 500 : 200).end();
  };
  await says(ada, "sick", "one");
  await aside(1);
  await says(ada, "sick", "two");
  await says(ada, "well", "one", "two", "three");
  await receiver.until(() => receiver.seqs("well").length === 3);
  expect(receiver.seqs("sick")).toEqual([2]);
  sick = false;
  core.clock.advance(1_000);
  await aside(0);
  await says(ada, "sick", "three");
  await receiver.until(() => receiver.seqs("sick").includes(4));
  expect(receiver.seqs("sick").slice(1)).toEqual([2, 3, 4]);
  expect(receiver.seqs("well")).toEqual([2, 3, 4]);
});

it("hands over everything when a receiver that was gone, or hung, is back", async () => {
  const { receiver, core, aside, says } = await useOutlet();
  const ada = await core.connect("ada");
  for (const roomId of ["r", "s"]) await core.room(ada, roomId);
  await receiver.stop();
  await says(ada, "r", "one");
  await aside(1);
  await receiver.start();
  receiver.answer = () => {};
  core.clock.advance(1_000);
  await receiver.until(() => receiver.seqs("r").length === 1);
  await says(ada, "s", "one");
  await receiver.until(() => receiver.seqs("s").length === 1);
  // Both hang until their deadline.
  receiver.answer = (_post, response) => response.writeHead(200).end();
  core.clock.advance(10_000);
  await aside(2);
  core.clock.advance(10_000);
  await aside(0);
  expect([receiver.seqs("r"), receiver.seqs("s")]).toEqual([
    [2, 2],
    [2, 2],
  ]);
});
