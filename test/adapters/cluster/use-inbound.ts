// A core in memory whose commands come by Kafka, and topics of the test's own.

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { create, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { IHeaders, Producer } from "kafkajs";
import { expect, onTestFinished } from "vitest";
import type { InboundEvent } from "../../../src/adapters/cluster/inbound/inbound-event.js";
import { type Inbound, type InboundOptions, openInbound } from "../../../src/adapters/cluster/open-inbound.js";
import { Inbound as CoreInbound } from "../../../src/core/delivery/inbound.js";
import { InboundCommandSchema } from "../../../src/gen/trunkline/v1/inbound_pb.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import type { InboundDoor } from "../../../src/ports/inbound.js";
import { type TestClient, type TestCore, useCore } from "../../core/use-core.js";
import { type Kafka, kafkaOf } from "../../support/services/kafka-client.js";

type CommandInit = MessageInitShape<typeof InboundCommandSchema>["command"];

export const PROTOBUF = { "content-type": "application/x-protobuf" };
export const JSON_TYPE = { "content-type": "application/json" };

/** How long a test waits for what comes by Kafka, in milliseconds. */
const DEADLINE_MS = 15_000;
const POLL_MS = 20;

/** Waits until a check no longer fails. */
export async function until(check: () => void, deadlineMs = DEADLINE_MS): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    try {
      check();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await pause(POLL_MS);
  }
}

/** A command of the service "bot" of the tenant "acme". */
export function command(asked: CommandInit) {
  return create(InboundCommandSchema, { tenantId: "acme", serviceId: "bot", command: asked });
}

/** "words" to the room "r". */
export function say(words: string, key = "") {
  return command({ case: "sendToRoom", value: { roomId: "r", key, body: { kind: { case: "text", value: words } } } });
}

export const protobuf = (of: ReturnType<typeof command>) => Buffer.from(toBinary(InboundCommandSchema, of));
export const json = (of: ReturnType<typeof command>) => Buffer.from(toJsonString(InboundCommandSchema, of));

export interface SentRecord {
  readonly key?: string | Buffer;
  readonly value: Buffer | null;
  readonly headers?: IHeaders;
  readonly partition?: number;
}

export interface ReadLetter {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
}

export class InboundScene {
  readonly core: TestCore;
  readonly bob: TestClient;
  readonly prefix = `test-${randomUUID()}`;
  readonly door: InboundDoor;
  readonly kafka: Kafka;
  readonly #url: string;
  #producer: Producer | undefined;

  constructor(url: string, core: TestCore, bob: TestClient) {
    this.#url = url;
    this.core = core;
    this.bob = bob;
    this.door = new CoreInbound(core.core.delivery);
    this.kafka = kafkaOf(url);
  }

  /** What the subscriber of the room has heard, in order. */
  get heard(): readonly string[] {
    return this.bob
      .all("roomEvents")
      .flatMap(({ value }) => value.events)
      .flatMap(({ kind }) => (kind.case === "messageCreated" ? [`${kind.value.body?.kind.value}`] : []));
  }

  /** One node's door. Answers what it tells. */
  async open(differing: Partial<InboundOptions> = {}): Promise<{ inbound: Inbound; events: InboundEvent[] }> {
    const events: InboundEvent[] = [];
    const inbound = await openInbound({
      brokers: this.#url.split(","),
      topicPrefix: this.prefix,
      partitions: 2,
      replication: 1,
      allowUnsafe: true,
      door: this.door,
      clock: createSystemClock(),
      observe: (event) => events.push(event),
      ...differing,
    });
    onTestFinished(() => inbound.close());
    return { inbound, events };
  }

  /** Records in order; partition 0 unless said otherwise. */
  async send(...records: readonly SentRecord[]): Promise<void> {
    const producer = this.#producer ?? (await this.#connect());
    const messages = records.map(({ partition = 0, headers = PROTOBUF, ...rest }) => {
      return { partition, headers, ...rest };
    });
    await producer.send({ topic: `${this.prefix}.inbound`, messages });
  }

  /** Collects what comes to a topic. */
  async letters(topic = `${this.prefix}.dlq`): Promise<readonly ReadLetter[]> {
    const read: ReadLetter[] = [];
    const consumer = this.kafka.consumer({ groupId: `read-${randomUUID()}`, maxWaitTimeInMs: 100 });
    onTestFinished(() => consumer.disconnect());
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message: { key, value, headers = {} } }) => {
        const texts = Object.entries(headers).map(([name, text]) => [name, String(text)] as const);
        read.push({ key, value, headers: Object.fromEntries(texts) });
      },
    });
    return read;
  }

  /** The offset that the group has committed of a partition. */
  async committed(partition: number): Promise<number> {
    const admin = this.kafka.admin();
    await admin.connect();
    try {
      const group = `${this.prefix}.inbound`;
      const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [group] });
      return Number(offsets?.partitions.find((each) => each.partition === partition)?.offset ?? -1);
    } finally {
      await admin.disconnect();
    }
  }

  async #connect(): Promise<Producer> {
    const producer = this.kafka.producer();
    await producer.connect();
    onTestFinished(() => producer.disconnect());
    this.#producer = producer;
    return producer;
  }
}

/** The room "r" of ada's, with bob in it, who listens. */
export async function useInbound(url: string): Promise<InboundScene> {
  const core = await useCore();
  const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
  for (const room of ["r", "archived"]) await core.room(ada, room, "bob");
  await bob.ask({ case: "subscribe", value: { roomId: "r" } });
  const archived = { roomId: "archived", status: 2, key: "archive" };
  await ada.ask({ case: "call", value: { rpc: { case: "updateRoom", value: archived } } });
  expect(ada.all("error")).toEqual([]);
  return new InboundScene(url, core, bob);
}
