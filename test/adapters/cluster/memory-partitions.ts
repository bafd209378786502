// Partitions in memory, and partitions to which things happen on the way.

import type { KafkaRecord, StoredRecord } from "../../../src/adapters/cluster/kafka/record-batch.js";
import type { PartitionLog, PartitionPage } from "../../../src/adapters/cluster/partition-log.js";

/** Whatever is appended gets the next offsets, as a leader gives them. */
export class MemoryPartitions implements PartitionLog {
  /** By partition, what it holds. A test may look, and may write as somebody else would. */
  readonly stored: StoredRecord[][];
  /** By partition, what was removed by retention ends here. */
  readonly first: number[];
  /** Records of one page. */
  pageRecords = 3;
  /** How many pages were read. */
  reads = 0;
  readonly #ends: number[];

  constructor(partitions: number) {
    this.stored = Array.from({ length: partitions }, () => []);
    this.first = this.stored.map(() => 0);
    this.#ends = this.stored.map(() => 0);
  }

  async append(partition: number, records: readonly KafkaRecord[]): Promise<number> {
    const base = this.#ends[partition] ?? 0;
    for (const [index, record] of records.entries()) {
      const value = record.value === undefined ? undefined : new Uint8Array(record.value);
      this.stored[partition]?.push({ ...record, value, offset: base + index });
    }
    this.#ends[partition] = base + records.length;
    return base;
  }

  async read(partition: number, from: number): Promise<PartitionPage> {
    this.reads += 1;
    const end = this.#ends[partition] ?? 0;
    const first = this.first[partition] ?? 0;
    if (from < first || from > end) return { status: "out-of-range", first, end };
    const records = (this.stored[partition] ?? [])
      .filter(({ offset }) => offset >= from && offset >= first)
      .slice(0, this.pageRecords);
    return { status: "page", records, next: (records.at(-1)?.offset ?? from - 1) + 1, end };
  }

  async ends(partitions: readonly number[]): Promise<readonly number[]> {
    return partitions.map((partition) => this.#ends[partition] ?? 0);
  }

  async begins(partitions: readonly number[]): Promise<readonly number[]> {
    return partitions.map((partition) => this.first[partition] ?? 0);
  }

  close(): void {}
}

/** What becomes of one append. */
export type Fate =
  | "answered"
  /** Stored, and nobody is told. */
  | "unanswered"
  /** Neither stored nor answered. */
  | "lost"
  /** Not answered, and stored when the test says so: a request that was on its way for long. */
  | "late";

/** Partitions whose appends have a fate each; without one they are answered. */
export class FatefulPartitions implements PartitionLog {
  readonly #inner: PartitionLog;
  readonly #fates: Fate[] = [];
  #late: (() => Promise<unknown>)[] = [];
  /** Awaited before an append arrives and before it is answered. */
  pause: (what: string) => Promise<unknown> = () => Promise.resolve();

  constructor(inner: PartitionLog) {
    this.#inner = inner;
  }

  /** The next appends', in their order; barriers are appends too. */
  next(...fates: readonly Fate[]): void {
    this.#fates.push(...fates);
  }

  async append(partition: number, records: readonly KafkaRecord[]): Promise<number> {
    const fate = this.#fates.shift() ?? "answered";
    const copies = records.map((record) => ({
      ...record,
      value: record.value === undefined ? undefined : new Uint8Array(record.value),
    }));
    const store = (): Promise<number> => this.#inner.append(partition, copies);
    if (fate === "late") this.#late.push(store);
    await this.pause("an append arrives");
    const base = fate === "answered" || fate === "unanswered" ? await store() : 0;
    await this.pause("an append is answered");
    if (fate !== "answered") throw new Error(`the append is ${fate}`);
    return base;
  }

  read(partition: number, from: number, bytes: number): Promise<PartitionPage> {
    return this.#inner.read(partition, from, bytes);
  }

  ends(partitions: readonly number[]): Promise<readonly number[]> {
    return this.#inner.ends(partitions);
  }

  begins(partitions: readonly number[]): Promise<readonly number[]> {
    return this.#inner.begins(partitions);
  }

  close(): void {
    this.#inner.close();
  }

  /** What was late arrives. */
  async arrive(): Promise<void> {
    const late = this.#late;
    this.#late = [];
    for (const store of late) await store();
  }
}
