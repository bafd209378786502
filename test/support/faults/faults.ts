// What is done to a cluster while people talk. Each fault begins, lasts, and is mended.

import { setTimeout as pause } from "node:timers/promises";
import type { TestEdge } from "../edge.js";
import { between, type Random } from "../story/random.js";
import type { FaultyCluster, FaultyNode } from "./cluster.js";
import type { Recognises } from "./tcp-proxy.js";

/** What two faults that happen together may not both touch. A node is chosen by chance, and never twice. */
export type Touched = "redis" | "kafka" | "mongo" | "node" | "bridge";

export interface FaultStage {
  readonly cluster: FaultyCluster;
  readonly random: Random;
  /** A node that nothing else is done to. */
  takeNode(): FaultyNode;
  /** Remembers what was done, and when. */
  note(what: string): void;
}

/** Ends what a fault has begun. */
export type Mend = () => Promise<void>;

export interface Fault {
  readonly touches: readonly Touched[];
  /** From its beginning to its mending, in milliseconds. */
  readonly lastsMs: number;
  begin(stage: FaultStage): Promise<Mend>;
}

/** How long Redis is away between its death and its return. */
const REDIS_GONE_MS = 1_000;
/** What a snapshot lacks when Redis is taken back to it. */
const SNAPSHOT_AGE_MS = 5_000;
/** Longest wait for a produce to hold the answer of: rooms of the node may be silent. */
const PRODUCE_MS = 10_000;
/** From the log's answer to the death of who got it. */
const ANSWERED_MS = 20;

/** Of a Kafka request: its length, then which one it is. https://kafka.apache.org/protocol#protocol_messages */
const API_KEY_AT = 4;
const PRODUCE = 0;
const PRODUCE_VERSIONS = { least: 3, most: 20 };

const isProduce: Recognises = (bytes) => {
  if (bytes.length < API_KEY_AT + 4 || bytes.readInt16BE(API_KEY_AT) !== PRODUCE) return false;
  const version = bytes.readInt16BE(API_KEY_AT + 2);
  return version >= PRODUCE_VERSIONS.least && version <= PRODUCE_VERSIONS.most;
};

const nothing: Mend = async () => {};

/** A node gives its start up where a service is away for longer: whoever looks after processes starts it again. */
const STARTS = 3;

async function startAgain({ server }: FaultyNode): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await server.start();
    } catch (error) {
      await server.kill();
      if (tries === STARTS) throw error;
    }
  }
}

/** Done to a bridge of its own: `done` ends with what mends it. */
function toBridge(lastsMs: number, done: (edge: TestEdge) => Promise<Mend>): Fault {
  return {
    touches: ["bridge"],
    lastsMs,
    begin: async ({ cluster: { edges }, random, note }) => {
      const index = between(random, 0, edges.length);
      const edge = edges[index];
      if (edge === undefined) throw new Error("there is no bridge to do anything to");
      note(`on bridge ${index + 1}`);
      return done(edge);
    },
  };
}

/** Done to one node at a time: `done` ends with what mends it. */
function toNode(lastsMs: number, done: (node: FaultyNode, stage: FaultStage) => Promise<Mend>): Fault {
  return {
    touches: ["node"],
    lastsMs,
    begin: async (stage) => {
      const node = stage.takeNode();
      stage.note(`on ${node.name}`);
      return done(node, stage);
    },
  };
}

/** The answer to the next produce of a node, once Kafka has given it; undefined: the node wrote nothing for long. */
async function producedBy({ ways }: FaultyNode) {
  const held = ways.kafka.holdAnswer(isProduce);
  return Promise.race([held, pause(PRODUCE_MS, undefined, { ref: false })]);
}

async function redisBack({ cluster }: FaultStage, holding: "nothing" | "snapshot"): Promise<void> {
  await cluster.redis.kill();
  await pause(REDIS_GONE_MS);
  await cluster.redis.restart(holding);
}

