// The Python programs of docs/cluster.md run as they stand: one reads the log, the other publishes.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished } from "vitest";
import { eventRecords } from "../../../src/adapters/cluster/event-record.js";
import { KafkaPartitions } from "../../../src/adapters/cluster/kafka/partitions.js";
import { newRoom, sampleBatch } from "../../contract/samples.js";
import { describeWith } from "../../support/services/describe-with.js";
import { pythonStubs, run } from "../../support/stubs.js";
import { testWith } from "../../support/tool.js";
import { until, useInbound } from "./use-inbound.js";
import { kafkaOptions, openLog } from "./use-kafka.js";

const TIMEOUT_MS = 90_000;
const PAGE = readFileSync(fileURLToPath(new URL("../../../docs/cluster.md", import.meta.url)), "utf8");

/** The page's program that holds these words, in a file. */
function program(words: string, change = (text: string) => text): string {
  const blocks = [...PAGE.matchAll(/^```python\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  const found = blocks.find((block) => block.includes(words));
  if (found === undefined) throw new Error(`docs/cluster.md has no program with ${words}`);
  const directory = mkdtempSync(join(tmpdir(), "trunkline-python-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "program.py");
  writeFileSync(file, change(found));
  return file;
}

describeWith("kafka", "the Python of docs/cluster.md", (url) => {
  testWith(
    "python",
    "reads the log, and passes over what does not count",
    async (python) => {
      const options = kafkaOptions(url, { shards: 1 });
      const topic = `${options.topicPrefix}.events`;
      const log = await openLog(url, options);
      onTestFinished(() => log.close());
      const room = newRoom();
      const { end } = await log.open(0);
      await log.append(0, end, sampleBatch(room, 1, 2));
      // Built for an offset that is taken: void, as is the barrier of each open.
      const partitions = new KafkaPartitions({ ...options, topic, compression: "zstd" });
      onTestFinished(() => partitions.close());
      await partitions.append(0, eventRecords(sampleBatch(room, 3).records, end));
      await log.append(0, (await log.open(0)).end, sampleBatch(room, 3));

      const stubs = await pythonStubs(python);
      onTestFinished(() => rmSync(stubs, { recursive: true, force: true }));
      const feed = spawn(python, [program("RoomEvent"), url, topic], {
        env: { ...process.env, PYTHONPATH: stubs },
        stdio: ["ignore", "pipe", "inherit"],
      });
      onTestFinished(() => void feed.kill("SIGKILL"));
      const read: string[] = [];
      for await (const line of createInterface({ input: feed.stdout })) if (read.push(line) === 3) break;
      const { tenantId, roomId } = room;
      const kinds = sampleBatch(room, 1, 3).records.map(({ event }) => event.event.kind.case ?? "");
      const snake = kinds.map((kind) => kind.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
      expect(read).toEqual([1, 2, 3].map((seq, index) => `${tenantId} ${roomId} ${seq} ${snake[index]}`));
    },
    TIMEOUT_MS,
  );

  testWith(
    "python",
    "publishes, once however often it runs",
    async (python) => {
      const scene = await useInbound(url);
      const { events } = await scene.open();
      const file = program("trunkline.inbound", (text) => text.replaceAll("trunkline.", `${scene.prefix}.`));
      for (let runs = 0; runs < 2; runs++) await run(python, [file, url], { timeout: 60_000 });
      await until(() => expect(events.filter(({ is }) => is === "taken")).toHaveLength(2));
      expect(scene.heard).toEqual(["Invoice 2041 is paid."]);
    },
    TIMEOUT_MS,
  );

  testWith(
    "python",
    "may compress in ways that a node cannot read",
    async (python) => {
      const scene = await useInbound(url);
      await scene.open();
      const zstd = '"compression.type": "zstd", "acks"';
      // One record alone is not compressed where that makes it no smaller.
      const change = (text: string) =>
        text.replaceAll("trunkline.", `${scene.prefix}.`).replace('"acks"', zstd).replace("is paid.", "!".repeat(500));
      await run(python, [program("trunkline.inbound", change), url], { timeout: 60_000 });
      await until(() => expect(scene.heard).toEqual([`Invoice 2041 ${"!".repeat(500)}`]));
    },
    TIMEOUT_MS,
  );
});
