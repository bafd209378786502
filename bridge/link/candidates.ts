// The nodes that a bridge may link to, in the order that it tries them in. Every bridge draws its own: those of a lost node go to different
// ones, and each comes back to where it was.

import type { Clock } from "../../src/ports/clock.js";
import type { ClientTls } from "../../src/rpc/tls.js";
import { Backbone } from "./backbone-node.js";
import { type Pause, pauseBefore } from "./pause.js";

/** Before a node is linked to again that has refused or lost a link, in milliseconds. */
const LINK_PAUSE: Pause = { firstMs: 100, mostMs: 5_000 };
/** A link that has worked for so long has not failed when it ends, in milliseconds. */
const SETTLED_MS = 10_000;

export interface CandidatesOptions {
  /** The nodes: `host:port` each. */
  readonly backbones: readonly string[];
  readonly tls: ClientTls | undefined;
  readonly clock: Clock;
  /** At least 0, less than 1. */
  readonly random: () => number;
  /** A node takes links, or takes none any more. */
  readonly onChanged: () => void;
  /** A node cannot be asked. */
  readonly onFailed: (address: string, cause: unknown) => void;
}

export interface Candidate {
  readonly backbone: Backbone;
  /** Links that it has refused or lost, in a row. */
  failures: number;
  /** Until when it is not linked to, monotonic. */
  notBeforeMs: number;
  /** Whether the last link to it has failed. */
  refused: boolean;
}

export class Candidates {
  readonly #options: CandidatesOptions;
  /** As they were named. */
  readonly #named: readonly Candidate[];
  /** As they are tried. */
  readonly #order: readonly Candidate[];

  constructor(options: CandidatesOptions) {
    const { backbones, tls, clock, random, onChanged, onFailed } = options;
    this.#options = options;
    this.#named = backbones.map((address) => ({
      backbone: new Backbone({
        address,
        tls,
        clock,
        random,
        onChanged,
        onFailed: (cause) => onFailed(address, cause),
      }),
      failures: 0,
      notBeforeMs: 0,
      refused: false,
    }));
    this.#order = shuffled(this.#named, random);
  }

  start(): void {
    for (const { backbone } of this.#named) backbone.start();
  }

  close(): void {
    for (const { backbone } of this.#named) backbone.close();
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
    return this.#order.find(takesLinks);
  }

  /** The first that may be linked to now; a number: how long until one may, in milliseconds. Undefined: none takes links. */
  choose(): Candidate | number | undefined {
    const nowMs = this.#options.clock.monotonic();
    const able = this.#order.filter(takesLinks);
    const waits = able.map(({ notBeforeMs }) => notBeforeMs - nowMs);
    return able.find((_, index) => (waits[index] ?? 0) <= 0) ?? (waits.length === 0 ? undefined : Math.min(...waits));
  }

  /** The first that takes links and is tried before this one. */
  before(candidate: Candidate): Candidate | undefined {
    return this.#order.slice(0, this.#order.indexOf(candidate)).find(takesLinks);
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

function takesLinks({ backbone }: Candidate): boolean {
  return backbone.trouble === undefined;
}

/** Every order is equally likely. */
function shuffled<T>(values: readonly T[], random: () => number): readonly T[] {
  const left = [...values];
  return values.flatMap(() => left.splice(Math.floor(random() * left.length), 1));
}
