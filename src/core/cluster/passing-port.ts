// What a client sends by requests of their own may come to any node of a cluster, and has to come to the one that has its session.

import { ErrorCode, TrunklineError } from "../../ports/error.js";

/** What a client has sent at once. */
export interface FrameBatch {
  /** Unguessable: whoever shows it is the session's client. */
  readonly sessionKey: string;
  /** From 1, one more each time. */
  readonly number: number;
  /** As they came. */
  readonly frames: Uint8Array;
  /** What the client ends the session with; 0: it goes on. */
  readonly closeCode: number;
}

/** Hands a batch to its session on this node; throws NOT_FOUND where there is none, CONFLICT where one before it is missing. */
export type BatchTaker = (batch: FrameBatch) => void;

export interface PassingPort {
  /** What names this node in a session's key: letters, digits, "-" and "_". Empty: it is alone. */
  readonly here: string;
  /** Who has the sessions of this node that are sent to this way. */
  takeWith(taker: BatchTaker): void;
  /**
   * Passes a batch to the node of this name. Resolves once its session has it. Rejects as that node's taker throws; with NOT_FOUND where
   * there is no such node, and so no session; with UNAVAILABLE where it cannot be reached: the session may have it all the same, so it is
   * passed again under the same number.
   */
  pass(node: string, batch: FrameBatch): Promise<void>;
}

/** The same whether there is none of this id or the key is another's. */
export function unknownSession(): TrunklineError {
  return new TrunklineError(ErrorCode.NOT_FOUND, "there is no such session: connect anew");
}
