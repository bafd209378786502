// A user's rooms at a server, and what of them is told to one session, in order and after a while.

import { DisconnectedError } from "../../../../bridge/client/error.js";
import type {
  Call,
  CallResult,
  ClientFrame,
  Marker,
  Message,
  RoomEvent,
  RoomSummary,
  ServerFrame,
} from "../../../../bridge/client/gen/types.js";
import type { FeedState } from "../../../../bridge/client/room/feed.js";
import { type ListedRoom, RoomList } from "../../../../bridge/client/rooms/list.js";
import { World } from "../support/world.js";

const INBOX = "~i.ada";

class ScriptedRoom {
  readonly id: string;
  readonly events: RoomEvent[] = [];
  readonly messages: Message[] = [];
  marker: Marker = { userId: "ada" };
  name = "";
  /** Subscribed to, and how far the session has it. */
  open = false;
  toldSeq = 0;

  constructor(id: string) {
    this.id = id;
  }

  get top() {
    return { seq: this.events.length, tag: this.events.length };
  }

  get room() {
    const { id: roomId, name, top } = this;
    return { roomId, name, top, lastMessageIndex: this.messages.length, createdAt: "2026-01-01T00:00:00Z" };
  }

  get unread(): number {
    const { readMessageIndex = 0 } = this.marker;
    return this.messages.slice(readMessageIndex).filter(({ sender }) => sender?.userId !== "ada").length;
  }

  get summary(): RoomSummary {
    const { room, marker, unread: unreadCount } = this;
    const known = (marker.deliveredSeq ?? 0) > 0;
    return {
      room,
      member: { userId: "ada" },
      lastMessage: this.messages.at(-1),
      unreadCount,
      ...(known && { marker }),
    };
  }
}

