// What several tabs say of one user, made what one session may say.
//
// Watches are united. The status is the strongest that a tab has set, in the server's order, and among equals the one set last: others see the user
// as they would if each tab had a connection of its own. A tab that has set none has no say. Typing ends when no tab says any more that it goes on.

import type { SetPresence, Typing, WatchPresence } from "../gen/types.js";

/** How long the server takes typing for going on. */
const TYPING_MS = 5_000;
/** The strongest first. */
const STATUSES: readonly unknown[] = [
  "PRESENCE_STATUS_INVISIBLE",
  "PRESENCE_STATUS_DO_NOT_DISTURB",
  "PRESENCE_STATUS_ONLINE",
  "PRESENCE_STATUS_AWAY",
];

export function unitedWatch(seats: Iterable<{ readonly watch: WatchPresence }>): WatchPresence {
  const [userIds, roomIds] = [new Set<string>(), new Set<string>()];
  for (const { watch } of seats) {
    for (const id of watch.userIds ?? []) userIds.add(id);
    for (const id of watch.roomIds ?? []) roomIds.add(id);
  }
  return { userIds: [...userIds], roomIds: [...roomIds] };
}

/** Those that have set one last come last. Undefined: nobody has set any. */
export function strongestPresence(presences: Iterable<SetPresence>): SetPresence | undefined {
  let strongest: SetPresence | undefined;
  for (const presence of presences) {
    if (strongest === undefined || rank(presence) <= rank(strongest)) strongest = presence;
  }
  return strongest;
}

function rank({ status }: SetPresence): number {
  return STATUSES.indexOf(status);
}

/** Who types where. */
export class TypingTabs<Tab> {
  /** Of each room: the tabs, and until when each says so. */
  readonly #rooms = new Map<string, Map<Tab, number>>();

  /** Returns whether the server is to be told. */
  said(seat: Tab, { roomId = "", typing = false }: Typing, nowMs: number): boolean {
    const tabs = this.#rooms.get(roomId) ?? new Map<Tab, number>();
    for (const [tab, untilMs] of tabs) if (untilMs <= nowMs) tabs.delete(tab);
    tabs.delete(seat);
    if (typing) tabs.set(seat, nowMs + TYPING_MS);
    if (tabs.size > 0) this.#rooms.set(roomId, tabs);
    else this.#rooms.delete(roomId);
    return typing || tabs.size === 0;
  }

  left(seat: Tab): void {
    for (const [roomId, tabs] of this.#rooms) if (tabs.delete(seat) && tabs.size === 0) this.#rooms.delete(roomId);
  }
}
