// Which room is shown: in the page's address, so that the browser's back button leads to the list on a phone; and kept for a reload.

import { useEffect, useState } from "preact/hooks";

const ROOM = "room";
const PREFIX = "#/";

function shown(): string | undefined {
  const { hash } = location;
  return hash.startsWith(PREFIX) && hash.length > PREFIX.length
    ? decodeURIComponent(hash.slice(PREFIX.length))
    : undefined;
}

export function showRoom(roomId: string): void {
  sessionStorage.setItem(ROOM, roomId);
  location.hash = PREFIX + encodeURIComponent(roomId);
}

/** No room: on a phone the list. */
export function showList(): void {
  sessionStorage.removeItem(ROOM);
  history.pushState(null, "", location.pathname + location.search);
  // It is not fired for that.
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** After a reload, also of the bare address. */
export function restoreRoom(): void {
  const kept = sessionStorage.getItem(ROOM);
  if (shown() === undefined && kept !== null) showRoom(kept);
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
