// Which sessions of a link are told by relays: what the node says once, and the bridge hands to each.

import type { Relayed } from "../../../core/session/port.js";
import type { LinkLeft } from "../../../gen/trunkline/v1/link_pb.js";
import { TrunklineError } from "../../../ports/error.js";
import type { Addressee, LinkBatch } from "./batch.js";

/** The greatest number that the wire can carry. */
const LAST_NUMBER = 0xffff_ffff;

/** The link, as its relays see it. */
export interface RelayingLink {
  /** What is written in this turn. */
  readonly batch: LinkBatch;
  /** The session with this number, if the bridge still knows it. */
  sessionOf(number: number): Addressee | undefined;
}

export class LinkRelays {
  readonly #link: RelayingLink;
  readonly #attached = new Map<number, Relayed>();
  #lastRelay = 0;
  #lastAttachment = 0;

  constructor(link: RelayingLink) {
    this.#link = link;
  }

  open(): number {
    this.#lastRelay = next(this.#lastRelay);
    return this.#lastRelay;
  }

  /** 0: the session is not on the link any more, and about to leave. */
  attach(relayed: Relayed, relay: number, sent: number): number {
    const session = this.#link.sessionOf(relayed.session);
    if (session === undefined) return 0;
    // Begun anew after four thousand million: one that has lasted so long keeps its number.
    do this.#lastAttachment = next(this.#lastAttachment);
    while (this.#attached.has(this.#lastAttachment));
    const attachment = this.#lastAttachment;
    this.#attached.set(attachment, relayed);
    this.#link.batch.attach({ attachment, relay, session: session.number, sent }, session);
    return attachment;
  }

  detach(attachment: number): void {
    const relayed = this.#attached.get(attachment);
    if (relayed === undefined) return;
    const session = this.#link.sessionOf(relayed.session);
    if (session !== undefined) this.#link.batch.detach(attachment, session);
    // With a session its attachments end, and nothing is said of them.
    else this.#attached.delete(attachment);
  }

  /** A session has left a relay. */
  left({ attachment, sent }: LinkLeft): void {
    const relayed = this.#attached.get(attachment);
    if (relayed === undefined) return;
    this.#attached.delete(attachment);
    if (this.#link.sessionOf(relayed.session) !== undefined && !relayed.left(sent)) {
      throw TrunklineError.invalid("left.sent", "more than the relay was told");
    }
  }
}

function next(number: number): number {
  return number === LAST_NUMBER ? 1 : number + 1;
}
