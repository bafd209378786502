// Actions that stand for sequences which most cases begin with.

import { isArray, isObject, type Json, type JsonObject, text } from "../../support/client/index.js";
import { ACTIONS, type Action } from "./actions.js";
import type { Stage } from "./stage.js";

export const SHORTHANDS: { readonly [name: string]: Action } = {
  /** Connect, Hello, Welcome. */
  async open(stage, input) {
    const client = text(input.client);
    const user = text(input.user) || client;
    const connection = await stage.connect(client);
    const welcome = await connection.request(
      {
        hello: {
          token: stage.resolve(input.token ?? `$token.${user}`),
          device: { deviceId: stage.resolve(input.device ?? `${client}-device`) },
          attempt: input.attempt ?? 1,
          protocol: 1,
          ...(input.canStay === true ? { canStay: true } : {}),
          ...(isArray(input.rooms) ? { rooms: stage.resolve(input.rooms) } : {}),
        },
      },
      stage.patienceMs,
    );
    stage.match({ welcome: input.welcome ?? {} }, welcome);
  },

  /** CreateRoom inside the session. */
  async room(stage, input) {
    const { client: _client, id, members, reply, ...rest } = input;
    await call(stage, input, "createRoom", { roomId: id ?? "", members: newMembers(members), ...rest }, reply);
  },

  async join(stage, input) {
    await call(stage, input, "joinRoom", { roomId: input.room ?? "" }, input.reply);
  },

  async leave(stage, input) {
    await call(stage, input, "leaveRoom", { roomId: input.room ?? "" }, input.reply);
  },

  async subscribe(stage, input) {
    const after: JsonObject = input.after === undefined ? {} : { after: input.after };
    await requestOf(
      stage,
      input,
      { subscribe: { roomId: input.room ?? "", ...after } },
      { subscribed: input.reply ?? {} },
    );
  },

  /** Publish a text. */
  async say(stage, input) {
    const publish = {
      roomId: input.room ?? "",
      clientMessageId: input.id ?? stage.freshKey(),
      attempt: 1,
      body: { text: input.text ?? "" },
    };
    await requestOf(stage, input, { publish }, { published: input.reply ?? {} });
  },
};

async function call(stage: Stage, input: JsonObject, method: string, request: JsonObject, reply: Json | undefined) {
  const frame = { call: { [method]: { key: stage.freshKey(), attempt: 1, ...request } } };
  await requestOf(stage, input, frame, { callResult: { [method]: reply ?? {} } });
}

async function requestOf(stage: Stage, input: JsonObject, frame: JsonObject, reply: JsonObject): Promise<void> {
  await ACTIONS.request?.(stage, { client: input.client ?? "", frame, reply });
}

/** `[bob, {user: cat, role: ROLE_READER}]` as NewMember messages. */
function newMembers(value: Json | undefined): readonly Json[] {
  return (isArray(value) ? value : []).map(newMember);
}

function newMember(item: Json): JsonObject {
  if (!isObject(item)) return { userId: `$user.${text(item)}` };
  return { userId: `$user.${text(item.user)}`, role: item.role ?? "ROLE_UNSPECIFIED" };
}
