// A shard that this node takes over: its log is opened, and what its last owner left undone is made up for, before anything is written.

import type { ArchiveChanges } from "../../ports/archive.js";
import type { Clock } from "../../ports/clock.js";
import type { EventLog, OpenedShard } from "../../ports/event-log.js";
import type { Archiver } from "../archive/archiver.js";
import type { RoomReading } from "../archive/room-reading.js";
import type { Actors } from "./actors.js";
import { recover } from "./recovery.js";
import { unavailable } from "./unavailable.js";
import type { Untold } from "./untold.js";

/** An opening that takes longer, in milliseconds, may have been overtaken: by then the lease may have been somebody else's too. */
const LONG_MS = 3_000;

export interface TakeOverParts {
  readonly log: Pick<EventLog, "open" | "read">;
  readonly clock: Pick<Clock, "monotonic">;
  /** The log ends at `end`: what is to be done before anything is appended there. */
  readonly opening: (shard: number, end: number) => Promise<void>;
  readonly actors: Actors;
  /** What is stored of the shard's rooms, archived or not. */
  readonly stored: RoomReading;
  /** Undefined: the log writes the archive itself. */
  readonly archiver: Archiver | undefined;
  readonly untold: Untold;
}

/**
 * Resolves once the shard's rooms are as they were, with where its log ends; undefined: it concerned nobody any more before that. Rejects with
 * UNAVAILABLE, also where somebody else has written meanwhile, and with NewerEvents where this version cannot fold an event.
 */
export async function takeOver(
  shard: number,
  { log, clock, opening, actors, stored, archiver, untold }: TakeOverParts,
  over: AbortSignal,
): Promise<OpenedShard | undefined> {
  const isOver = (): boolean => over.aborted;
  const sinceMs = clock.monotonic();
  const { end, tail } = await log.open(shard, over);
  if (isOver()) return undefined;
  await opening(shard, end);
  if (isOver()) return undefined;
  // One that was loaded before may lack what another node has written since, which need not stand in the tail.
  actors.clear();
  const recovered = tail.length === 0 ? [] : await recover({ tail, end, isOver }, actors, stored);
  if (isOver()) return undefined;
  for (const { end: upTo, batch } of recovered) {
    archiver?.push(upTo, batch.seal().changes, batch.logBytes, () => batch.archived());
  }
  // What the log holds beside events is archived too: nobody need begin with it again.
  archiver?.push(end, NOTHING, 0);
  await untold.tell(isOver);
  if (isOver()) return undefined;
  if (clock.monotonic() - sinceMs > LONG_MS && (await log.read(shard, end, 1)).length > 0) {
    throw unavailable("another owner has written meanwhile");
  }
  return isOver() ? undefined : { end, tail };
}

const NOTHING: ArchiveChanges = {
  events: [],
  rooms: [],
  members: [],
  messages: [],
  scrubs: [],
  hidden: [],
  idleLooks: [],
};
