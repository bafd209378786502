// Many bridges over several nodes, each choosing by itself and hearing of the others late: by a clock and by chance in the test's hands.

import fc from "fast-check";
import { expect, it } from "vitest";
import { Brought } from "../../../bridge/link/brought.js";
import { Choice, type Choosable } from "../../../bridge/link/choice.js";
import type { Weight } from "../../../bridge/link/weighing.js";
import { StoppedClock } from "../../support/stopped-clock.js";

const STEP_MS = 50;
const MINUTE_MS = 60_000;
/** Until a node hears of a bridge, and until a bridge hears of a node. */
const WAY_MS = 50;
/** Clients of a lost node are back by then. */
const SPREAD_MS = 3_000;
/** A part of the clients that goes each second, and as many come. */
const CHURN = 0.002;

class Node {
  /** Sessions that are on no link. */
  own = 0;
  takesLinks = true;
  readonly brings = new Map<Bridge, number>();

  get clients(): number {
    let clients = this.own;
    for (const brings of this.brings.values()) clients += Math.max(1, brings);
    return clients;
  }
}

/** What a bridge has heard of a node. */
class Heard implements Choosable {
  readonly node: Node;
  readonly notBeforeMs = 0;
  takesLinks = false;
  pending = true;
  weight: Weight | undefined;

  constructor(node: Node) {
    this.node = node;
  }
}

class Bridge {
  /** Its sessions, by the node that they are on. */
  readonly sessions = new Map<Node, number>();
  current: Heard | undefined;
  moves = 0;
  readonly #world: World;
  readonly #heard: readonly Heard[];
  readonly #choice: Choice<Heard>;
  readonly #brought: Brought;
  /** Clients that look for a session. */
  #returning = 0;
  readonly wanted: number;

  constructor(world: World, wanted: number) {
    this.#world = world;
    this.wanted = wanted;
    const { clock, random, nodes } = world;
    const heard = nodes.map((node) => new Heard(node));
    // An order of its own.
    this.#heard = heard
      .map((each) => ({ each, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ each }) => each);
    this.#brought = new Brought(
      clock,
      () => this.size,
      () => this.tell(),
    );
    this.#choice = new Choice({
      nodes: this.#heard,
      clock,
      random,
      brings: () => this.#brought.clients,
      turnTo: (to) => {
        if (this.current !== undefined) this.moves++;
        this.current = to;
        this.tell();
        this.#choice.look(to);
      },
    });
    this.#brought.start();
  }

  get size(): number {
    let size = 0;
    for (const sessions of this.sessions.values()) size += sessions;
    return size;
  }

  /** Nodes hear where its clients go. */
  tell(): void {
    const [goingTo, clients] = [this.current?.node, this.#brought.clients];
    this.#world.later(() => {
      for (const { node } of this.#heard) {
        if (node === goingTo && node.takesLinks) node.brings.set(this, clients);
        else node.brings.delete(this);
      }
    });
  }

  /** It hears how a node fares. */
  hear(node: Node, takesLinks: boolean, weight: Weight): void {
    const heard = this.#heard.find((each) => each.node === node);
    if (heard === undefined) return;
    heard.takesLinks = takesLinks;
    heard.pending = false;
    heard.weight = takesLinks ? weight : undefined;
    if (!takesLinks) {
      this.#returning += this.sessions.get(node) ?? 0;
      this.sessions.delete(node);
      if (this.current === heard) this.current = undefined;
    }
    this.#choice.look(this.current);
  }

  /** Clients come and go. */
  live(): void {
    const { random } = this.#world;
    const share = (CHURN * STEP_MS) / 1_000;
    for (const [node, sessions] of this.sessions) this.sessions.set(node, sessions * (1 - share));
    if (this.current === undefined) return;
    const back = this.#returning * Math.min(1, ((1 + random()) * STEP_MS) / SPREAD_MS);
    this.#returning -= back;
    const comes = Math.max(0, (this.wanted - this.size - this.#returning) * share * 50) * random();
    const { node } = this.current;
    this.sessions.set(node, (this.sessions.get(node) ?? 0) + back + comes);
  }
}

class World {
  readonly clock = new StoppedClock();
  readonly random: () => number;
  readonly nodes: readonly Node[];
  readonly bridges: readonly Bridge[];

  constructor(random: () => number, nodes: number, sizes: readonly number[]) {
    this.random = random;
    this.nodes = Array.from({ length: nodes }, () => new Node());
    this.bridges = sizes.map((size) => new Bridge(this, size));
  }

  later(action: () => void): void {
    this.clock.after(WAY_MS, action);
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      // Nodes say it when it changes; now and then is as good.
      for (const node of passed % (4 * STEP_MS) === 0 ? this.nodes : []) {
        const weight = { clients: Math.round(node.clients), busy: false };
        const { takesLinks } = node;
        this.later(() => {
          for (const bridge of this.bridges) bridge.hear(node, takesLinks, weight);
        });
      }
      for (const bridge of this.bridges) bridge.live();
      this.clock.advance(STEP_MS);
    }
  }

  lose(node: Node): void {
    node.takesLinks = false;
    node.brings.clear();
  }

  get moves(): number {
    return this.bridges.reduce((sum, { moves }) => sum + moves, 0);
  }

  /** By how much the node with most has more than the one with least. */
  get spread(): number {
    const carried = this.nodes.filter(({ takesLinks }) => takesLinks).map(({ clients }) => clients);
    return Math.max(...carried) - Math.min(...carried);
  }
}

/** Numbers from 0 to 1 that repeat with the seed. */
function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const size = fc.integer({ min: 200, max: 1_000 });

it("spread over nodes, whichever of them come and go, and then stay where they are", () => {
  const seeds = fc.nat({ max: 2 ** 31 });
  const sizes = fc.array(size, { minLength: 2, maxLength: 12 });
  fc.assert(
    fc.property(seeds, fc.integer({ min: 2, max: 4 }), sizes, (seed, nodes, brought) => {
      const world = new World(chance(seed), nodes, brought);
      const most = Math.max(...brought);
      const isSettled = (): void => {
        const before = world.moves;
        world.pass(4 * MINUTE_MS);
        expect(world.moves).toBe(before);
        // A bridge goes where it would lessen the difference by a good part: what is left is less than that.
        expect(world.spread).toBeLessThanOrEqual(1.5 * most * 1.1);
      };
      world.pass(4 * MINUTE_MS);
      isSettled();
      const [lost] = world.nodes;
      if (lost === undefined) return;
      world.lose(lost);
      world.pass(3 * MINUTE_MS);
      isSettled();
      const before = world.moves;
      lost.takesLinks = true;
      world.pass(4 * MINUTE_MS);
      isSettled();
      // Nobody moves there and back: about as many go as the node is to have.
      expect(world.moves - before).toBeLessThanOrEqual(brought.length);
    }),
    { numRuns: 5 },
  );
}, 120_000);

it("leave a node that has much to carry of its own", () => {
  const world = new World(chance(7), 2, [300, 300, 300, 300]);
  const [full, other] = world.nodes;
  if (full === undefined || other === undefined) throw new Error("there are two nodes");
  full.own = 5_000;
  world.pass(5 * MINUTE_MS);
  expect(full.brings.size).toBe(0);
  expect(other.brings.size).toBe(4);
});
