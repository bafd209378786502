// Which room is shown: in the page's address, so that the browser's back button leads to the list on a phone; and kept for a reload.

import { useEffect, useState } from "preact/hooks";
import { keptInTab } from "../parts/kept.js";

const ROOM = "room";
const PREFIX = "#/";
/** Anybody may write anything into an address: what can be no room's id is none. */
const SHOWN = /^#\/([A-Za-z0-9._:~-]{1,128})$/;

function shown(): string | undefined {
  return SHOWN.exec(location.hash.replaceAll("%3A", ":"))?.[1];
}

export function showRoom(roomId: string): void {
  keptInTab.set(ROOM, roomId);
  location.hash = PREFIX + encodeURIComponent(roomId);
}

/** No room: on a phone the list. */
export function showList(): void {
  keptInTab.set(ROOM, "");
  history.pushState(null, "", location.pathname + location.search);
  // It is not fired for that.
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** After a reload, also of the bare address. */
export function restoreRoom(): void {
  const kept = keptInTab.get(ROOM);
  if (shown() === undefined && kept) showRoom(kept);
}

export function useShownRoom(): string | undefined {
  const [roomId, setRoomId] = useState(shown);
  useEffect(() => {
    const changed = (): void => setRoomId(shown());
    changed();
    addEventListener("hashchange", changed);
    addEventListener("popstate", changed);
    return () => {
      removeEventListener("hashchange", changed);
      removeEventListener("popstate", changed);
    };
  }, []);
  return roomId;
}
