// A webhook, against a real HTTP server.

import { createHmac } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { Webhook, type WebhookOptions } from "../../../src/adapters/webhook/webhook.js";
import { RoomEventSchema } from "../../../src/gen/trunkline/v1/message_pb.js";
import { NotificationSchema } from "../../../src/gen/trunkline/v1/outlet_pb.js";
import { EncodedEvent } from "../../../src/ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { contentOf, useReceiver } from "./use-receiver.js";

const SECRET = "a secret of at least thirty-two bytes";
const OLD_SECRET = "the secret that was used before, as long";
const DEADLINE_MS = 10_000;

function useWebhook(url: string, differing: Partial<WebhookOptions> = {}) {
  const clock = new StoppedClock();
  const webhook = new Webhook({ url, secrets: [SECRET], endpoint: "orders", clock, ...differing });
  onTestFinished(() => webhook.close());
  return { webhook, clock };
}

function batch(id = "b1") {
  const event = create(RoomEventSchema, {
    eventId: "e1",
    position: { seq: 7, tag: 9 },
    kind: { case: "messageCreated", value: { body: { kind: { case: "text", value: "hällo" } } } },
  });
  const encoded = EncodedEvent.decode(toBinary(RoomEventSchema, event));
  return { id, rooms: [{ room: roomRef("acme", "r"), events: [encoded] }] };
}

async function refusal(posted: Promise<void>): Promise<TrunklineError> {
  const error: unknown = await posted.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof TrunklineError)) throw new Error(`not refused: ${error}`);
  expect(error.code).toBe(ErrorCode.UNAVAILABLE);
  return error;
}

describe("a webhook", () => {
  it("posts events as JSON, named and signed with the time", async () => {
    const receiver = await useReceiver();
    const { webhook, clock } = useWebhook(receiver.url);
    clock.advance(1_700_000_000_500);
    await webhook.deliver(batch());
    const [post] = receiver.posts;
    if (post === undefined) throw new Error("nothing came");
    expect(contentOf(post)).toEqual({
      postId: "b1",
      endpoint: "orders",
      rooms: [
        {
          tenantId: "acme",
          roomId: "r",
          events: [{ eventId: "e1", position: { seq: 7, tag: 9 }, messageCreated: { body: { text: "hällo" } } }],
        },
      ],
    });
    expect(post.headers).toMatchObject({
      "content-type": "application/json",
      "trunkline-id": "b1",
      "trunkline-timestamp": "1700000000",
    });
    const expected = createHmac("sha256", SECRET).update(`1700000000.${post.body}`).digest("hex");
    expect(post.headers["trunkline-signature"]).toBe(`v1=${expected}`);
  });

  it("posts a notification under its own id", async () => {
    const receiver = await useReceiver();
    const { webhook } = useWebhook(receiver.url);
    const notification = create(NotificationSchema, { notificationId: "n1", userId: "bob", count: 2 });
    await webhook.notify(notification);
    const posted = receiver.posts.map(contentOf);
    expect(posted).toEqual([
      { postId: "n1", endpoint: "orders", notifications: [{ notificationId: "n1", userId: "bob", count: 2 }] },
    ]);
  });

  it("signs with each secret while they are rotated", async () => {
    const receiver = await useReceiver();
    const { webhook } = useWebhook(receiver.url, { secrets: [SECRET, OLD_SECRET] });
    await webhook.deliver(batch());
    const { headers, body } = receiver.posts[0] ?? { headers: {}, body: "" };
    const signed = String(headers["trunkline-signature"]).split(",");
    expect(signed).toEqual(
      [SECRET, OLD_SECRET].map((secret) => `v1=${createHmac("sha256", secret).update(`0.${body}`).digest("hex")}`),
    );
  });

  it("rejects what is answered with an error, and names it without what was sent", async () => {
    const receiver = await useReceiver();
    const { webhook } = useWebhook(receiver.url);
    for (const status of [400, 429, 500, 503]) {
      receiver.answer = (_post, response) => response.writeHead(status).end("x".repeat(100_000));
      expect((await refusal(webhook.deliver(batch()))).message).toMatch(
        new RegExp(`^127\\.0\\.0\\.1:\\d+ answered ${status}$`),
      );
    }
  });

  it("follows no redirect", async () => {
    const [receiver, elsewhere] = [await useReceiver(), await useReceiver()];
    const { webhook } = useWebhook(receiver.url);
    receiver.answer = (_post, response) => response.writeHead(307, { location: elsewhere.url }).end();
    expect((await refusal(webhook.deliver(batch()))).message).toMatch(/redirect$/);
    expect(elsewhere.posts).toEqual([]);
  });

  it("waits for an answer until the deadline, and not after", async () => {
    const receiver = await useReceiver();
    const { webhook, clock } = useWebhook(receiver.url, { deadlineMs: DEADLINE_MS });
    const answers: (() => void)[] = [];
    receiver.answer = (_post, response) => answers.push(() => response.writeHead(200).end());
    const slow = webhook.deliver(batch("slow"));
    await receiver.until(() => answers.length === 1);
    clock.advance(DEADLINE_MS - 1);
    answers[0]?.();
    await slow;
    const hanging = webhook.deliver(batch("hanging"));
    await receiver.until(() => answers.length === 2);
    clock.advance(DEADLINE_MS);
    expect((await refusal(hanging)).message).toMatch(/no answer in time$/);
    expect(clock.pending).toBe(0);
  });

  it("rejects while nobody listens, and goes on when somebody does", async () => {
    const receiver = await useReceiver();
    const { webhook } = useWebhook(receiver.url);
    await receiver.stop();
    expect((await refusal(webhook.deliver(batch()))).message).toMatch(/ECONNREFUSED$/);
    await receiver.start();
    await webhook.deliver(batch());
    expect(receiver.posts).toHaveLength(1);
  });

  it("rejects when the connection is cut before the answer", async () => {
    const receiver = await useReceiver();
    const { webhook } = useWebhook(receiver.url);
    receiver.answer = (_post, response) => response.destroy();
    await refusal(webhook.deliver(batch()));
  });

  it("cuts off what is under way when it is closed", async () => {
    const receiver = await useReceiver();
    const { webhook, clock } = useWebhook(receiver.url);
    receiver.answer = () => {};
    const hanging = webhook.deliver(batch());
    await receiver.until(() => receiver.posts.length === 1);
    webhook.close();
    await refusal(hanging);
    await refusal(webhook.deliver(batch()));
    expect(receiver.posts).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ["http://hooks.example/in", "must be https, or http on loopback"],
    ["ftp://127.0.0.1/in", "must be https, or http on loopback"],
    ["https://user:word@hooks.example/in", "must not hold a user or password"],
    ["hooks.example", "is not a URL"],
  ])("is not made for %s", (url, reason) => {
    expect(() => useWebhook(url)).toThrow(reason);
  });

  it("is made for https anywhere, and for http on this machine", () => {
    for (const url of ["https://hooks.example/in", "http://localhost:1/in", "http://[::1]:1/in"]) useWebhook(url);
  });
});
