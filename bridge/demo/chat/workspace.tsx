// The chat as a whole: the rooms, the one that is open, and the inspector beside it. On a phone one of them at a time.

import { useEffect, useMemo, useState } from "preact/hooks";
import type { Seat } from "../account/seat.js";
import icon from "../icon.svg";
import { Inspector } from "../inspector/inspector.js";
import type { Link } from "../link/link.js";
import { Avatar } from "../parts/avatar.js";
import { faultText } from "../parts/faults.js";
import { IconButton } from "../parts/icon.js";
import { type Theme, useTheme } from "../parts/theme.js";
import { useChanges, useLatest } from "../parts/use.js";
import { ConnectionBanner } from "./banner.js";
import { enterRoom } from "./changes.js";
import { ChatContext } from "./context.js";
import { Members } from "./members.js";
import { NewRoomDialog } from "./new-room.js";
import { RoomList } from "./room-list.js";
import { RoomView } from "./room-view.js";
import { showRoom, useShownRoom } from "./routes.js";
import { titleOf } from "./titles.js";

export interface WorkspaceProps {
  readonly seat: Seat;
  readonly link: Link;
  /** The room to begin with, by its name. Undefined: the one that was shown last. */
  readonly room: string | undefined;
  readonly onLeave: () => void;
}

const THEMES: Readonly<Record<Theme, readonly ["system" | "sun" | "moon", string]>> = {
  system: ["system", "as the system has it"],
  light: ["sun", "light"],
  dark: ["moon", "dark"],
};

export function Workspace({ seat, link, room, onLeave }: WorkspaceProps) {
  const { client } = link;
  const chat = useMemo(
    () => ({ ...link, seat, onLeave, members: new Members(client), drafts: new Map<string, string>() }),
    [link, seat],
  );
  const roomId = useShownRoom();
  const [inspecting, setInspecting] = useState(false);
  const [adding, setAdding] = useState(false);
  const [fault, setFault] = useState("");
  const [theme, nextTheme] = useTheme();
  const [themeIcon, themeText] = THEMES[theme];

  useEffect(() => {
    client.rooms.open();
    client.connect();
    if (room !== undefined) {
      enterRoom(client, room).then(showRoom, (error: unknown) => setFault(faultText(error)));
    }
    return () => chat.members.close();
  }, [chat]);
  useChanges(
    (changed) => {
      const stops = [
        client.rooms.onChange(changed),
        client.presence.onChange(changed),
        client.on("state", changed),
        chat.members.onChange(changed),
      ];
      return () => {
        for (const stop of stops) stop();
      };
    },
    [chat],
  );
  // Whether those that the list shows are there.
  const others = client.rooms.all
    .filter(({ room: { kind } }) => kind === "ROOM_KIND_DIRECT")
    .slice(0, 100)
    .map(({ roomId: direct }) => direct);
  useEffect(() => {
    const watch = client.presence.watch({ rooms: others });
    return () => watch.close();
  }, [others.join(" ")]);
  const nameTab = useLatest(() => {
    const unread = client.rooms.all.filter(({ unreadCount }) => unreadCount > 0).length;
    const entry = client.rooms.get(roomId ?? "");
    const title = entry === undefined ? (roomId ?? "Rooms") : titleOf(entry, chat);
    document.title = `${unread > 0 ? `(${unread}) ` : ""}${title} · Trunkline`;
  });
  useEffect(nameTab);
  // A page that is not shown is not drawn: its title is what is seen of it.
  useEffect(() => client.rooms.onChange(nameTab), [client]);

  const { status } = client.state;
  return (
    <ChatContext.Provider value={chat}>
      <div class={`workspace ${roomId === undefined ? "at-list" : "at-room"} ${inspecting ? "inspecting" : ""}`}>
        <aside class="side" aria-label="Your rooms">
          <header class="bar">
            <img src={icon} alt="" width="28" height="28" />
            <p class="brand-name">Trunkline</p>
            <IconButton icon={themeIcon} label={`Theme: ${themeText}`} onClick={nextTheme} />
            <IconButton icon="plus" label="New conversation" onClick={() => setAdding(true)} />
          </header>
          <RoomList shown={roomId} />
          {fault !== "" && (
            <p class="fault" role="alert">
              {fault}
            </p>
          )}
          <footer class="self">
            <Avatar
              id={seat.userId}
              name={seat.name}
              size="large"
              status={status === "live" ? "PRESENCE_STATUS_ONLINE" : "PRESENCE_STATUS_OFFLINE"}
            />
            <span class="title">{seat.name}</span>
            <span class="muted small">
              {status === "live" ? "online" : status === "connecting" ? "connecting…" : "offline"}
            </span>
            <IconButton icon="leave" label="Sign out" onClick={onLeave} />
          </footer>
        </aside>
        {roomId === undefined ? (
          <main class="room nothing">
            <ConnectionBanner />
            <h1 class="visually-hidden">Trunkline</h1>
            <p class="muted">Choose a room, or begin a conversation.</p>
          </main>
        ) : (
          <RoomView key={roomId} roomId={roomId} inspecting={inspecting} onInspect={() => setInspecting(!inspecting)} />
        )}
        {inspecting && <Inspector roomId={roomId} onClose={() => setInspecting(false)} />}
      </div>
      {adding && <NewRoomDialog onClose={() => setAdding(false)} />}
    </ChatContext.Provider>
  );
}
