// What was changed of messages and is not stored yet, as without a connection.

import type { Body } from "../../client/gen/types.js";
import type { Sending } from "../../client/outbox/sending.js";

export interface Waiting {
  /** What the message is to say. Undefined: what it says. */
  readonly body?: Body | undefined;
  readonly deletes: boolean;
}

/** By message; of several changes of one message the last. */
export function waitingChanges(pending: readonly Sending[]): ReadonlyMap<string, Waiting> {
  const changes = new Map<string, Waiting>();
  for (const { frame } of pending) {
    const { editMessage, deleteMessage } = frame;
    if (editMessage !== undefined) changes.set(editMessage.messageId ?? "", { body: editMessage.body, deletes: false });
    if (deleteMessage !== undefined) changes.set(deleteMessage.messageId ?? "", { deletes: true });
  }
  return changes;
}
