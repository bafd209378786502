// A user's inbox as their devices see it.

import type { RoomEvent } from "../../../src/gen/trunkline/v1/message_pb.js";
import type { CallResult } from "../../../src/gen/trunkline/v1/session_pb.js";
import type { TestClient } from "../use-core.js";

/** Subscribes to the user's inbox from its beginning. */
export async function openInbox(client: TestClient): Promise<string> {
  const roomId = client.last("welcome").inboxRoomId;
  const answer = await client.ask({ case: "subscribe", value: { roomId, after: {} } });
  if (answer.case !== "subscribed") throw new Error(`no inbox: ${JSON.stringify(answer.value)}`);
  return roomId;
}

/** What came into the inbox, its creation aside. */
export function told(client: TestClient): RoomEvent["kind"][] {
  const inbox = client.last("welcome").inboxRoomId;
  return client
    .all("roomEvents")
    .filter(({ value }) => value.roomId === inbox)
    .flatMap(({ value }) => value.events.map(({ kind }) => kind))
    .filter(({ case: name }) => name !== "roomCreated");
}

type CallInit = Extract<Parameters<TestClient["ask"]>[0], { case: "call" }>["value"]["rpc"];

/** The answer of a call, or the error that refuses it. */
export async function call(client: TestClient, rpc: CallInit): Promise<CallResult["rpc"]> {
  const answer = await client.ask({ case: "call", value: { rpc } });
  if (answer.case === "callResult") return answer.value.rpc;
  throw Object.assign(new Error(`refused: ${JSON.stringify(answer.value)}`), { refusal: answer.value });
}
