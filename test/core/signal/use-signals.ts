// What the core's clients say and hear of each other's signals.

import type { ServerFrame, Signal } from "../../../src/gen/trunkline/v1/session_pb.js";
import { settle, type TestClient, type TestCore } from "../use-core.js";

/** Longer than a tick of the signals. */
export const TICK_MS = 50;

/** One tick passes, and what it brings about happens. */
export async function tick(core: TestCore): Promise<void> {
  core.clock.advance(TICK_MS);
  await settle();
}

export function typing(roomId: string, on: boolean) {
  return { case: "typing", value: { roomId, typing: on } } as const;
}

/** The signals a client was told of in each frame, in order: who, and what. */
export function heard(client: TestClient, roomId = "r"): string[][] {
  return client
    .all("signals")
    .filter(({ value }) => value.roomId === roomId)
    .map(({ value }) => value.signals.map(told));
}

function told({ sender, kind }: Signal): string {
  const who = `${sender?.userId}@${sender?.deviceId}`;
  if (kind.case === "typing") return `${who} ${kind.value ? "types" : "ends"}`;
  return `${who} ${kind.value?.type}=${Buffer.from(kind.value?.data ?? []).toString()}`;
}

/** The case of a reply, or the code of the refusal. */
export function outcome(reply: ServerFrame["frame"]): string | number | undefined {
  return reply.case === "error" ? reply.value.code : reply.case;
}

/** Calls a method of RoomService. Fails when it is refused. */
export async function call(client: TestClient, rpc: Parameters<typeof rpcFrame>[0]): Promise<void> {
  const answer = await client.ask(rpcFrame(rpc));
  if (answer.case !== "callResult") throw new Error(`refused: ${JSON.stringify(answer.value)}`);
}

type CallInit = Extract<Parameters<TestClient["send"]>[0], { case: "call" }>["value"];

function rpcFrame(rpc: NonNullable<CallInit["rpc"]>) {
  return { case: "call", value: { rpc } } as const;
}
