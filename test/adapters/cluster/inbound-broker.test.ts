// Commands by Kafka, of which the broker dies.

import { expect, it, onTestFinished } from "vitest";
import { describeWith } from "../../support/services/describe-with.js";
import { startKafka } from "../../support/services/kafka.js";
import { protobuf, say, until, useInbound } from "./use-inbound.js";

/** A broker, Java included, starts within this, in milliseconds, also on a machine that has other things to do. */
const START_MS = 120_000;
/** The group gives the partitions out anew once it knows that nobody has them. */
const REJOIN_MS = 45_000;

describeWith("kafka", "commands by a Kafka that dies", () => {
  it("are carried out once it is back, and given up there", { timeout: 2 * START_MS }, async () => {
    const kafka = await startKafka();
    if (kafka === undefined) throw new Error("the services have a Kafka, and this test none");
    onTestFinished(() => kafka.stop());
    const scene = await useInbound(kafka.url);
    const { events } = await scene.open();
    await scene.send({ value: protobuf(say("before")) });
    await until(() => expect(scene.heard).toEqual(["before"]));
    await kafka.kill();
    // The client that kafkajs gave up by itself is replaced by another.
    await until(() => expect(events.filter(({ is }) => is === "failed").length).toBeGreaterThan(1), REJOIN_MS);
    await kafka.restart();
    await scene.send({ value: Buffer.from([0xff]) }, { value: protobuf(say("after")) });
    await until(() => expect(scene.heard).toEqual(["before", "after"]), REJOIN_MS);
    expect(events.filter(({ is }) => is === "buried")).toHaveLength(1);
  });
});
