// Listeners: whatever one of them does, the others hear of everything, in the same order.

import { expect, it, onTestFinished, vi } from "vitest";
import { Emitter } from "../../../bridge/client/events.js";
import { useLiveClient } from "./support/use-client.js";

/** What would have been reported as an uncaught error. */
function useUncaught(): unknown[] {
  const uncaught: unknown[] = [];
  vi.stubGlobal("queueMicrotask", (task: () => void) =>
    Promise.resolve()
      .then(task)
      .catch((error: unknown) => uncaught.push(error)),
  );
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  return uncaught;
}

interface Heard {
  readonly word: string;
}

it("a listener that throws is reported, and the others are told all the same", async () => {
  const uncaught = useUncaught();
  const emitter = new Emitter<Heard>();
  const heard: string[] = [];
  emitter.on("word", () => {
    throw new Error("mine");
  });
  emitter.on("word", (word) => heard.push(word));
  emitter.emit("word", "one");
  emitter.emit("word", "two");
  await Promise.resolve();
  await Promise.resolve();
  expect(heard).toEqual(["one", "two"]);
  expect(uncaught).toEqual([new Error("mine"), new Error("mine")]);
});

it("what a listener brings about is told after what it was told", () => {
  const emitter = new Emitter<Heard>();
  const heard: string[] = [];
  emitter.on("word", (word) => {
    if (word === "one") emitter.emit("word", "two");
  });
  emitter.on("word", (word) => heard.push(word));
  emitter.emit("word", "one");
  emitter.emit("word", "three");
  expect(heard).toEqual(["one", "two", "three"]);
});

it("a listener hears nothing once it has ended that, and one that is added twice hears twice", () => {
  const emitter = new Emitter<Heard>();
  const heard: string[] = [];
  const listener = (word: string) => heard.push(word);
  const ends = [emitter.on("word", listener), emitter.on("word", listener)];
  emitter.emit("word", "one");
  ends[0]?.();
  emitter.emit("word", "two");
  ends[1]?.();
  emitter.emit("word", "three");
  expect(heard).toEqual(["one", "one", "two"]);
  expect(emitter.has("word")).toBe(false);
});

it("an event whose listener throws was handed on: the next one follows, and it does not come again", async () => {
  const uncaught = useUncaught();
  const { server, run, open } = await useLiveClient();
  const { texts, room } = open("tea", {});
  room.on("event", () => {
    throw new Error("mine");
  });
  await run();
  server.say("tea", "one", "two");
  await run();
  server.network.cut();
  await run(1_000);
  expect(texts).toEqual(["one", "two"]);
  expect(uncaught).toHaveLength(2);
});
