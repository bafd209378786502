// When the page comes back: the close code's range decides.

import { describe, expect, it } from "vitest";
import { judgeClose } from "../../../bridge/demo/backoff.js";

const half = () => 0.5;

describe("coming back", () => {
  it("is at once with jitter after 4000–4099 and after a lost connection, then ever later up to 15 s", () => {
    for (const code of [4000, 1006]) {
      expect(judgeClose(code, 0, undefined, half)).toEqual({ kind: "reconnect", delayMs: 250, freshToken: false });
      expect(judgeClose(code, 3, undefined, half)).toMatchObject({ delayMs: 2_000 });
      expect(judgeClose(code, 1_000, undefined, () => 1)).toMatchObject({ delayMs: 15_000 });
      expect(judgeClose(code, 5, undefined, () => 0)).toMatchObject({ delayMs: 0 });
    }
  });

  it("is when the server said after 4100–4199, else after 1 to 10 s", () => {
    expect(judgeClose(4100, 0, 3_210, half)).toMatchObject({ delayMs: 3_210 });
    expect(judgeClose(4100, 0, undefined, () => 0)).toMatchObject({ delayMs: 1_000 });
    expect(judgeClose(4102, 0, undefined, () => 1)).toMatchObject({ delayMs: 10_000 });
    expect(judgeClose(4100, 10, 100, () => 1)).toMatchObject({ delayMs: 15_000 });
  });

  it("is with a fresh token after 4200–4299", () => {
    expect(judgeClose(4200, 0, undefined, half)).toMatchObject({ freshToken: true });
  });

  it("is not by itself after 4500–4999", () => {
    for (const code of [4500, 4501, 4999]) expect(judgeClose(code, 0, undefined, half)).toEqual({ kind: "stop" });
  });
});
