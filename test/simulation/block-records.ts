// Who has surely blocked whom, as the log of their inboxes and the answers to them say; and what must not come of it from then on.

import type { RoomEvent } from "../../src/gen/trunkline/v1/message_pb.js";
import type { UserRecord } from "./user-record.js";
import { Violation } from "./violation.js";

/** A block that its user knows of, by the event that made it. */
interface Block {
  readonly blocker: string;
  readonly other: string;
  readonly eventId: string;
}

/** Of a tenant's user. */
type UserOf = (tenantId: string, userId: string) => UserRecord | undefined;

export class BlockRecords {
  readonly #userOf: UserOf;
  /** How often whose the inboxes are had been in doubt; 0: it is now. */
  readonly #doubts: () => number;
  readonly #answered = new Set<string>();
  /** By tenant and the event that somebody asks for. */
  readonly #forbidden = new Map<string, { readonly block: Block; readonly doubts: number }>();
  /** By tenant, message and user: the block behind which somebody was named. */
  readonly #unheard = new Map<string, Block>();

  constructor(userOf: UserOf, doubts: () => number) {
    this.#userOf = userOf;
    this.#doubts = doubts;
  }

  /** The change of an inbox was answered as done. */
  answered(eventId: string): void {
    this.#answered.add(eventId);
  }

  /** The block of `other` by `blocker` that stands and was answered, if there is one. */
  surely(tenantId: string, blocker: string, other: string): Block | undefined {
    const eventId = this.#userOf(tenantId, blocker)?.blocked.get(other);
    return eventId !== undefined && this.#answered.has(eventId) ? { blocker, other, eventId } : undefined;
  }

  /** One of the two is about to ask for something of their direct room: this event would come of it. */
  asks(tenantId: string, eventId: string, one: string, other: string): void {
    const block = this.surely(tenantId, one, other) ?? this.surely(tenantId, other, one);
    if (block !== undefined) this.#forbidden.set(`${tenantId}/${eventId}`, { block, doubts: this.#doubts() });
  }

  /** The log has this event now. Returns whether it had been asked for behind a block. */
  logged(tenantId: string, event: RoomEvent): void {
    const { eventId, kind, actor } = event;
    const forbidden = this.#forbidden.get(`${tenantId}/${eventId}`);
    const doubts = this.#doubts();
    if (
      forbidden !== undefined &&
      doubts !== 0 &&
      doubts === forbidden.doubts &&
      this.#stands(tenantId, forbidden.block)
    ) {
      const { blocker, other } = forbidden.block;
      throw new Violation("not permitted", `${tenantId}: ${eventId} though ${blocker} had blocked ${other}`);
    }
    if (kind.case !== "messageCreated") return;
    for (const { userId } of kind.value.mentions) {
      const block = this.surely(tenantId, userId, actor?.userId ?? "");
      if (block !== undefined) this.#unheard.set(`${tenantId}/${eventId} ${userId}`, block);
    }
  }

  /** Whether the user is told that the message names them, as far as blocks decide it: the sender may be blocked by them, or have been. */
  hears(tenantId: string, userId: string, { eventId, actor }: RoomEvent): "surely" | "perhaps" | "never" {
    const block = this.#unheard.get(`${tenantId}/${eventId} ${userId}`);
    if (block !== undefined && this.#stands(tenantId, block)) return "never";
    return this.#userOf(tenantId, userId)?.everBlocked.has(actor?.userId ?? "") === true ? "perhaps" : "surely";
  }

  #stands(tenantId: string, { blocker, other, eventId }: Block): boolean {
    return this.#userOf(tenantId, blocker)?.blocked.get(other) === eventId;
  }
}
