// The client on a real backbone: what is said arrives once and in order, whatever becomes of connections and of the server.

import { describe, expect, it, vi } from "vitest";
import { createClient } from "../../../bridge/client/index.js";
import { createClient as createJsonClient } from "../../../bridge/client/json.js";
import { live, useBackbone, useClient } from "./use-backbone.js";

describe.each([
  ["binary", createClient],
  ["json", createJsonClient],
])("a client that speaks %s", (_encoding, create) => {
  it("reads a room from its beginning, and what is said afterwards, over a cut and a restart of the server", async () => {
    const server = await useBackbone();
    const [ada, ben] = [useClient(server.url, "ada", create), useClient(server.url, "ben", create)];
    await Promise.all([live(ada), live(ben)]);
    await ada.call({ createRoom: { roomId: "tea", key: "make", members: [{ userId: "ben" }] } });
    const heard: string[] = [];
    const room = ben.room("tea");
    room.on("event", (event) => heard.push(event.messageCreated?.body?.text ?? Object.keys(event).at(-1) ?? ""));
    room.open({ after: {} });
    const say = async (text: string): Promise<void> => {
      await live(ada);
      await ada.publish({ roomId: "tea", clientMessageId: text, body: { text } });
    };
    await say("one");
    await vi.waitFor(() => expect(heard).toContain("one"));
    ben.drop();
    await say("two");
    await vi.waitFor(() => expect(heard).toContain("two"), { timeout: 10_000 });
    await server.restart();
    await say("three");
    await vi.waitFor(() => expect(heard).toContain("three"), { timeout: 10_000 });
    expect(heard.slice(-3)).toEqual(["one", "two", "three"]);
    expect(room.position?.seq).toBe(heard.length);
  });
});
