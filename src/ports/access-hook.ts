// The application's say in who may do what, where it keeps memberships itself.

import type { Permission, Role } from "../gen/trunkline/v1/message_pb.js";

export interface AccessQuestion {
  readonly tenantId: string;
  readonly userId: string;
  readonly roomId: string;
  readonly permission: Permission;
}

export interface AccessAnswer {
  readonly allowed: boolean;
  /** How long it may be kept, in milliseconds, from when it was asked for; more than 60,000 counts as that, 0: not at all. */
  readonly ttlMs: number;
  /** With READ: the role they have from now on. UNSPECIFIED: the usual one for a new member, else unchanged. */
  readonly role: Role;
}

export interface AccessHook {
  /** Rejects where there is no answer, within a deadline of its own: with UNAVAILABLE and `retryAfterMs`. */
  authorize(question: AccessQuestion): Promise<AccessAnswer>;
}
