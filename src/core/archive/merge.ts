// Several changes of the archive as one: documents that were written again in between are written once.

import type { ArchiveChanges } from "../../ports/archive.js";

/** What all of them come to, applied in their order. */
export function mergeChanges(all: readonly ArchiveChanges[]): ArchiveChanges {
  const [only] = all;
  if (only !== undefined && all.length === 1) return only;
  return {
    events: all.flatMap(({ events }) => events),
    rooms: lastOf(
      all,
      (changes) => changes.rooms,
      ({ room }) => room.key,
    ),
    members: lastOf(
      all,
      (changes) => changes.members,
      ({ room, document }) => `${room.key}/${document.member?.userId}`,
    ),
    messages: lastOf(
      all,
      (changes) => changes.messages,
      ({ room, messageIndex }) => `${room.key}/${messageIndex}`,
    ),
    scrubs: all.flatMap(({ scrubs }) => scrubs),
    hidden: all.flatMap(({ hidden }) => hidden),
    idleLooks: all.flatMap(({ idleLooks }) => idleLooks),
  };
}

/** The last one of each key. */
function lastOf<T>(
  all: readonly ArchiveChanges[],
  part: (changes: ArchiveChanges) => readonly T[],
  keyOf: (change: T) => string,
): readonly T[] {
  const last = new Map<string, T>();
  for (const changes of all) for (const change of part(changes)) last.set(keyOf(change), change);
  return [...last.values()];
}