export const FAULTS = {
  "a node is killed": toNode(8_000, async (node) => {
    await node.server.kill();
    return () => startAgain(node);
  }),

  "a node is killed between the log's answer and the announcement": toNode(6_000, async (node, stage) => {
    const { server, ways } = node;
    const answer = await producedBy(node);
    stage.note(answer === undefined ? "it wrote nothing" : "Kafka has answered");
    ways.redis.cut();
    answer?.release();
    await pause(ANSWERED_MS);
    await server.kill();
    ways.redis.heal();
    ways.kafka.heal();
    return () => startAgain(node);
  }),

  "a node leaves and comes back": toNode(3_000, async (node, stage) => {
    const { server } = node;
    const since = performance.now();
    const code = await server.stop();
    stage.note(`it has left with ${code} after ${Math.round(performance.now() - since)} ms`);
    return () => startAgain(node);
  }),

  "a node stands still for longer than its leases": toNode(15_000, async ({ server }) => {
    server.pause();
    return async () => server.resume();
  }),

  "the answer to a produce is lost": toNode(2_000, async (node, stage) => {
    const answer = await producedBy(node);
    stage.note(answer === undefined ? "it wrote nothing" : "Kafka has answered");
    answer?.lose();
    return async () => node.ways.kafka.heal();
  }),

  "a node's subscriptions fall silent": toNode(15_000, async ({ ways }) => {
    ways.redis.silence({ markedOnly: true });
    return async () => ways.redis.heal();
  }),

  "a node cannot reach Redis": toNode(8_000, async ({ ways }) => {
    ways.redis.cut();
    return async () => ways.redis.heal();
  }),

  "a node's Redis falls silent": toNode(8_000, async ({ ways }) => {
    ways.redis.silence();
    return async () => ways.redis.heal();
  }),

  "a node cannot reach Kafka": toNode(8_000, async ({ ways }) => {
    ways.kafka.cut();
    return async () => ways.kafka.heal();
  }),

  "a node's Kafka answers nothing": toNode(8_000, async ({ ways }) => {
    ways.kafka.oneWay("requests");
    return async () => ways.kafka.heal();
  }),

  "nobody can reach a node": toNode(8_000, async ({ ways }) => {
    ways.peer.cut();
    return async () => ways.peer.heal();
  }),

  "a node does not answer others": toNode(8_000, async ({ ways }) => {
    ways.peer.oneWay("requests");
    return async () => ways.peer.heal();
  }),

  "a bridge is killed": toBridge(3_000, async (edge) => {
    await edge.kill();
    return () => edge.start();
  }),

  "a bridge leaves and comes back": toBridge(2_000, async (edge) => {
    await edge.stop();
    return () => edge.start();
  }),

  "two masters": {
    touches: ["redis", "node"],
    lastsMs: 10_000,
    begin: async (stage) => {
      const { cluster } = stage;
      const led = stage.takeNode();
      stage.note(`${led.name} follows the other one`);
      await cluster.otherRedis.empty();
      led.ways.redis.leadTo(cluster.otherRedis.address);
      return async () => led.ways.redis.leadTo(cluster.redis.address);
    },
  },

  "Redis dies and comes back with what it held": {
    touches: ["redis"],
    lastsMs: 3_000,
    begin: async (stage) => {
      await stage.cluster.redis.snapshot();
      await redisBack(stage, "snapshot");
      return nothing;
    },
  },

  "Redis dies and comes back empty": {
    touches: ["redis"],
    lastsMs: 3_000,
    begin: async (stage) => {
      await redisBack(stage, "nothing");
      return nothing;
    },
  },

  "Redis is taken back to an older snapshot": {
    touches: ["redis"],
    lastsMs: 3_000,
    begin: async (stage) => {
      await stage.cluster.redis.snapshot();
      await pause(SNAPSHOT_AGE_MS);
      await redisBack(stage, "snapshot");
      return nothing;
    },
  },

  "Kafka is killed": {
    touches: ["kafka"],
    lastsMs: 20_000,
    begin: async ({ cluster: { kafka } }) => {
      await kafka.kill();
      return () => kafka.restart();
    },
  },

  "Kafka stands still": {
    touches: ["kafka"],
    lastsMs: 20_000,
    begin: async ({ cluster: { kafka } }) => {
      kafka.pause();
      return async () => kafka.resume();
    },
  },

  "MongoDB stands still": {
    touches: ["mongo"],
    lastsMs: 20_000,
    begin: async ({ cluster: { mongo } }) => {
      mongo.pause();
      return async () => mongo.resume();
    },
  },

  "Redis is emptied while MongoDB stands still": {
    touches: ["redis", "mongo"],
    lastsMs: 12_000,
    begin: async ({ cluster: { mongo, redis } }) => {
      mongo.pause();
      await redis.empty();
      return async () => mongo.resume();
    },
  },
} as const satisfies Readonly<Record<string, Fault>>;

export type FaultTitle = keyof typeof FAULTS;

export function isFault(title: string): title is FaultTitle {
  return Object.hasOwn(FAULTS, title);
}

/** Every fault by itself. */
export const TITLES = Object.keys(FAULTS).filter(isFault);

/** Whether both can happen together. Of nodes there are enough. */
export function goTogether(one: FaultTitle, other: FaultTitle): boolean {
  const touched: readonly Touched[] = FAULTS[one].touches;
  return one !== other && !FAULTS[other].touches.some((each) => each !== "node" && touched.includes(each));
}
