// Which broker leads which partition of a topic, and a connection to each of them.

import type { BrokerConnection } from "./connection.js";
import { KafkaCode, KafkaError } from "./error.js";
import { type BrokerAddress, metadataRequest, type TopicMetadata } from "./requests.js";

/** What a connection is for: a request waits only for those of its own kind. */
export type Purpose = "append" | "read" | "metadata";

export type Connect = (address: BrokerAddress) => Pick<BrokerConnection, "request" | "end" | "usable">;
type Connection = ReturnType<Connect>;

export interface BrokersOptions {
  readonly topic: string;
  /** Asked first. */
  readonly seeds: readonly BrokerAddress[];
  readonly connect: Connect;
  /** Longest wait for one broker's answer about the others, in milliseconds. */
  readonly deadlineMs: number;
}

export class Brokers {
  readonly #options: BrokersOptions;
  readonly #connections = new Map<string, Connection>();
  #known: TopicMetadata | undefined;
  #topicId: string | undefined;
  #asking: Promise<TopicMetadata> | undefined;
  /** Who may be asked: those that were named, and those that were learned of. */
  #addresses: readonly BrokerAddress[];
  /** Rises, so that another broker is asked after one that did not answer. */
  #turn = 0;
  #closed = false;

  constructor(options: BrokersOptions) {
    this.#options = options;
    this.#addresses = options.seeds;
  }

  /** Tells this topic from all others: it does not change, or nothing is answered any more. */
  async topicId(): Promise<string> {
    return (this.#known ?? (await this.#ask())).topicId;
  }

  /** The leader of a partition. Rejects where there is none, or nobody says. */
  async leader(partition: number): Promise<BrokerAddress> {
    const { leaders, brokers } = this.#known ?? (await this.#ask());
    const address = brokers.get(leaders.get(partition) ?? -1);
    if (address !== undefined) return address;
    this.forget();
    throw new KafkaError(KafkaCode.LEADER_NOT_AVAILABLE, `partition ${partition}`);
  }

  /** The connection to a broker; a new one where the last was given up. */
  connection(address: BrokerAddress, purpose: Purpose): Connection {
    if (this.#closed) throw new Error("the log is closed");
    const key = `${purpose} ${nameOf(address)}`;
    const open = this.#connections.get(key);
    if (open?.usable === true) return open;
    open?.end();
    const fresh = this.#options.connect(address);
    this.#connections.set(key, fresh);
    return fresh;
  }

  /** What was known of the leaders may be wrong: it is asked for anew before the next use. */
  forget(): void {
    this.#known = undefined;
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections.values()) connection.end();
    this.#connections.clear();
  }

  #ask(): Promise<TopicMetadata> {
    this.#asking ??= this.#metadata().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** One broker is asked at a time: whoever waits has a deadline and asks again. */
  async #metadata(): Promise<TopicMetadata> {
    const { topic, deadlineMs } = this.#options;
    const address = this.#addresses[this.#turn % this.#addresses.length];
    if (address === undefined) throw new Error("no broker is named");
    try {
      const answer = await this.connection(address, "metadata").request(metadataRequest(topic), deadlineMs);
      this.#topicId ??= answer.topicId;
      // What a node knows of offsets is about the topic it began with.
      if (answer.topicId !== this.#topicId) throw new Error(`topic ${topic} was removed, and another one made`);
      this.#known = answer;
      this.#learn(answer);
      return answer;
    } catch (error) {
      this.#turn += 1;
      throw error;
    }
  }

  /** A broker that has moved or left keeps no connection. */
  #learn({ brokers }: TopicMetadata): void {
    const named = new Map([...this.#options.seeds, ...brokers.values()].map((address) => [nameOf(address), address]));
    this.#addresses = [...named.values()];
    for (const [key, connection] of this.#connections) {
      if (named.has(key.slice(key.indexOf(" ") + 1))) continue;
      this.#connections.delete(key);
      connection.end();
    }
  }
}

function nameOf({ host, port }: BrokerAddress): string {
  return `${host}:${port}`;
}
