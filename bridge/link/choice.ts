// Which node new sessions go to: of those that take links, the one that has least to carry.
//
// All bridges choose by the same rule, so they must not choose at the same moment: each waits a moment of its own, in which it hears of what others
// have chosen. And a bridge moves only where what it moves makes the two nodes more alike, by a good part: whatever a move changes, it is no reason to
// move back. Without what nodes say (of an older version) they are tried in the order that chance has given this bridge, and it stays where it is.

import type { Clock, Timer } from "../../src/ports/clock.js";
import type { Weight } from "./weighing.js";

/** From the start, until every node must have said whether it takes links and what it has to carry, in milliseconds. */
const FIRST_WAIT_MS = 500;
/** While there is nothing where new sessions go: the longest wait before a node is chosen, in milliseconds. */
const MOMENT_MS = 300;
/**
 * New sessions go to a better node once it has been so for so long, in milliseconds, and up to twice as long: not to one that comes and goes, and
 * not from all bridges at once.
 */
const MOVE_MS = 30_000;
/** By so many times what this bridge brings a node must have less to carry. From 1 on a move makes the two more alike. */
const WORTH_MOVING = 1.5;

/** A node, as far as it is chosen or not. */
export interface Choosable {
  readonly takesLinks: boolean;
  /** Whether it has yet to say whether it takes links, and what it has to carry. */
  readonly pending: boolean;
  /** Until when it is not linked to, monotonic. */
  readonly notBeforeMs: number;
  /** Undefined: it cannot say. */
  readonly weight: Weight | undefined;
}

export interface ChoiceOptions<N> {
  /** In the order of this bridge. */
  readonly nodes: readonly N[];
  readonly clock: Clock;
  /** At least 0, less than 1. */
  readonly random: () => number;
  /** How many clients come with this bridge. */
  readonly brings: () => number;
  /** New sessions are to go there. */
  readonly turnTo: (node: N) => void;
}

export class Choice<N extends Choosable> {
  readonly #options: ChoiceOptions<N>;
  readonly #startMs: number;
  /** Since when there is nothing: not before this is anything chosen. */
  #momentMs: number | undefined;
  #again: Timer | undefined;
  #moving: Timer | undefined;

  constructor(options: ChoiceOptions<N>) {
    this.#options = options;
    this.#startMs = options.clock.monotonic();
  }

  /** Something may have changed. `current`: where new sessions go; undefined: nowhere. Not to be called while they are about to go elsewhere. */
  look(current: N | undefined): void {
    this.#again?.cancel();
    // A node that takes no links any more keeps its sessions, and this bridge's new ones while no other does better.
    if (current?.takesLinks === true) {
      this.#momentMs = undefined;
      this.#lookForBetter(current);
      return;
    }
    this.#moving?.cancel();
    this.#moving = undefined;
    const waitMs = this.#waitMs();
    if (waitMs === undefined) return;
    if (waitMs > 0) {
      this.#again = this.#options.clock.after(waitMs, () => this.look(current));
      return;
    }
    const nowMs = this.#options.clock.monotonic();
    const best = this.#best(this.#able.filter(({ notBeforeMs }) => notBeforeMs <= nowMs));
    if (best === undefined) return;
    this.#momentMs = undefined;
    this.#options.turnTo(best);
  }

  close(): void {
    this.#again?.cancel();
    this.#moving?.cancel();
  }

  get #able(): readonly N[] {
    return this.#options.nodes.filter(({ takesLinks }) => takesLinks);
  }

  /** Until one may be chosen. Undefined: none takes links. */
  #waitMs(): number | undefined {
    const { nodes, clock, random } = this.#options;
    const able = this.#able;
    if (able.length === 0) return undefined;
    const nowMs = clock.monotonic();
    const untilMs = [Math.min(...able.map(({ notBeforeMs }) => notBeforeMs))];
    if (nodes.some(({ pending }) => pending)) untilMs.push(this.#startMs + FIRST_WAIT_MS);
    if (able.length > 1) {
      this.#momentMs ??= nowMs + random() * MOMENT_MS;
      untilMs.push(this.#momentMs);
    }
    return Math.max(0, ...untilMs.map((at) => at - nowMs));
  }

  /** Of equal ones the first. */
  #best(nodes: readonly N[]): N | undefined {
    const weighed = nodes.flatMap((node) => (node.weight === undefined ? [] : [{ node, weight: node.weight }]));
    if (weighed.length < nodes.length) return nodes[0];
    const [best] = weighed.sort(
      ({ weight: one }, { weight: other }) => Number(one.busy) - Number(other.busy) || one.clients - other.clients,
    );
    return best?.node;
  }

  #lookForBetter(current: N): void {
    if (this.#better(current) === undefined) {
      this.#moving?.cancel();
      this.#moving = undefined;
      return;
    }
    const { clock, random, turnTo } = this.#options;
    this.#moving ??= clock.after(MOVE_MS * (1 + random()), () => {
      this.#moving = undefined;
      const better = this.#better(current);
      if (better !== undefined) turnTo(better);
    });
  }

  #better(current: N): N | undefined {
    const { brings } = this.#options;
    const carried = current.weight?.clients;
    if (carried === undefined) return undefined;
    const best = this.#best(this.#able.filter((node) => node !== current && node.weight !== undefined));
    if (best?.weight === undefined || best.weight.busy) return undefined;
    return carried - best.weight.clients > WORTH_MOVING * Math.max(1, brings()) ? best : undefined;
  }
}
