// Whether pages of the history and the events that come beside them make a whole.

import { DisconnectedError } from "../error.js";
import type { GetHistoryResponse, Position, RoomEvent } from "../gen/types.js";
import type { FeedState } from "../room/feed.js";

/** Whether its events come from its position on, sooner or later. */
export function isWanted({ status }: FeedState): boolean {
  return status !== "off" && status !== "reset" && status !== "lost";
}

/** Throws where something between the page and the events that came since it was asked for is missing. */
export function requireSeamless(
  { asOf }: GetHistoryResponse,
  log: readonly RoomEvent[],
  position: Position | undefined,
): void {
  const [first] = log;
  const sinceSeq = first === undefined ? position?.seq : (first.position?.seq ?? 0) - 1;
  if (sinceSeq !== undefined && (asOf?.seq ?? 0) < sinceSeq) throw new DisconnectedError("the page is too old");
}
