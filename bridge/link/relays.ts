// The edge of the fan-out: what a node says once on a link goes to every session that is at the relay.

import type { LinkAttach } from "../../src/gen/trunkline/v1/link_pb.js";
import type { LinkedFrame } from "./linked-frame.js";

/** What is written at the end of a turn. */
export interface Flushable {
  flush(): void;
}

/** A session, as far as relays go. */
export interface RelayedSession {
  /** Whether its client does not take what was written to it. */
  readonly held: boolean;
  /** Where it is. */
  readonly attachments: Attachment[];
  /** A frame to be written at the end of the turn. */
  relayed(frame: LinkedFrame, toFlush: Flushable[]): void;
}

interface Relay {
  readonly number: number;
  readonly attached: Set<Attachment>;
  /** The last event that it was told. */
  sent: number;
}

export interface Attachment {
  readonly number: number;
  readonly relay: Relay;
  readonly session: RelayedSession;
}

export class Relays {
  readonly #relays = new Map<number, Relay>();
  readonly #attachments = new Map<number, Attachment>();
  /** A session has left, having got so much. */
  readonly #onLeft: (attachment: number, sent: number) => void;

  constructor(onLeft: (attachment: number, sent: number) => void) {
    this.#onLeft = onLeft;
  }

  attach({ attachment: number, relay: at, sent }: LinkAttach, session: RelayedSession): void {
    let relay = this.#relays.get(at);
    if (relay === undefined) {
      relay = { number: at, attached: new Set(), sent };
      this.#relays.set(at, relay);
    }
    if (relay.sent !== sent) throw new Error("a session joins a relay that is elsewhere");
    if (this.#attachments.has(number)) throw new Error("an attachment has begun twice");
    const attachment = { number, relay, session };
    relay.attached.add(attachment);
    this.#attachments.set(number, attachment);
    session.attachments.push(attachment);
  }

  detach(number: number): void {
    const attachment = this.#attachments.get(number);
    this.#onLeft(number, attachment?.relay.sent ?? 0);
    if (attachment !== undefined) this.#end(attachment);
  }

  /** The session is over. */
  left(session: RelayedSession): void {
    for (const attachment of [...session.attachments]) this.#end(attachment);
  }

  /** Adds the frame to what every session at the relay is about to be written. Returns how many. */
  deliver(frame: LinkedFrame, at: number, sent: number, toFlush: Flushable[]): number {
    const relay = this.#relays.get(at);
    if (relay === undefined) return 0;
    let delivered = 0;
    for (const attachment of relay.attached) {
      const { session } = attachment;
      if (!session.held) {
        session.relayed(frame, toFlush);
        delivered++;
      } else if (sent > 0) {
        this.#end(attachment);
        this.#onLeft(attachment.number, relay.sent);
      }
    }
    if (sent > 0) relay.sent = sent;
    return delivered;
  }

  #end(attachment: Attachment): void {
    const { number, relay, session } = attachment;
    this.#attachments.delete(number);
    session.attachments.splice(session.attachments.indexOf(attachment), 1);
    relay.attached.delete(attachment);
    if (relay.attached.size === 0) this.#relays.delete(relay.number);
  }
}
