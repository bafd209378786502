// Who has blocked whom, as the nodes of a cluster know it: each asks the owner of an inbox now and then, and is told of what changes.

import { describe, expect, it } from "vitest";
import { UserNotices } from "../../../src/core/cluster/user-notices.js";
import { Blocks } from "../../../src/core/room/blocks.js";
import { inboxRef } from "../../../src/core/room/inbox.js";
import type { PeerQuestion } from "../../../src/ports/peers.js";
import type { ClusterNode } from "../../../src/ports/placement.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { settle } from "../use-core.js";

const IDS = { random: () => "", digest: (of: string) => of.replaceAll("/", "-") };
/** As long as it takes until others know of a node. */
const KNOWN_MS = 2_000;
const TRUSTED_MS = 5_000;

/** Inboxes that any node can read, and nodes that tell each other unless they are cut off. */
class Nodes {
  readonly clock = new StoppedClock();
  /** By the inbox's key. */
  readonly blocked = new Map<string, ReadonlySet<string>>();
  readonly cut = new Set<string>();
  readonly nodes = new Map<string, UserNotices>();
  /** Reads of inboxes, by node. */
  readonly reads: string[] = [];
  /** Set: reads wait for it. */
  held: Promise<void> | undefined;

  node(nodeId: string) {
    const placement = { nodeId, nodes: () => this.#listed() };
    const peers = { ask: (to: ClusterNode, question: PeerQuestion) => this.#ask(to.nodeId, question) };
    const notices = new UserNotices({ clock: this.clock, cluster: { placement, peers } });
    const blocks = new Blocks(IDS, notices, async ({ key }, _, read) => {
      this.reads.push(nodeId);
      const blocked = this.blocked.get(key) ?? new Set<string>();
      await this.held;
      return read({ state: { user: { blocked } } });
    });
    this.nodes.set(nodeId, notices);
    return { notices, blocks };
  }

  /** What the user's inbox says from now on. */
  set(userId: string, ...blocked: readonly string[]): void {
    this.blocked.set(inboxRef(IDS, "acme", userId).key, new Set(blocked));
  }

  #listed(): readonly ClusterNode[] {
    return [...this.nodes.keys()].map((nodeId) => ({ nodeId, address: nodeId, since: 0, leaving: false }));
  }

  async #ask(nodeId: string, question: PeerQuestion) {
    const node = this.nodes.get(nodeId);
    if (node === undefined || this.cut.has(nodeId) || question.case !== "userChanged") throw new Error("unreachable");
    return node.answer(question.value);
  }
}

/** Two nodes that have been known to each other for long, on which Ada has blocked nobody as far as `b` knows. */
async function useNodes() {
  const nodes = new Nodes();
  const a = nodes.node("a");
  const b = nodes.node("b");
  await b.blocks.blockedBy("acme", "somebody");
  nodes.clock.advance(KNOWN_MS);
  await b.blocks.between("acme", "ada", "bob");
  nodes.reads.length = 0;
  return { nodes, a, b };
}

/** Whether the promise has settled once all has happened that needs no time. */
async function settled(promise: Promise<void>): Promise<boolean> {
  let is = false;
  void promise.then(() => {
    is = true;
  });
  await settle();
  return is;
}

describe("what a node knows of blocks", () => {
  it("is asked for once", async () => {
    const { nodes, b } = await useNodes();
    expect(b.blocks.between("acme", "bob", "ada")).toBe(false);
    expect(nodes.reads).toEqual([]);
  });

  it("is right on every node once a block was told", async () => {
    const { nodes, a, b } = await useNodes();
    nodes.set("ada", "bob");
    await a.notices.changed("acme", "ada");
    expect(await b.blocks.between("acme", "ada", "bob")).toBe(true);
    nodes.set("ada");
    await a.notices.changed("acme", "ada");
    expect(await b.blocks.between("acme", "ada", "bob")).toBe(false);
  });

  it("is right on a node that could not be told too: telling waits until the node asks by itself", async () => {
    const { nodes, a, b } = await useNodes();
    nodes.set("ada", "bob");
    nodes.cut.add("b");
    const told = a.notices.changed("acme", "ada");
    nodes.clock.advance(TRUSTED_MS);
    expect(await settled(told)).toBe(true);
    expect(await b.blocks.between("acme", "ada", "bob")).toBe(true);
  });

  it("holds up who blocks no longer than that, and not before", async () => {
    const { nodes, a } = await useNodes();
    nodes.cut.add("b");
    const told = a.notices.changed("acme", "ada");
    nodes.clock.advance(TRUSTED_MS - 1);
    expect(await settled(told)).toBe(false);
    nodes.clock.advance(1);
    expect(await settled(told)).toBe(true);
    expect(nodes.clock.pending).toBe(0);
  });

  it("is read again where it changed while it was read", async () => {
    const { nodes, a, b } = await useNodes();
    const gate = Promise.withResolvers<void>();
    nodes.held = gate.promise;
    const between = b.blocks.between("acme", "carl", "bob");
    nodes.set("carl", "bob");
    await a.notices.changed("acme", "carl");
    gate.resolve();
    expect(await between).toBe(true);
  });

  it("is asked for anew before it is old, without anybody waiting", async () => {
    const { nodes, b } = await useNodes();
    nodes.clock.advance(4_000);
    expect(b.blocks.between("acme", "ada", "bob")).toBe(false);
    expect(nodes.reads).toEqual(["b", "b"]);
    await settle();
    nodes.clock.advance(4_000);
    expect(b.blocks.between("acme", "ada", "bob")).toBe(false);
  });

  it("is not kept while others may not know of the node, nor once a shard was taken from it", async () => {
    const { nodes, b } = await useNodes();
    b.notices.relearn();
    await b.blocks.between("acme", "ada", "bob");
    await b.blocks.between("acme", "ada", "bob");
    expect(nodes.reads).toHaveLength(4);
    nodes.clock.advance(KNOWN_MS);
    await b.blocks.between("acme", "ada", "bob");
    nodes.reads.length = 0;
    expect(b.blocks.between("acme", "ada", "bob")).toBe(false);
    expect(nodes.reads).toEqual([]);
  });

  it("is told to whoever follows it", async () => {
    const { a, b } = await useNodes();
    const doubted: string[] = [];
    b.notices.onChanged(
      (tenantId, userId) => doubted.push(`${tenantId}/${userId}`),
      () => {},
    );
    await a.notices.changed("acme", "ada");
    expect(doubted).toEqual(["acme/ada"]);
  });
});
