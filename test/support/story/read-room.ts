// Reads all of a room by calls, independently of any session.

import { at, isArray, type Json, type JsonObject, number, type TestClient, text } from "../client/index.js";
import type { SeenEvent } from "../history/history.js";
import { seenEvent } from "./receiver.js";

/** Every event, by GetEvents. */
export async function readEvents(client: TestClient, token: string, roomId: string): Promise<readonly SeenEvent[]> {
  const events: SeenEvent[] = [];
  for (;;) {
    const page = await call(client, token, "GetEvents", { roomId, fromSeq: events.length + 1, limit: 1000 });
    const items = list(page.events);
    events.push(...items.map(seenEvent));
    if (page.more !== true) return events;
    if (items.length === 0) throw new Error("an empty page that says there is more");
  }
}

/** Every message, by GetHistory, from the first on. */
export async function readHistory(client: TestClient, token: string, roomId: string): Promise<readonly SeenEvent[]> {
  const messages: SeenEvent[] = [];
  let afterIndex = 0;
  for (;;) {
    const page = await call(client, token, "GetHistory", { roomId, afterIndex, limit: 200 });
    messages.push(...list(page.messages).map(seenMessage));
    if (page.more !== true) return messages;
    if (number(page.nextIndex) <= afterIndex) throw new Error("a next_index that does not move");
    afterIndex = number(page.nextIndex);
  }
}

function seenMessage(message: Json): SeenEvent {
  return {
    seq: number(at(message, "position", "seq")),
    tag: number(at(message, "position", "tag")),
    eventId: text(at(message, "messageId")),
    clientMessageId: text(at(message, "clientMessageId")),
    text: text(at(message, "body", "text")),
  };
}

export async function call(
  client: TestClient,
  token: string,
  method: string,
  request: JsonObject,
): Promise<JsonObject> {
  const outcome = await client.call(token, method, request);
  if ("error" in outcome) throw new Error(`${method}: ${JSON.stringify(outcome.error)}`);
  return outcome.response;
}

function list(value: Json | undefined): readonly Json[] {
  return isArray(value) ? value : [];
}
