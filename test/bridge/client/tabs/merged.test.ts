// What several tabs say of one user, as one session says it.

import { describe, expect, it } from "vitest";
import { strongestPresence, TypingTabs, unitedWatch } from "../../../../bridge/client/tabs/merged.js";

describe("the status of several tabs", () => {
  it.each([
    ["AWAY", "ONLINE", "ONLINE"],
    ["ONLINE", "AWAY", "ONLINE"],
    ["DO_NOT_DISTURB", "ONLINE", "DO_NOT_DISTURB"],
    ["DO_NOT_DISTURB", "INVISIBLE", "INVISIBLE"],
  ] as const)("%s and %s is %s", (one, other, both) => {
    const presences = ([one, other] as const).map((status) => ({ status: `PRESENCE_STATUS_${status}` as const }));
    expect(strongestPresence(presences)).toEqual({ status: `PRESENCE_STATUS_${both}` });
  });

  it("is among equals the one set last", () => {
    const status = "PRESENCE_STATUS_ONLINE";
    expect(
      strongestPresence([
        { status, text: "lunch" },
        { status, text: "back" },
      ]),
    ).toEqual({ status, text: "back" });
    expect(strongestPresence([])).toBeUndefined();
  });
});

describe("what several tabs watch", () => {
  it("is watched once", () => {
    const [one, other] = [{ watch: { userIds: ["ada", "ben"] } }, { watch: { userIds: ["ben"], roomIds: ["tea"] } }];
    expect(unitedWatch([one, other, { watch: {} }])).toEqual({ userIds: ["ada", "ben"], roomIds: ["tea"] });
  });
});

describe("typing in several tabs", () => {
  it("ends when the last of them ends it", () => {
    const typing = new TypingTabs<string>();
    expect(typing.said("one", { roomId: "tea", typing: true }, 0)).toBe(true);
    expect(typing.said("other", { roomId: "tea", typing: true }, 10)).toBe(true);
    expect(typing.said("one", { roomId: "tea", typing: false }, 20)).toBe(false);
    expect(typing.said("other", { roomId: "tea", typing: false }, 30)).toBe(true);
  });

  it("is not kept up by a tab that has stopped saying so, or has gone", () => {
    const typing = new TypingTabs<string>();
    typing.said("one", { roomId: "tea", typing: true }, 0);
    expect(typing.said("other", { roomId: "tea", typing: false }, 5_000)).toBe(true);
    typing.said("one", { roomId: "tea", typing: true }, 6_000);
    typing.left("one");
    expect(typing.said("other", { roomId: "tea", typing: false }, 6_001)).toBe(true);
  });
});
