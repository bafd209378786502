// An access hook with the memberships of an application that keeps them itself.

import type { AccessHookRules } from "../../../src/core/hook/rules.js";
import { Permission, Role, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import type { AccessAnswer, AccessHook, AccessQuestion } from "../../../src/ports/access-hook.js";
import { type Gate, gate } from "../use-core.js";

export class ScriptedAccessHook implements AccessHook {
  /** What was asked, as "user room PERMISSION", in order. */
  readonly asked: string[] = [];
  /** Who is in which room, and as what. */
  readonly #members = new Map<string, Role>();
  /** What is denied to whom in which room. */
  readonly #denied = new Set<string>();
  readonly #held: { readonly gate: Gate<AccessAnswer>; readonly answer: AccessAnswer }[] = [];
  ttlMs = 60_000;
  /** While set, it rejects with this. */
  failing: Error | undefined;
  /** While true, answers wait for `release`. */
  holding = false;

  put(userId: string, roomId: string, role = Role.UNSPECIFIED): this {
    this.#members.set(`${userId} ${roomId}`, role);
    return this;
  }

  remove(userId: string, roomId: string): void {
    this.#members.delete(`${userId} ${roomId}`);
  }

  deny(userId: string, roomId: string, permission: Permission): void {
    this.#denied.add(`${userId} ${roomId} ${Permission[permission]}`);
  }

  authorize({ userId, roomId, permission }: AccessQuestion): Promise<AccessAnswer> {
    const question = `${userId} ${roomId} ${Permission[permission]}`;
    this.asked.push(question);
    if (this.failing !== undefined) return Promise.reject(this.failing);
    const role = this.#members.get(`${userId} ${roomId}`);
    const allowed = role !== undefined && !this.#denied.has(question);
    const answer = { allowed, ttlMs: this.ttlMs, role: role ?? Role.UNSPECIFIED };
    if (!this.holding) return Promise.resolve(answer);
    const held = gate<AccessAnswer>();
    this.#held.push({ gate: held, answer });
    return held.promise;
  }

  /** Gives the answers that wait, as they were when they were asked for. */
  release(): void {
    for (const { gate: held, answer } of this.#held.splice(0)) held.resolve(answer);
  }

  rules(differing: Partial<AccessHookRules> = {}): AccessHookRules {
    return {
      hook: this,
      failure: "closed",
      roomKinds: new Set([RoomKind.GROUP, RoomKind.CHANNEL]),
      tenants: undefined,
      ...differing,
    };
  }
}
