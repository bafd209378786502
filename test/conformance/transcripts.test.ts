// The transcripts speak of nothing that the contract does not have: a misspelt field would be expected in vain, or never.

import { describe, expect, test } from "vitest";
import { at, isArray, type Json, Schema, text } from "../support/client/index.js";
import { BRIDGE_TRANSCRIPTS, readSteps, readTranscripts, type Step } from "./runner/transcript.js";

const schema = new Schema();

const ALL = [...readTranscripts(), ...readTranscripts(BRIDGE_TRANSCRIPTS)];

describe.for(ALL.map((transcript) => [transcript.name, transcript] as const))("%s", ([name, { cases }]) => {
  test("uses names of the contract only", () => {
    for (const { title, steps } of cases) {
      const streams = new Map<string, string>();
      for (const step of flat(steps, name)) {
        expect(unknownIn(step, streams), `${title}: ${step.action}`).toBeUndefined();
      }
    }
  });

  test("has a title of its own for each case", () => {
    expect(new Set(cases.map(({ title }) => title)).size).toBe(cases.length);
  });
});

function flat(steps: readonly Step[], where: string): readonly Step[] {
  return steps.flatMap((step) =>
    step.action === "repeat" ? flat(readSteps(at(step.input, "steps"), where), where) : [step],
  );
}

/** `streams`: of what type are the responses of those that are followed so far. */
function unknownIn({ action, input }: Step, streams: Map<string, string>): string | undefined {
  const check = (type: string, value: Json | undefined): string | undefined =>
    value === undefined ? undefined : schema.unknownName(`trunkline.v1.${type}`, value);
  const checkAll = (type: string, values: Json | undefined): string | undefined =>
    (isArray(values) ? values : []).map((value) => check(type, value)).find((unknown) => unknown !== undefined);
  switch (action) {
    case "send":
      return check("ClientFrame", input.frame);
    case "request":
    case "burst":
      return check("ClientFrame", input.frame) ?? check("ServerFrame", input.reply ?? input.replies);
    case "expect":
    case "next":
    case "quiet":
      return check("ServerFrame", input.frame);
    case "events":
      return checkAll("RoomEvent", input.events);
    case "call": {
      const types = schema.method(`trunkline.v1.${text(input.service) || "RoomService"}`, text(input.method));
      return check(types.request, input.request) ?? check(types.response, input.response);
    }
    case "follow": {
      const types = schema.method(`trunkline.v1.${text(input.service) || "RoomService"}`, text(input.method));
      streams.set(text(input.client), types.response);
      return check(types.request, input.request);
    }
    case "response":
      return check(streams.get(text(input.client)) ?? "no stream is followed", input.response);
    case "open":
      return check("Welcome", input.welcome) ?? checkAll("RoomPosition", input.rooms);
    case "room": {
      const { client: _client, id: _id, members: _members, reply, ...request } = input;
      return check("CreateRoomRequest", request) ?? check("CreateRoomResponse", reply);
    }
    case "join":
      return check("JoinRoomResponse", input.reply);
    case "leave":
      return check("LeaveRoomResponse", input.reply);
    case "subscribe":
      return check("Subscribed", input.reply);
    case "say":
      return check("Published", input.reply);
    default:
      return undefined;
  }
}
