// What a timeline shows.

import type { Actor, Message, Published, UnsubscribeReason } from "../gen/types.js";
import type { Sending } from "../outbox/sending.js";

export interface TimelineOptions {
  /** Messages of a page, at most; 50 unless said otherwise, 200 at most. */
  readonly limit?: number;
  /**
   * Messages that are held, at most, beside those that `older` has asked for; default 1,000. Beyond, the oldest are let go as new ones come; `older`
   * brings them back.
   */
  readonly max?: number;
}

export interface TimelineMessage extends Message {
  /** Names it for as long as the timeline lives, also while it is sent and after. */
  readonly key: string;
  /** It is this client's, and on its way, or was refused: then `sending.error` says why, and `sending.retry()` and `sending.discard()` help. */
  readonly sending?: Sending<Published>;
}

/** Never changes. A message of the room that has not changed is the same object in the next one. */
export interface TimelineSnapshot {
  /** In order: those of the room, then those that are being sent. Deleted ones are there, without a body. */
  readonly messages: readonly TimelineMessage[];
  /** A page is on its way, or waits for the connection. */
  readonly loading: boolean;
  /** There is nothing older. */
  readonly atStart: boolean;
  /** Why the room cannot be read. Undefined: it can. */
  readonly error: Error | UnsubscribeReason | undefined;
}

/** A message as it will be. */
export function echoOf(sending: Sending<Published>, sender: Actor): TimelineMessage {
  const { attempt, expiresAfterMs, forward, ...said } = sending.frame.publish ?? {};
  const { messageId, position, messageIndex } = sending.answer ?? {};
  return {
    ...said,
    key: `~${sending.key}`,
    sending,
    messageId,
    position,
    messageIndex,
    createdAt: sending.answer?.createdAt ?? new Date(sending.createdAtMs).toISOString(),
    sender,
    version: 1,
  };
}

export function isMessage(sending: Sending): sending is Sending<Published> {
  return sending.frame.publish !== undefined;
}
