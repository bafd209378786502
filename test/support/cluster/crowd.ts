// People who talk in one room from all nodes of a cluster at once, and go on at another node when theirs is gone; and what they saw.

import { setTimeout as pause } from "node:timers/promises";
import { type JsonObject, Schema, TestClient, type Transport } from "../client/index.js";
import { checkHistory, type Finding } from "../history/history.js";
import { Publisher } from "../story/publisher.js";
import type { Random } from "../story/random.js";
import { call, readEvents } from "../story/read-room.js";
import { Receiver } from "../story/receiver.js";
import { signToken } from "../token.js";
import type { TestCluster, TestNode } from "./test-cluster.js";

/** A node that says nothing for so long is given up, in milliseconds. */
const PATIENCE_MS = 4_000;
const CREATE_PATIENCE_MS = 20_000;
const CREATE_AGAIN_MS = 200;
const TRANSPORTS: readonly Transport[] = ["grpc", "websocket-binary"];

export interface CrowdOptions {
  readonly cluster: TestCluster;
  readonly roomId: string;
  readonly random: Random;
  /** Messages that each publisher has under way. Default 4. */
  readonly window?: number;
}

export class Crowd {
  readonly publishers: readonly Publisher[];
  readonly receivers: readonly Receiver[];
  readonly #options: CrowdOptions;
  readonly #schema = new Schema();

  /** A publisher and a receiver for each node that there is. */
  constructor(options: CrowdOptions) {
    this.#options = options;
    const { cluster, roomId, random, window = 4 } = options;
    this.publishers = cluster.nodes.map((node, at) => {
      const name = `${roomId}-publisher-${node.name}`;
      return new Publisher({ ...this.#client(name, at), name, random, roomId, window });
    });
    this.receivers = cluster.nodes.map((node, at) => {
      const name = `${roomId}-receiver-${node.name}`;
      return new Receiver({ ...this.#client(name, at + 1), name, random, roomId });
    });
  }

  /** Makes the room at a node, with everybody as member, and lets everybody begin. */
  async begin(at: TestNode): Promise<void> {
    const { roomId } = this.#options;
    const members = [...this.publishers, ...this.receivers].map(({ name }) => ({ userId: name }));
    await this.#create(at, { roomId, key: "create", attempt: 1, members });
    for (const each of [...this.receivers, ...this.publishers]) each.start();
  }

  /** Shards may be changing hands. */
  async #create(at: TestNode, request: JsonObject): Promise<void> {
    const deadline = performance.now() + CREATE_PATIENCE_MS;
    for (;;) {
      try {
        await call(this.#clientOf(at), this.#token("owner"), "CreateRoom", request);
        return;
      } catch (error) {
        if (!String(error).includes("UNAVAILABLE") || performance.now() > deadline) throw error;
      }
      await pause(CREATE_AGAIN_MS);
    }
  }

  get acknowledged(): number {
    return this.publishers.reduce((sum, publisher) => sum + publisher.acknowledged.length, 0);
  }

  /** Every publisher is answered `count` times more. */
  async goesOn(count: number, withinMs: number): Promise<void> {
    await Promise.all(
      this.publishers.map((publisher) => {
        const goal = publisher.acknowledged.length + count;
        return publisher.until(() => publisher.acknowledged.length >= goal, `${count} more answers`, withinMs);
      }),
    );
  }

  /** Waits until everything is answered and everybody has seen all of it; reads the room at a node, and judges. */
  async judge(
    at: TestNode,
    withinMs: number,
  ): Promise<{ readonly findings: readonly Finding[]; readonly events: number }> {
    const { roomId } = this.#options;
    await Promise.all(this.publishers.map((publisher) => publisher.finish(withinMs)));
    const stored = await readEvents(this.#clientOf(at), this.#token("owner"), roomId);
    await Promise.all(this.receivers.map((receiver) => receiver.reached(stored.length, withinMs)));
    const findings = checkHistory({
      stored,
      acknowledged: this.publishers.flatMap(({ acknowledged }) => acknowledged),
      published: new Set(this.publishers.flatMap(({ published }) => [...published])),
      receivers: this.receivers.map(({ name, events }) => ({ name, from: 0, events })),
    });
    return { findings, events: stored.length };
  }

  /** What no server of the contract does. */
  get violations(): readonly string[] {
    return [...this.publishers, ...this.receivers].flatMap(({ violations }) => violations);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.publishers, ...this.receivers].map((each) => each.stop()));
  }

  #client(name: string, at: number) {
    const transport = TRANSPORTS[at % TRANSPORTS.length] ?? "grpc";
    const { nodes } = this.#options.cluster;
    const clients = nodes.map((node) => this.#clientOf(node, transport));
    const client = clients[at % clients.length];
    if (client === undefined) throw new Error("a cluster without nodes");
    return { client, clients, token: this.#token(name), patienceMs: PATIENCE_MS };
  }

  #clientOf(node: TestNode, transport: Transport = "grpc"): TestClient {
    return new TestClient(transport, node.endpoints, this.#schema);
  }

  #token(user: string): string {
    return signToken(this.#options.cluster.issuer, { user });
  }
}
