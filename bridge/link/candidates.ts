// The nodes that a bridge may link to, in an order that every bridge draws for itself: where they are as good as each other, bridges go to
// different ones.

import type { Clock } from "../../src/ports/clock.js";
import type { ClientTls } from "../../src/rpc/tls.js";
import { Backbone } from "./backbone-node.js";
import type { Choosable } from "./choice.js";
import { type Pause, pauseBefore } from "./pause.js";
import type { Weight } from "./weighing.js";

/** Before a node is linked to again that has refused or lost a link, in milliseconds. */
const LINK_PAUSE: Pause = { firstMs: 100, mostMs: 5_000 };
/** A link that has worked for so long has not failed when it ends, in milliseconds. */
const SETTLED_MS = 10_000;

export interface CandidatesOptions {
  /** The nodes: `host:port` each. */
  readonly backbones: readonly string[];
  readonly tls: ClientTls | undefined;
  /** What bridges show. */
  readonly secret: () => string;
  readonly clock: Clock;
  /** At least 0, less than 1. */
  readonly random: () => number;
  /** A node takes links, or takes none any more, or has more or less to carry. */
  readonly onChanged: () => void;
  /** A node cannot be asked. */
  readonly onFailed: (address: string, cause: unknown) => void;
}

/** A node, and what came of linking to it. */
export class Candidate implements Choosable {
  readonly backbone: Backbone;
  /** Links that it has refused or lost, in a row. */
  failures = 0;
  /** Until when it is not linked to, monotonic. */
  notBeforeMs = 0;
  /** Whether the last link to it has failed. */
  refused = false;

  constructor(backbone: Backbone) {
    this.backbone = backbone;
  }

  get takesLinks(): boolean {
    return this.backbone.trouble === undefined;
  }

  get pending(): boolean {
    return this.backbone.pending;
  }

  get weight(): Weight | undefined {
    return this.backbone.weight;
  }
}

export class Candidates {
  readonly #options: CandidatesOptions;
  /** As they were named. */
  readonly #named: readonly Candidate[];
  /** In this bridge's order. */
  readonly order: readonly Candidate[];

  constructor(options: CandidatesOptions) {
    const { backbones, random, onFailed } = options;
    this.#options = options;
    this.#named = backbones.map(
      (address) => new Candidate(new Backbone({ ...options, address, onFailed: (cause) => onFailed(address, cause) })),
    );
    this.order = shuffled(this.#named, random);
  }

  start(): void {
    for (const { backbone } of this.#named) backbone.start();
  }

  close(): void {
    for (const { backbone } of this.#named) backbone.close();
  }

  /** So many clients come with this bridge, to the one that is given. */
  tell(clients: number, to: Candidate | undefined): void {
    for (const candidate of this.#named) candidate.backbone.tell({ clients, here: candidate === to });
  }

  /** Why there is no link to any of them. */
  get troubles(): readonly string[] {
    return this.#named.map(({ backbone, refused }, index) => {
      const reason = backbone.trouble ?? (refused ? "has ended the link" : "is being linked to");
      return `${this.#nameOf(index)} ${reason}`;
    });
  }

  /** Those that take no links, and why. */
  get limits(): readonly string[] {
    return this.#named.flatMap(({ backbone: { trouble } }, index) =>
      trouble === undefined ? [] : [`${this.#nameOf(index)} ${trouble}`],
    );
  }

  /** Any that takes links. */
  get any(): Candidate | undefined {
    return this.order.find(({ takesLinks }) => takesLinks);
  }

  /** A link to it has ended that was begun at `sinceMs`. `cause` undefined: in good order. */
  linkEnded(candidate: Candidate, sinceMs: number, cause: unknown): void {
    const { clock, random } = this.#options;
    const nowMs = clock.monotonic();
    if (nowMs - sinceMs > SETTLED_MS) candidate.failures = 0;
    candidate.notBeforeMs = nowMs + pauseBefore(candidate.failures, LINK_PAUSE, random);
    if (cause === undefined) return;
    candidate.failures += 1;
    candidate.refused = true;
  }

  /** Addresses are nobody else's business. */
  #nameOf(index: number): string {
    const count = this.#named.length;
    return count === 1 ? "the server" : `server ${index + 1} of ${count}`;
  }
}

/** Every order is equally likely. */
function shuffled<T>(values: readonly T[], random: () => number): readonly T[] {
  const left = [...values];
  return values.flatMap(() => left.splice(Math.floor(random() * left.length), 1));
}
