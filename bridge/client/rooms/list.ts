// The user's rooms, kept as they are: read once, then followed by what is told of them, and read again after each reconnect.

import type {
  Actor,
  Call,
  ClientFrame,
  Marker,
  RoomEvent,
  RoomSummary,
  RoomTop,
  ServerFrame,
  Subscribed,
  Welcome,
} from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";
import type { Room, RoomFollower } from "../room/room.js";
import { againMs } from "../session/verdict.js";
import { MAX_ROOMS, RoomEntries } from "./entries.js";
import { happened, listed, marked, mentioned, moved, placed, seqOf } from "./entry.js";
import { Previews } from "./previews.js";

/** What the list needs of the inbox. */
export type ListedRoom = Pick<Room, "id" | "state" | "position" | "listened" | "open" | "close" | "history" | "on">;

export interface RoomListContext {
  readonly platform: Pick<Platform, "after" | "random">;
  readonly request: (frame: ClientFrame) => Promise<ServerFrame>;
  /** Of the live connection. */
  readonly welcome: () => Welcome | undefined;
  readonly room: (roomId: string) => ListedRoom;
  /** The user that was last connected. */
  readonly self: () => Actor;
}

export interface RoomListOptions {
  /**
   * Fetches the last message of rooms that are not open here and have moved on, five a second at most. Without, `lastMessage` of these is the one
   * of the last reading, and messages from the user's other devices count as unread until then. Default true.
   */
  readonly previews?: boolean;
}

/** Rooms of one page of ListRooms. */
const PAGE = 100;
/** From the first reason to read the list again to doing so, and between two readings. */
const AGAIN_MS = 250;
/** Until it is read again for a room that it did not name yet, and how often. */
const EXPECT_MS = 2_000;
const EXPECT = 3;
/** Previews that may wait before what is known without is shown. */
const PREVIEWS_WAITING = 5;
/** Events of the inbox that are read for mentions of before. */
const MENTIONS = 200;
/** Calls that may change which rooms there are. */
const CHANGING = ["createRoom", "deleteRoom", "joinRoom", "leaveRoom", "updateRoom"] as const;

export class RoomList extends RoomEntries implements RoomFollower {
  readonly #context: RoomListContext;
  readonly #previewer: Previews;
  #open = false;
  #unwatch: (() => void) | undefined;
  /** The connection on which the inbox was reopened. */
  #reopened = -1;
  #ready = false;
  #previews = true;
  /** Counts connections: an answer of an older one is told apart. */
  #epoch = 0;
  /** There until the list is read that it is set for. */
  #again: Timer | undefined;
  #stale = false;
  #failures = 0;
  /** Rooms that went while the list was read: its pages may still name them. */
  readonly #gone = new Set<string>();
  /** Rooms that were told of and not named yet, and how often the list is to be read for them. */
  readonly #expected = new Map<string, number>();
  #mentionsRead = false;
  /** The user whose rooms they are. */
  #listedFor = "";

  constructor(context: RoomListContext) {
    super(context.platform);
    this.#context = context;
    this.#previewer = new Previews(context, this);
  }

  /** All of them have been read once. */
  get ready(): boolean {
    return this.#ready;
  }

