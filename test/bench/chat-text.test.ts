// The texts whose compression is measured: they must be neither all alike nor all different, and the same in each run.

import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { median } from "../../bench/stats.js";
import { chatText } from "../../bench/wire/chat-text.js";

const TEXTS = Array.from({ length: 2_000 }, (_, n) => chatText(n));

describe("chat texts", () => {
  it("follow from the message's number", () => {
    expect(TEXTS.map((_, n) => chatText(n))).toEqual(TEXTS);
  });

  it("are short for the most part, and long at times", () => {
    const lengths = TEXTS.map((text) => text.length);
    expect(median(lengths)).toBeGreaterThan(25);
    expect(median(lengths)).toBeLessThan(60);
    expect(Math.min(...lengths)).toBeLessThan(10);
    expect(Math.max(...lengths)).toBeGreaterThan(300);
  });

  it("compress as text does: to about half together, one alone hardly", () => {
    const all = TEXTS.join("");
    const ratio = gzipSync(all).length / Buffer.byteLength(all);
    expect(ratio).toBeGreaterThan(0.3);
    expect(ratio).toBeLessThan(0.6);
    const [one = ""] = TEXTS.filter((text) => text.length > 40);
    expect(gzipSync(one).length / one.length).toBeGreaterThan(0.7);
  });
});
