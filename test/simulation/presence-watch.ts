// Whom a device watches, and how it has been told that they are.

import {
  type ClientFrame,
  type PresenceChanges,
  type PresenceSnapshot,
  PresenceStatus,
} from "../../src/gen/trunkline/v1/session_pb.js";

export class PresenceWatch {
  #userIds: readonly string[] = [];
  #roomIds: readonly string[] = [];
  /** The last question, until it is answered. */
  asked: ClientFrame | undefined;
  /** Undefined: nothing was told yet. */
  #seen: Map<string, PresenceStatus> | undefined;

  get userIds(): readonly string[] {
    return this.#userIds;
  }

  get roomIds(): readonly string[] {
    return this.#roomIds;
  }

  get isEmpty(): boolean {
    return this.#userIds.length === 0 && this.#roomIds.length === 0;
  }

  get isAsked(): boolean {
    return this.asked !== undefined;
  }

  become(userIds: readonly string[], roomIds: readonly string[]): void {
    this.#userIds = userIds;
    this.#roomIds = roomIds;
  }

  /** The connection is gone, and whatever was told on it is old. */
  lost(): void {
    this.asked = undefined;
    this.#seen = undefined;
  }

  /** Returns whether it answers the last question. */
  snapshot({ presences }: PresenceSnapshot, request: ClientFrame | undefined): boolean {
    if (request === undefined || request !== this.asked) return false;
    this.asked = undefined;
    this.#seen = new Map(presences.map(({ userId, status }) => [userId, status]));
    return true;
  }

  changes({ presences }: PresenceChanges): void {
    for (const { userId, status } of presences) this.#seen?.set(userId, status);
  }

  /** How a watched user is seen; undefined: nothing was told yet. */
  statusOf(userId: string): PresenceStatus | undefined {
    return this.#seen && (this.#seen.get(userId) ?? PresenceStatus.OFFLINE);
  }
}
