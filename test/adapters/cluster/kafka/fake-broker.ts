// Brokers that answer as the test says: they speak as much of Kafka's protocol as an append needs.

import { createServer, type Server, type Socket } from "node:net";
import { ByteReader, ByteWriter } from "../../../../src/adapters/cluster/kafka/bytes.js";

const PRODUCE = 0;
const METADATA = 3;

/** What a broker does with a produce request. */
export type Conduct = "answers" | "is silent" | "hangs up" | "is not the leader";

export class FakeBroker {
  readonly #cluster: FakeCluster;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #waiting: (() => void)[] = [];
  port = 0;
  conduct: Conduct = "answers";
  /** Connections made to it so far. */
  connections = 0;
  /** Produce requests it has received so far. */
  appends = 0;

  constructor(cluster: FakeCluster) {
    this.#cluster = cluster;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the listener has no port");
    this.port = address.port;
  }

  /** Resolves once it has received so many produce requests. */
  async received(appends: number): Promise<void> {
    while (this.appends < appends) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    let unread: Buffer = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("data", (bytes) => {
      unread = Buffer.concat([unread, bytes]);
      while (unread.length >= 4 && unread.length >= 4 + unread.readInt32BE(0)) {
        const end = 4 + unread.readInt32BE(0);
        this.#receive(socket, unread.subarray(4, end));
        unread = unread.subarray(end);
      }
    });
  }

  #receive(socket: Socket, bytes: Buffer): void {
    const request = new ByteReader(bytes);
    const apiKey = request.int16();
    request.int16();
    const correlation = request.int32();
    request.nullableString();
    if (apiKey === METADATA) send(socket, correlation, this.#cluster.metadata());
    else if (apiKey === PRODUCE) this.#append(socket, correlation, request);
    else socket.destroy();
  }

  #append(socket: Socket, correlation: number, request: ByteReader): void {
    this.appends += 1;
    for (const resolve of this.#waiting.splice(0)) resolve();
    request.nullableString();
    request.int16();
    request.int32();
    const topics = request.array(() => ({
      name: request.string(),
      partitions: request.array(() => ({ partition: request.int32(), batch: request.bytes() })),
    }));
    if (this.conduct === "hangs up") socket.end();
    if (this.conduct !== "answers" && this.conduct !== "is not the leader") return;
    const code = this.conduct === "answers" ? 0 : 6;
    const answer = new ByteWriter();
    answer.array(topics, ({ name, partitions }) => {
      answer.string(name).array(partitions, ({ partition }) => {
        answer
          .int32(partition)
          .int16(code)
          .int64(this.#cluster.nextOffset++)
          .int64(-1)
          .int64(0);
      });
    });
    send(socket, correlation, answer.int32(0));
  }
}

/** Brokers of one topic with one partition. */
export class FakeCluster {
  brokers: readonly FakeBroker[] = [];
  /** Which of the brokers leads. */
  leader = 0;
  /** One byte of what tells the topic from others. */
  topicId = 1;
  nextOffset = 0;

  static async start(brokers: number): Promise<FakeCluster> {
    const cluster = new FakeCluster();
    cluster.brokers = Array.from({ length: brokers }, () => new FakeBroker(cluster));
    await Promise.all(cluster.brokers.map((broker) => broker.listen()));
    return cluster;
  }

  get addresses(): readonly string[] {
    return this.brokers.map(({ port }) => `127.0.0.1:${port}`);
  }

  async stop(): Promise<void> {
    await Promise.all(this.brokers.map((broker) => broker.stop()));
  }

  metadata(): ByteWriter {
    const answer = new ByteWriter().emptyTags().int32(0).compactLength(this.brokers.length);
    for (const [node, { port }] of this.brokers.entries()) {
      answer.int32(node).compactString("127.0.0.1").int32(port).int8(0).emptyTags();
    }
    answer.int8(0).int32(0).compactLength(1);
    answer.int16(0).compactString("topic").raw(Buffer.alloc(16, this.topicId)).int8(0).compactLength(1);
    answer.int16(0).int32(0).int32(this.leader).int32(5);
    answer.compactLength(1).int32(this.leader).compactLength(1).int32(this.leader).compactLength(0).emptyTags();
    return answer.int32(0).emptyTags().emptyTags();
  }
}

function send(socket: Socket, correlation: number, body: ByteWriter): void {
  const bytes = body.finish();
  const head = Buffer.alloc(8);
  head.writeInt32BE(4 + bytes.length, 0);
  head.writeInt32BE(correlation, 4);
  socket.write(Buffer.concat([head, bytes]));
}
