// The event log on Kafka keeps the port's guarantees, with an archive that is written behind it.

import type { ClusterEventLogOptions } from "../../../src/adapters/cluster/open-event-log.js";
import { openEventLog } from "../../../src/adapters/cluster/open-event-log.js";
import type { Archive } from "../../../src/ports/archive.js";
import { describeEventLog, type EventLogSubject } from "../../contract/event-log.js";
import { changesOf } from "../../contract/samples.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { describeWith } from "../../support/services/describe-with.js";
import { kafkaOf } from "../../support/services/kafka-client.js";
import { kafkaOptions } from "./use-kafka.js";

async function subjectOn(options: ClusterEventLogOptions, archive: Archive): Promise<EventLogSubject> {
  const log = await openEventLog(options);
  const open = [log];
  const close = (): void => {
    for (const one of open) one.close();
  };
  return {
    log,
    archive,
    async rival() {
      const rival = await openEventLog({ ...options, node: "rival" });
      open.push(rival);
      return rival;
    },
    async expire() {
      const topic = `${options.topicPrefix}.events`;
      const admin = kafkaOf(options.brokers).admin();
      await admin.connect();
      try {
        const ends = await admin.fetchTopicOffsets(topic);
        const partitions = ends.map(({ partition, high }) => ({ partition, offset: high }));
        // What the archive lacks is never too old.
        for (const { partition, offset } of partitions) await archive.apply(partition, Number(offset), changesOf({}));
        await admin.deleteTopicRecords({ topic, partitions });
      } finally {
        await admin.disconnect();
      }
    },
    async reopen() {
      close();
      return await subjectOn(options, archive);
    },
    async close() {
      close();
    },
  };
}

describeWith("kafka", "on Kafka", (url) => {
  describeEventLog("the cluster", async () => {
    const { archive } = new MemoryEngine({ shards: 3, archivesOnAppend: false });
    return await subjectOn(kafkaOptions(url, { archived: (shard) => archive.archived(shard) }), archive);
  });
});
