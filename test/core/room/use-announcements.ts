// The announcements of the tenant "acme", made by a service, and people who read them.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { SendToRoomRequestSchema } from "../../../src/gen/trunkline/v1/delivery_pb.js";
import type { CallResult, CallSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { service } from "../delivery/use-delivery.js";
import { type CoreOptions, type TestClient, type TestCore, useCore } from "../use-core.js";

export const ROOM = "~announcements";
type Asked = Exclude<NonNullable<MessageInitShape<typeof CallSchema>["rpc"]>, { case: undefined }>;
type Method = Exclude<CallResult["rpc"]["case"], undefined>;
type RequestOf<M extends Method> = Extract<Asked, { case: M }>["value"];
type ResultOf<M extends Method> = Extract<CallResult["rpc"], { case: M }>["value"];
type SendInit = Partial<Exclude<MessageInitShape<typeof SendToRoomRequestSchema>, { $typeName: string }>>;

let keys = 0;

export function newKey(): string {
  return `key-${++keys}`;
}

interface Asking<M extends Method> {
  readonly case: M;
  readonly value: RequestOf<M>;
}

function ask<M extends Method>(client: TestClient, { case: method, value }: Asking<M>) {
  return client.ask({ case: "call", value: { rpc: { case: method, value } as Asked } });
}

/** Calls a method inside the session. Fails when it is refused. */
export async function call<M extends Method>(client: TestClient, asked: Asking<M>): Promise<ResultOf<M>> {
  const answer = await ask(client, asked);
  if (answer.case !== "callResult") throw new Error(`${asked.case}: ${JSON.stringify(answer.value)}`);
  return resultOf(answer.value.rpc, asked.case);
}

/** Calls a method inside the session that is refused: "CODE", or "CODE field". */
export async function refusal<M extends Method>(client: TestClient, asked: Asking<M>): Promise<string> {
  const answer = await ask(client, asked);
  return answer.case === "error" ? `${ErrorCode[answer.value.code]} ${answer.value.field}`.trim() : "none";
}

function resultOf<M extends Method>(result: Result, method: M): ResultOf<M> {
  if (!isOf(result, method)) throw new Error(`asked ${method}, answered ${result.case}`);
  return result.value;
}

interface Result {
  readonly case: string | undefined;
  readonly value?: unknown;
}

function isOf<M extends Method>(
  result: Result,
  method: M,
): result is { readonly case: M; readonly value: ResultOf<M> } {
  return result.case === method;
}

/** The announcements, made by the service "bot", who owns them. */
export async function useAnnouncements(options: CoreOptions = {}): Promise<{ test: TestCore; bot: TestClient }> {
  const test = await useCore(options);
  const bot = await test.connect("bot", {}, { grants: new Set(["service"]) });
  await call(bot, { case: "createRoom", value: { roomId: ROOM, key: "make", name: "News" } });
  return { test, bot };
}

/** A service announces something, whoever is there. */
export async function announce(test: TestCore, words: string, more: SendInit = {}) {
  const body = { kind: { case: "text" as const, value: words } };
  const request = create(SendToRoomRequestSchema, { roomId: ROOM, key: newKey(), body, ...more });
  return await test.core.delivery.sendToRoom(service(), request);
}
