// What a client sends by requests of their own may come to any node or bridge, and has to come to the one that has its session.

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

/** Hands a batch to its session here; throws NOT_FOUND where there is none, CONFLICT where one before it is missing. */
export type BatchTaker = (batch: FrameBatch) => void | Promise<void>;

/** A bridge's view: what comes for it, and what it passes on. */
export interface PassingPort {
  /** The place that keys of new sessions name: letters, digits, "-", "_" and "~". Empty: there is but one. */
  readonly here: string;
  /** Who has the sessions of this process that are sent to this way. */
  takeWith(taker: BatchTaker): void;
  /**
   * Passes a batch to this place. Resolves once its session has it. Rejects as the taker there throws; with NOT_FOUND where there is no such
   * place, and so no session; with UNAVAILABLE where it cannot be reached: the session may have it all the same, so it is passed again under
   * the same number.
   */
  pass(place: string, batch: FrameBatch): Promise<void>;
}

/** A node's: it also passes to bridges that are linked to it. */
export interface NodePassing extends PassingPort {
  /** What comes for sessions of this bridge goes to `taker`, until `end` is called or another takes for a bridge of the same name. */
  takeFor(bridge: string, taker: BatchTaker): { readonly place: string; readonly end: () => void };
}

/** The same whether there is none of this id or the key is another's. */
export function unknownSession(): TrunklineError {
  return new TrunklineError(ErrorCode.NOT_FOUND, "there is no such session: connect anew");
}
