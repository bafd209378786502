// The partitions of a topic, as the event log needs them: what Kafka promises, without how it is asked.

import type { KafkaRecord, StoredRecord } from "./kafka/record-batch.js";

export type PartitionPage =
  | {
      readonly status: "page";
      /** In order, from the offset asked for. Empty, with `next` above that offset: there was nothing of ours. */
      readonly records: readonly StoredRecord[];
      /** Where the next page begins. */
      readonly next: number;
      /** What stands before it is on all in-sync replicas; nothing behind it is shown. */
      readonly end: number;
    }
  /** There is nothing at that offset: no longer, or not yet. */
  | { readonly status: "out-of-range"; readonly first: number; readonly end: number };

export interface PartitionLog {
  /**
   * Stores records at consecutive offsets, wherever the partition ends, or none of them. Resolves with the first one's offset once
   * they are on all in-sync replicas. A rejection leaves open whether they are stored, or will be. Keeps no reference to the records.
   */
  append(partition: number, records: readonly KafkaRecord[]): Promise<number>;

  /** What stands at an offset and behind it, about so many bytes of it: at least one batch, however long it is. */
  read(partition: number, from: number, bytes: number): Promise<PartitionPage>;

  /** Of each of these partitions the offset after the last record that is on all in-sync replicas, in their order. */
  ends(partitions: readonly number[]): Promise<readonly number[]>;

  /** Of each of these partitions the first offset that is still kept, in their order. */
  begins(partitions: readonly number[]): Promise<readonly number[]>;

  /** Ends what is under way; what is called afterwards rejects. */
  close(): void;
}
