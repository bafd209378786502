// When the page tells that its user types, and for how long it believes it of the others.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { OwnTyping, Typists } from "../../../bridge/demo/typing.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const of = (userId: string, deviceId: string, typing: boolean) => ({ sender: { userId, deviceId }, typing });

it("is told at once, then every 3 s while the user types, and when the text is empty again", () => {
  const told: boolean[] = [];
  const own = new OwnTyping((typing) => told.push(typing));
  for (let second = 0; second < 7; second++) {
    own.changed("x".repeat(second + 1));
    vi.advanceTimersByTime(1_000);
  }
  expect(told).toEqual([true, true, true]);
  own.changed("");
  own.changed("");
  expect(told).toEqual([true, true, true, false]);
});

it("is told at once again after the text was sent, and its end is not", () => {
  const told: boolean[] = [];
  const own = new OwnTyping((typing) => told.push(typing));
  own.changed("said");
  own.forget();
  own.changed("");
  own.changed("n");
  expect(told).toEqual([true, true]);
});

it("is believed for 6 s after it was told last", () => {
  let changes = 0;
  const typists = new Typists("me", () => changes++);
  typists.hear([of("ann", "phone", true)]);
  vi.advanceTimersByTime(3_000);
  typists.hear([of("ann", "phone", true)]);
  vi.advanceTimersByTime(5_999);
  expect(typists.text).toBe("ann is typing…");
  const before = changes;
  vi.advanceTimersByTime(1);
  expect(typists.text).toBe("");
  expect(changes).toBe(before + 1);
});

it("is believed of a user while one of their devices types, and not of oneself", () => {
  const typists = new Typists("me", () => {});
  typists.hear([of("ann", "phone", true), of("ann", "desk", true), of("me", "phone", true)]);
  typists.hear([of("ann", "phone", false)]);
  expect(typists.text).toBe("ann is typing…");
  typists.hear([of("ann", "desk", false)]);
  expect(typists.text).toBe("");
});

it("names two at most, each by the name of the token", () => {
  const typists = new Typists("me", () => {});
  typists.hear([{ sender: { userId: "a", displayName: "Ann", deviceId: "d" }, typing: true }, of("ben", "d", true)]);
  expect(typists.text).toBe("Ann and ben are typing…");
  typists.hear([of("cid", "d", true)]);
  expect(typists.text).toBe("Several people are typing…");
  typists.drop("ben");
  expect(typists.text).toBe("Ann and cid are typing…");
  typists.clear();
  expect(typists.text).toBe("");
});
