// The direct rooms that simulated people make, or try to.

import { roomRef } from "../../src/ports/room-ref.js";
import type { Checker } from "./checker.js";
import type { Change, Device } from "./device.js";

export class Directs {
  readonly #digest: (text: string) => string;
  readonly #checker: Checker;
  /** By room: its two users. */
  readonly #pairs = new Map<string, readonly [string, string]>();

  constructor(digest: (text: string) => string, checker: Checker) {
    this.#digest = digest;
    this.#checker = checker;
  }

  /** The id of the room of two users, none of which is ever deleted here. */
  roomOf(tenantId: string, one: string, other: string): string {
    const users = [one, other].sort();
    const roomId = `~d.${this.#digest(users.map((id) => `${id.length}:${id}`).join(""))}`;
    this.#pairs.set(roomRef(tenantId, roomId).key, [one, other]);
    return roomId;
  }

  /** Notes what one of two users asks for who have blocked one another. */
  begins({ tenantId, userId }: Device, { roomId, what }: Change, eventId: string): void {
    const pair = this.#pairs.get(roomRef(tenantId, roomId).key);
    if (pair === undefined || !pair.includes(userId)) return;
    if (what === "publishes acknowledged" || what === "direct rooms made") {
      this.#checker.blocks.asks(tenantId, eventId, ...pair);
    }
  }
}