export function useRooms() {
  const world = new World();
  const rooms = new Map<string, ScriptedRoom>();
  const members = new Set<string>();
  const asked: string[] = [];
  const inbox = { state: { status: "off" } as FeedState, seq: 0, watchers: new Set<() => void>() };
  const server = { live: true, delayMs: 0, pageSize: 2, epoch: 0, refused: new Set<string>() };
  let wireMs = 0;

  /** What is told later never comes earlier. */
  const later = (action: () => void): void => {
    const { epoch } = server;
    wireMs = Math.max(wireMs, world.nowMs + server.delayMs);
    world.after(wireMs - world.nowMs, () => {
      if (epoch === server.epoch) action();
    });
  };
  const push = (frame: ServerFrame): void => later(() => list.pushed(frame));
  const room = (id: string): ScriptedRoom => {
    const held = rooms.get(id) ?? new ScriptedRoom(id);
    rooms.set(id, held);
    return held;
  };
  const answer = ({ listRooms, getHistory, getRoom, getEvents }: Call): CallResult => {
    if (listRooms !== undefined) {
      asked.push("listRooms");
      const ids = [...members].sort().filter((id) => id > (listRooms.pageToken ?? ""));
      const page = ids.slice(0, server.pageSize);
      const nextPageToken = page.length < ids.length ? page.at(-1) : "";
      return { listRooms: { rooms: page.map((id) => room(id).summary), nextPageToken } };
    }
    if (getHistory !== undefined) {
      asked.push(`getHistory ${getHistory.roomId}`);
      const { messages, top } = room(getHistory.roomId ?? "");
      return { getHistory: { messages: messages.slice(-(getHistory.limit ?? 50)), asOf: top } };
    }
    if (getRoom !== undefined) return { getRoom: { room: room(getRoom.roomId ?? "").room } };
    return { getEvents: { events: room(getEvents?.roomId ?? "").events.slice((getEvents?.fromSeq ?? 1) - 1) } };
  };
  const handle: ListedRoom = {
    id: INBOX,
    get state() {
      return inbox.state;
    },
    get position() {
      return { seq: inbox.seq };
    },
    listened: false,
    history: () => Promise.resolve({ asOf: room(INBOX).top }),
    on: (_name, listener) => {
      inbox.watchers.add(() => listener(inbox.state as never));
      return () => inbox.watchers.clear();
    },
    open: () => {
      inbox.state = { status: "live" };
      inbox.seq = room(INBOX).events.length;
    },
    close: () => {
      inbox.state = { status: "off" };
    },
  };
  const user = { userId: "ada" };
  const list = new RoomList({
    platform: { after: (ms, action) => world.after(ms, action), random: () => 1 },
    welcome: () => (server.live ? { ...user, inboxRoomId: INBOX } : undefined),
    self: () => user,
    room: () => handle,
    request: ({ call = {} }: ClientFrame) =>
      new Promise((resolve, reject) => {
        if (!server.live) {
          reject(new DisconnectedError("not connected"));
          return;
        }
        const { epoch } = server;
        world.after(server.delayMs, () => {
          if (epoch !== server.epoch) reject(new DisconnectedError("the connection was lost"));
          else {
            const callResult = answer(call);
            later(() => resolve({ callResult }));
          }
        });
      }),
  });
  const tell = (held: ScriptedRoom): void => {
    const { id, top, messages } = held;
    if (!server.live || (id !== INBOX && !members.has(id))) return;
    if (id === INBOX || held.open) {
      for (const event of held.events.slice(held.toldSeq)) later(() => list.happened(id, event));
      held.toldSeq = held.events.length;
    } else push({ signals: { top: { roomId: id, top, lastMessageIndex: messages.length } } });
  };
  const happen = (id: string, event: Omit<RoomEvent, "position">): void => {
    const held = room(id);
    const seq = held.events.length + 1;
    held.events.push({ eventId: `${id}-${seq}`, position: { seq, tag: seq }, ...event });
    tell(held);
  };

  return {
    world,
    list,
    server,
    inbox,
    user,
    room,
    members,
    run: (ms = 1_000) => world.run(ms),
    /** What was asked since the last time that this was asked. */
    asked: () => asked.splice(0),
    join(id: string, told = true): void {
      members.add(id);
      if (told) happen(INBOX, { addedToRoom: { roomId: id } });
    },
    leave(id: string): void {
      members.delete(id);
      const held = room(id);
      if (held.open && server.live) {
        push({ unsubscribed: { roomId: id, reason: "UNSUBSCRIBE_REASON_ACCESS_LOST" } });
      }
      held.open = false;
      happen(INBOX, { removedFromRoom: { roomId: id } });
    },
    say(id: string, userId: string, text = "", names: readonly string[] = []): void {
      const held = room(id);
      const seq = held.events.length + 1;
      const messageIndex = held.messages.length + 1;
      const createdAt = new Date(1_800_000_000_000 + world.nowMs).toISOString();
      const mentions = names.map((name) => ({ userId: name }));
      const messageCreated = { body: { text }, messageIndex, mentions };
      const [sender, position] = [{ userId }, { seq, tag: seq }];
      const messageId = `${id}-${seq}`;
      held.messages.push({
        messageId,
        roomId: id,
        position,
        messageIndex,
        createdAt,
        sender,
        body: { text },
        mentions,
      });
      happen(id, { createdAt, actor: sender, messageCreated });
      if (names.includes("ada")) happen(INBOX, { mentioned: { roomId: id, messageIndex } });
    },
    /** The inbox cannot be gone on in. */
    resetInbox(): void {
      inbox.state = { status: "reset", reason: "RESET_REASON_OTHER_HISTORY" };
      for (const tell of [...inbox.watchers]) tell();
    },
    rename(id: string, name: string): void {
      const held = room(id);
      held.name = name;
      happen(id, { roomUpdated: { room: held.room } });
    },
    delete(id: string): void {
      happen(id, { roomDeleted: {} });
      members.delete(id);
    },
    /** On whatever device. */
    read(id: string, index = room(id).messages.length): void {
      const held = room(id);
      const readSeq =
        index === held.messages.length ? held.events.length : (held.messages[index - 1]?.position?.seq ?? 0);
      held.marker = { userId: "ada", deliveredSeq: readSeq, readSeq, readMessageIndex: index };
      if (server.live) push({ markers: { roomId: id, markers: [held.marker] } });
    },
    open(id: string): void {
      const held = room(id);
      if (held.open || !members.has(id)) return;
      held.open = true;
      held.toldSeq = held.events.length;
      const { room: now, top, marker } = held;
      if (server.live) later(() => list.subscribed(id, { room: now, top, marker, caughtUp: {} }));
    },
    lose(): void {
      server.live = false;
      server.epoch++;
      list.disconnected();
    },
    comeBack(): void {
      if (server.live) return;
      server.live = true;
      list.welcomed();
      for (const held of rooms.values()) if (held.open || held.id === INBOX) tell(held);
    },
  };
}