  /**
   * Reads the list and keeps it as it is from now on. For that it opens the user's inbox, unless the application has it open. At most 10,000 rooms;
   * of rooms of more than 100 members that are not open here nothing is told between two readings, which each reconnect is one of.
   */
  open({ previews = true }: RoomListOptions = {}): void {
    this.#previews = previews;
    if (this.#open) return;
    this.#open = true;
    this.#begin();
  }

  /** No longer follows; what is known stays. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.disconnected();
    this.#unwatch?.();
    this.#unwatch = undefined;
    const inbox = this.#inbox;
    if (inbox?.listened === false) inbox.close();
  }

  /** Reads the list again, before long. */
  refresh(): void {
    this.#readAgain(AGAIN_MS);
  }

  // — for the client —

  /** @internal */
  welcomed(): void {
    this.#begin();
  }

  /** @internal */
  disconnected(): void {
    this.#epoch++;
    this.#again?.cancel();
    this.#again = undefined;
    this.#previewer.disconnected();
  }

  /** @internal */
  pushed({ unsubscribed, signals, markers }: ServerFrame): void {
    if (!this.#open) return;
    if (unsubscribed !== undefined) {
      const { roomId = "", reason } = unsubscribed;
      const over = reason === "UNSUBSCRIBE_REASON_ACCESS_LOST" || reason === "UNSUBSCRIBE_REASON_ROOM_DELETED";
      if (over) this.remove(roomId);
    } else if (signals?.top !== undefined) this.#top(signals.top);
    else if (markers !== undefined) this.#marked(markers.roomId ?? "", markers.markers ?? []);
  }

  /** @internal */
  subscribed(roomId: string, { room, member, marker, top, replaying, gap }: Subscribed): void {
    if (!this.#open) return;
    if (roomId === this.#inboxId) {
      this.#readMentions();
      return;
    }
    const held = this.get(roomId);
    if (held === undefined) {
      this.#expect(roomId, false);
      return;
    }
    const next = placed({ ...held, member }, room);
    this.put(marker === undefined ? next : marked(next, marker));
    // The events that follow lead from what is held to the room's top, unless it is opened further on.
    const topSeq = top?.seq ?? 0;
    const followSeq = gap?.fromSeq ?? topSeq + 1 - (replaying?.count ?? 0);
    if (followSeq <= seqOf(held.room) + 1) return;
    if (followSeq > topSeq) this.#top({ roomId, top: top ?? {}, lastMessageIndex: room?.lastMessageIndex ?? 0 });
    else this.refresh();
  }

  /** An event of an open room, each once and in order. @internal */
  happened(roomId: string, event: RoomEvent): void {
    if (!this.#open) return;
    if (roomId === this.#inboxId) {
      this.#noticed(event);
      return;
    }
    const entry = this.get(roomId);
    if (entry === undefined) {
      if (event.memberJoined?.member?.userId === this.#userId) this.#expect(roomId, true);
      return;
    }
    const next = happened(entry, event, this.#userId);
    if (next === undefined) this.remove(roomId);
    else this.put(next);
  }

  /** The user has read the room up to there, on this device. @internal */
  read(roomId: string, readSeq: number): void {
    this.#marked(roomId, [{ userId: this.#userId, readSeq }]);
  }

  /** The application's own call was carried out. @internal */
  called(call: Call): void {
    if (this.#open && CHANGING.some((name) => call[name] !== undefined)) this.refresh();
  }

  // — reading —

  #begin(): void {
    if (!this.#open || this.#context.welcome() === undefined) return;
    this.#failures = 0;
    this.#expected.clear();
    if (this.#listedFor !== this.#userId) this.#forget();
    this.#openInbox();
    this.#readAgain(0);
  }

  /** Another user has the token now. */
  #forget(): void {
    this.#listedFor = this.#userId;
    this.#ready = false;
    this.#mentionsRead = false;
    this.clear();
  }

  #readAgain(afterMs: number): void {
    this.#stale = true;
    if (!this.#open || this.#context.welcome() === undefined) return;
    this.#again ??= this.#context.platform.after(afterMs, () => this.#read());
  }

  #read(): void {
    this.#stale = false;
    this.#gone.clear();
    const epoch = this.#epoch;
    this.#pages(epoch).then(
      (whole) => {
        if (epoch === this.#epoch) this.#wasRead(whole);
      },
      (error: unknown) => {
        if (epoch !== this.#epoch) return;
        this.#again = undefined;
        this.#readAgain(AGAIN_MS + againMs(error, ++this.#failures, this.#context.platform));
      },
    );
  }

  /** Returns the ids of all rooms; undefined where there are more than are read. */
  async #pages(epoch: number): Promise<ReadonlySet<string> | undefined> {
    const found = new Set<string>();
    let pageToken: string | undefined;
    do {
      const { callResult } = await this.#context.request({ call: { listRooms: { pageSize: PAGE, pageToken } } });
      if (epoch !== this.#epoch) return undefined;
      const { rooms = [], nextPageToken = "" } = callResult?.listRooms ?? {};
      for (const summary of rooms) found.add(this.#listed(summary));
      pageToken = nextPageToken;
    } while (pageToken !== "" && found.size < MAX_ROOMS);
    return pageToken === "" ? found : undefined;
  }

  #listed(summary: RoomSummary): string {
    const roomId = summary.room?.roomId ?? "";
    const held = this.get(roomId);
    if (!this.#gone.has(roomId)) this.put(listed(held, summary));
    return roomId;
  }

  #wasRead(found: ReadonlySet<string> | undefined): void {
    this.#again = undefined;
    this.#failures = 0;
    if (found !== undefined) {
      for (const { roomId } of this.all) if (!found.has(roomId)) this.remove(roomId);
    }
    if (!this.#ready) {
      this.#ready = true;
      this.changed();
    }
    this.#readMentions();
    let missing = false;
    for (const [roomId, left] of this.#expected) {
      if (this.get(roomId) !== undefined) this.#expected.delete(roomId);
      else if (left > 0) {
        this.#expected.set(roomId, left - 1);
        missing = true;
      }
    }
    if (this.#stale || missing) this.#readAgain(this.#stale ? AGAIN_MS : EXPECT_MS);
  }

  /** There is a room that the list does not name. Those that it did not name when it was read for them are not asked for again. */
  #expect(roomId: string, anew: boolean): void {
    if (this.get(roomId) !== undefined || (!anew && this.#expected.has(roomId))) return;
    if (this.#expected.size >= MAX_ROOMS) this.#expected.clear();
    this.#expected.set(roomId, EXPECT);
    this.refresh();
  }

  // — what is told —

  get #inboxId(): string | undefined {
    return this.#context.welcome()?.inboxRoomId;
  }

  get #inbox(): ListedRoom | undefined {
    const id = this.#inboxId;
    return id === undefined ? undefined : this.#context.room(id);
  }

  get #userId(): string {
    return this.#context.self().userId ?? "";
  }

  #openInbox(): void {
    const inbox = this.#inbox;
    const status = inbox?.state.status;
    if (status === "off" || status === "lost") inbox?.open();
    else if (status === "reset") this.#reopenInbox();
    this.#unwatch?.();
    this.#unwatch = inbox?.on("state", ({ status }) => {
      if (status === "reset") this.#reopenInbox();
    });
  }

  /** It cannot be gone on in where it was: what was told there since is read from the list. Whoever reads it otherwise sees to that. */
  #reopenInbox(): void {
    const inbox = this.#inbox;
    // Once a connection: it may be so again at once.
    if (inbox?.listened !== false || this.#reopened === this.#epoch) return;
    this.#reopened = this.#epoch;
    inbox.history({ limit: 1 }).then(
      ({ asOf }) => {
        if (!this.#open || inbox.state.status !== "reset") return;
        inbox.open({ after: asOf });
        this.#mentionsRead = false;
        this.refresh();
      },
      // With the next connection.
      () => {},
    );
  }

  #noticed({ addedToRoom, removedFromRoom, mentioned: notice, messageHidden }: RoomEvent): void {
    if (addedToRoom !== undefined) this.#expect(addedToRoom.roomId ?? "", true);
    else if (removedFromRoom !== undefined) {
      this.remove(removedFromRoom.roomId ?? "");
      // It may be an old event, and the user a member again.
      this.refresh();
    } else if (notice !== undefined) {
      const entry = this.get(notice.roomId ?? "");
      if (entry !== undefined) this.put(mentioned(entry, notice.messageIndex ?? 0));
    } else if (messageHidden !== undefined) {
      const { roomId = "", messageIndex } = messageHidden;
      const entry = this.get(roomId);
      if (entry?.lastMessage?.messageIndex === messageIndex) this.#previewer.fetch(roomId, entry?.room ?? {}, false);
    }
  }

  #top(top: RoomTop): void {
    const { roomId = "" } = top;
    const entry = this.get(roomId);
    if (entry === undefined) {
      if (this.#ready) this.#expect(roomId, false);
      return;
    }
    const events = (top.top?.seq ?? 0) - seqOf(entry.room);
    if (events <= 0) return;
    // Events of another kind: the room may be called otherwise.
    const changed = events > (top.lastMessageIndex ?? 0) - (entry.room.lastMessageIndex ?? 0);
    // A preview tells which of the new messages are the user's own: both are shown together, unless that takes long.
    if (!this.#previews || this.#previewer.waiting >= PREVIEWS_WAITING) this.put(moved(entry, top));
    if (this.#previews) this.#previewer.fetch(roomId, top, changed);
  }

  #marked(roomId: string, markers: readonly Marker[]): void {
    const entry = this.get(roomId);
    const own = markers.find(({ userId }) => userId === this.#userId);
    if (entry !== undefined && own !== undefined) this.put(marked(entry, own));
  }

  /** @internal */
  override remove(roomId: string): void {
    this.#gone.add(roomId);
    this.#expected.delete(roomId);
    super.remove(roomId);
  }

  // — mentions —

  /** Those of before, once: those from now on are events of the inbox. */
  #readMentions(): void {
    const inbox = this.#inbox;
    const toSeq = inbox?.position?.seq ?? 0;
    if (!this.#ready || this.#mentionsRead || toSeq === 0) return;
    this.#mentionsRead = true;
    const getEvents = { roomId: inbox?.id, fromSeq: Math.max(toSeq - MENTIONS + 1, 1), toSeq, limit: MENTIONS };
    this.#context.request({ call: { getEvents } }).then(
      ({ callResult }) => {
        for (const event of callResult?.getEvents?.events ?? []) {
          if (event.mentioned !== undefined) this.#noticed(event);
        }
      },
      () => {
        // Asked again after the next reading.
        this.#mentionsRead = false;
      },
    );
  }
}
