// The user's rooms, the one that was active last first: who is there, what was said last, and how much of it is new.

import { useRef, useState } from "preact/hooks";
import type { RoomEntry } from "../../client/rooms/entry.js";
import { Avatar } from "../parts/avatar.js";
import { useToday } from "../parts/use.js";
import { shortMoment } from "../parts/words.js";
import { nameOf, textOf } from "./content.js";
import { useChat } from "./context.js";
import { showRoom } from "./routes.js";
import { otherOf, titleOf } from "./titles.js";

export function RoomList({ shown }: { readonly shown: string | undefined }) {
  const chat = useChat();
  const { client, seat } = chat;
  const list = useRef<HTMLUListElement>(null);
  const [current, setCurrent] = useState<string | undefined>(undefined);
  const today = useToday();
  const entries = client.rooms.all;
  // How others are is not known without a connection.
  const live = client.state.status === "live";

  const keyPressed = (event: KeyboardEvent): void => {
    const items = [...(list.current?.querySelectorAll<HTMLElement>("a") ?? [])];
    const at = items.findIndex((item) => item.matches(":focus"));
    const to: Readonly<Record<string, HTMLElement | undefined>> = {
      ArrowUp: items[at - 1],
      ArrowDown: items[at + 1],
      Home: items[0],
      End: items.at(-1),
    };
    const next = to[event.key];
    if (next === undefined) return;
    event.preventDefault();
    setCurrent(next.dataset.room);
    next.focus();
  };

  const tab = [current, shown, entries[0]?.roomId].find((id) => entries.some(({ roomId }) => roomId === id));
  return (
    <nav class="rooms" aria-label="Rooms">
      {entries.length === 0 && (
        <p class="muted small">
          {client.rooms.ready && shown === undefined ? "You are in no room yet. Begin with +." : "Loading…"}
        </p>
      )}
      <ul ref={list} onKeyDown={keyPressed}>
        {entries.map((entry) => {
          const { roomId, unreadCount, activeAtMs } = entry;
          const other = otherOf(entry, chat);
          const title = titleOf(entry, chat);
          const unread = roomId === shown && document.hasFocus() ? 0 : unreadCount;
          return (
            <li key={roomId}>
              <a
                href={`#/${encodeURIComponent(roomId)}`}
                data-room={roomId}
                class={unread > 0 ? "unread" : ""}
                tabIndex={roomId === tab ? 0 : -1}
                aria-current={roomId === shown ? "page" : undefined}
                onClick={(event) => {
                  event.preventDefault();
                  showRoom(roomId);
                }}
              >
                <Avatar
                  id={other ?? roomId}
                  name={title}
                  size="large"
                  status={other === undefined || !live ? undefined : client.presence.of(other).status}
                />
                <span class="title" dir="auto">
                  {title}
                </span>
                <time class="muted small">{activeAtMs === 0 ? "" : shortMoment(activeAtMs, today)}</time>
                <span class="last muted small" dir="auto">
                  {lastText(entry, seat.userId, other !== undefined)}
                </span>
                {unread > 0 && (
                  <span class="count">
                    {unread > 99 ? "99+" : unread}
                    <span class="visually-hidden"> unread</span>
                  </span>
                )}
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function lastText({ lastMessage }: RoomEntry, ownId: string, direct: boolean): string {
  if (lastMessage === undefined) return "Nothing yet";
  const { sender, body, deleted } = lastMessage;
  const text = deleted ? "deleted a message" : textOf(body);
  if (sender?.userId === ownId) return `You: ${text}`;
  return direct ? text : `${nameOf(sender)}: ${text}`;
}
