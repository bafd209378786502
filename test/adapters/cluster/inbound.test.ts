// Commands that come by Kafka: what is done, what is given up and why, and in which order.

import { expect, it } from "vitest";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { InboundDoor } from "../../../src/ports/inbound.js";
import { describeWith } from "../../support/services/describe-with.js";
import { command, JSON_TYPE, json, protobuf, say, until, useInbound } from "./use-inbound.js";

const TIMEOUT_MS = 60_000;

describeWith("kafka", "commands by Kafka", (url) => {
  it("are carried out, in protobuf and in JSON, also those that came before a node read", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const scene = await useInbound(url);
    const { inbound } = await scene.open();
    await inbound.close();
    await scene.send({ value: protobuf(say("one")) }, { value: json(say("two")), headers: JSON_TYPE });
    const { events } = await scene.open();
    await until(() => expect(scene.heard).toEqual(["one", "two"]));
    await until(() => expect(events).toContainEqual({ is: "lag", partition: 0, records: 0 }));
    expect(await scene.committed(0)).toBe(2);
  });

  it("that are bad are given up with the reason, and the next one is carried out", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const scene = await useInbound(url);
    await scene.open();
    const letters = await scene.letters();
    const to = (roomId: string, text: string) =>
      protobuf(command({ case: "sendToRoom", value: { roomId, body: { kind: { case: "text", value: text } } } }));
    const bad = [
      { value: Buffer.from([0xff, 0xff]), says: "INVALID_ARGUMENT value" },
      { value: Buffer.from("{"), headers: JSON_TYPE, says: "INVALID_ARGUMENT value" },
      { value: Buffer.from('{"tenant": "acme"}'), headers: JSON_TYPE, says: "INVALID_ARGUMENT value" },
      { value: null, says: "INVALID_ARGUMENT value" },
      { value: to("r", "x"), headers: {}, says: "INVALID_ARGUMENT content-type" },
      { value: to("r", "x"), headers: { "content-type": "text/plain" }, says: "INVALID_ARGUMENT content-type" },
      { value: protobuf(command({ case: undefined })), says: "INVALID_ARGUMENT command" },
      { value: to("", "x"), says: "INVALID_ARGUMENT send_to_room.room_id" },
      { value: to("r", "x".repeat(200_000)), says: "TOO_LARGE send_to_room.body.text" },
      { value: to("nowhere", "x"), says: "NOT_FOUND send_to_room" },
      { value: to("archived", "x"), says: "PERMISSION_DENIED send_to_room" },
    ];
    for (const [index, { says, ...record }] of bad.entries()) {
      await scene.send({ ...record, key: "k" }, { key: "k", value: protobuf(say(`after ${index}`)) });
    }
    await until(() => expect(scene.heard).toEqual(bad.map((_, index) => `after ${index}`)));
    await until(() => expect(letters).toHaveLength(bad.length));
    for (const [index, { says, value }] of bad.entries()) {
      const letter = letters.find(({ headers }) => headers["trunkline-source-offset"] === `${2 * index}`);
      const { "trunkline-error-code": code, "trunkline-error-field": field } = letter?.headers ?? {};
      expect(`${code} ${field}`).toBe(says);
      expect(letter?.value).toEqual(value);
    }
  });

  it("that are given up keep what they came with, and where from", { timeout: TIMEOUT_MS }, async () => {
    const scene = await useInbound(url);
    await scene.open();
    const letters = await scene.letters();
    const key = Buffer.from([0, 0xe9, 0xff]);
    const headers = { "content-type": "text/plain", trace: "tråce", "trunkline-error-code": "theirs" };
    await scene.send({ key, value: Buffer.from([0, 0x80]), headers, partition: 1 });
    await until(() => expect(letters).toHaveLength(1));
    const [letter] = letters;
    expect(letter).toMatchObject({ key, value: Buffer.from([0, 0x80]) });
    expect(letter?.headers).toEqual({
      "content-type": "text/plain",
      trace: "tråce",
      "trunkline-error-code": "INVALID_ARGUMENT",
      "trunkline-error-field": "content-type",
      "trunkline-error-reason": "content-type: must be application/x-protobuf or application/json",
      "trunkline-source-topic": `${scene.prefix}.inbound`,
      "trunkline-source-partition": "1",
      "trunkline-source-offset": "0",
      "trunkline-failed-at": expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      "trunkline-key": expect.stringMatching(/^kafka:[\w-]{22}:1:0$/),
    });
  });

  it("are done once, though they come again after a node was lost before it could say so", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const scene = await useInbound(url);
    const done: string[] = [];
    const lost: InboundDoor = {
      take: async (asked, key) => {
        await scene.door.take(asked, key);
        done.push(key);
        throw new TrunklineError(ErrorCode.UNAVAILABLE, "the node is lost");
      },
    };
    const first = await scene.open({ door: lost });
    await scene.send(
      { key: "a", value: protobuf(say("derived")) },
      { key: "b", value: protobuf(say("own", "my-key")) },
    );
    await until(() => expect(new Set(done).size).toBe(2));
    await first.inbound.close();
    expect(await scene.committed(0)).toBe(-1);
    const { events } = await scene.open();
    await until(() => expect(events.filter(({ is }) => is === "taken")).toHaveLength(2));
    expect([...scene.heard].sort()).toEqual(["derived", "own"]);
  });

  it("that are refused for a while wait, and whatever has their key waits behind them", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const scene = await useInbound(url);
    let refusals = 3;
    const busy: InboundDoor = {
      take: async (asked, key) => {
        const { value } = asked.command;
        if (value !== undefined && "body" in value && value.body?.kind.value === "1" && refusals-- > 0)
          throw new TrunklineError(ErrorCode.RATE_LIMITED, "not now", { retryAfterMs: 50 });
        await scene.door.take(asked, key);
      },
    };
    const { events } = await scene.open({ door: busy });
    const letters = await scene.letters();
    await scene.send(...["1", "2", "3"].map((words) => ({ key: "held", value: protobuf(say(words)) })), {
      key: "other",
      value: protobuf(say("other")),
    });
    await until(() => expect(scene.heard).toHaveLength(4));
    expect(scene.heard).toEqual(["other", "1", "2", "3"]);
    expect(events.filter(({ is }) => is === "held")).toHaveLength(3);
    await until(() => expect(events).toContainEqual({ is: "lag", partition: 0, records: 0 }));
    expect(letters).toEqual([]);
  });

  it("without a key keep the order of their partition", { timeout: TIMEOUT_MS }, async () => {
    const scene = await useInbound(url);
    await scene.open();
    const words = Array.from({ length: 50 }, (_, index) => `${index}`);
    await scene.send(...words.map((each) => ({ value: protobuf(say(each)) })));
    await until(() => expect(scene.heard).toEqual(words));
  });

  it("are neither lost nor doubled nor turned round while nodes come and go", { timeout: TIMEOUT_MS }, async () => {
    const scene = await useInbound(url);
    const nodes = [await scene.open()];
    const sent = new Map<string, string[]>([
      ["a", []],
      ["b", []],
    ]);
    for (let round = 0; round < 6; round++) {
      for (const [index, [key, words]] of [...sent.entries()].entries()) {
        const fresh = Array.from({ length: 20 }, (_, each) => `${key} ${round}.${each}`);
        words.push(...fresh);
        await scene.send(...fresh.map((each) => ({ key, value: protobuf(say(each)), partition: index })));
      }
      if (round % 2 === 0) nodes.push(await scene.open());
      else await nodes.shift()?.inbound.close();
    }
    const ofKey = (key: string) => scene.heard.filter((words) => words.startsWith(key));
    await until(() => expect(scene.heard.length).toBeGreaterThanOrEqual(240));
    for (const [key, words] of sent) expect(ofKey(key)).toEqual(words);
  });
});
