// How far a room's members have received and read it: says it of this user, and shows it of the others.

import type { Listener } from "../events.js";
import type { Actor, ClientFrame, Mark, Marker, Position, RoomEvent, ServerFrame, Subscribed } from "../gen/types.js";
import type { Platform } from "../platform.js";
import { Changes } from "./changes.js";
import { furthest, withoutReading } from "./marker.js";
import type { Marking, Marks } from "./marks.js";

export interface ReceiptsContext {
  readonly platform: Pick<Platform, "after">;
  readonly request: (frame: ClientFrame) => Promise<ServerFrame>;
  /** The user that was last connected. */
  readonly self: () => Actor;
  readonly marks: Pick<Marks, "due">;
}

/** How the other members stand to one message. Of rooms of more than 100 members only those are counted who were told of. */
export interface ReceiptCount {
  /** The furthest that any of them has come. */
  readonly status: "sent" | "delivered" | "read";
  /** All of them have come as far. In a direct room that is the other user. */
  readonly byAll: boolean;
  /** How many have received it. */
  readonly delivered: number;
  /** How many have read it, of those whose reading is to be seen. */
  readonly read: number;
  /** How many there are. */
  readonly others: number;
}

type Sort = "delivered" | "read";

export class RoomReceipts implements Marking {
  readonly #roomId: string;
  readonly #context: ReceiptsContext;
  readonly #changes: Changes<RoomReceipts>;
  /** Of the others. */
  readonly #markers = new Map<string, Marker>();
  #own: Marker | undefined;
  /** Of `#own` what the server has told. */
  #confirmed: Marker | undefined;
  #members = 0;
  /** How much of the room `#members` covers. */
  #countedSeq = 0;
  /** How far the application has come. */
  #reached: Partial<Record<Sort, Position>> = {};
  /** What the server knows of it, or was told. */
  #said = { delivered: 0, read: 0 };

  constructor(roomId: string, context: ReceiptsContext) {
    this.#roomId = roomId;
    this.#context = context;
    this.#changes = new Changes<RoomReceipts>(context.platform, () => this);
  }

  /** How far this user has come, over all of their devices. Undefined: not known, or nowhere yet. */
  get own(): Marker | undefined {
    return this.#own;
  }

  /** How far the others have come, in no order. `readSeq` is 0 of whose reading is not to be seen. */
  get markers(): readonly Marker[] {
    return [...this.#markers.values()];
  }

  /** How the others stand to the message at `seq`, the `position.seq` of an event or a message of this user. */
  receiptOf(seq: number): ReceiptCount {
    let delivered = 0;
    let read = 0;
    for (const { deliveredSeq = 0, readSeq = 0 } of this.#markers.values()) {
      if (deliveredSeq >= seq) delivered++;
      if (readSeq >= seq) read++;
    }
    const others = Math.max(this.#members - 1, this.#markers.size);
    const status = read > 0 ? "read" : delivered > 0 ? "delivered" : "sent";
    const byAll = status !== "sent" && (status === "read" ? read : delivered) >= others;
    return { status, byAll, delivered, read, others };
  }

  /** Calls `listener` when a marker has moved, or members have come or gone; returns what ends that. */
  onChange(listener: Listener<RoomReceipts>): () => void {
    return this.#changes.on(listener);
  }

  // — for the room —

  /** @internal */
  get listened(): boolean {
    return this.#changes.heard;
  }

  /** The application has been given everything up to there, or has read it. Said before long, once for many. @internal */
  reached(sort: Sort, position: Position = {}): void {
    const { seq = 0 } = position;
    if (seq <= (this.#reached[sort]?.seq ?? 0)) return;
    this.#reached[sort] = position;
    if (sort === "read") this.#follow({ userId: this.#context.self().userId, readSeq: seq });
    this.#due();
  }

  /** @internal */
  take(): Mark | undefined {
    const { delivered, read } = this.#reached;
    const mark = {
      ...((read?.seq ?? 0) > this.#said.read && { read }),
      // What is read has been received.
      ...((delivered?.seq ?? 0) > Math.max(this.#said.delivered, read?.seq ?? 0) && { delivered }),
    };
    this.#said = {
      read: Math.max(this.#said.read, read?.seq ?? 0),
      delivered: Math.max(this.#said.delivered, delivered?.seq ?? 0, read?.seq ?? 0),
    };
    return Object.keys(mark).length === 0 ? undefined : { roomId: this.#roomId, ...mark };
  }

  /** A new connection: what was said last may have been lost with the one before. @internal */
  welcomed(): void {
    this.#said = { delivered: this.#confirmed?.deliveredSeq ?? 0, read: this.#confirmed?.readSeq ?? 0 };
    this.#due();
  }

  /** Positions of the history so far are none of the one that follows. @internal */
  reset(): void {
    this.#reached = {};
    this.#markers.clear();
    this.#own = undefined;
    this.#confirmed = undefined;
    this.#changes.changed();
  }

  /** @internal */
  subscribed({ room, top, marker, markers = [] }: Subscribed): void {
    this.#members = room?.memberCount ?? this.#members;
    this.#countedSeq = top?.seq ?? 0;
    this.#said = { delivered: marker?.deliveredSeq ?? 0, read: marker?.readSeq ?? 0 };
    for (const { userId = "", readSeq = 0 } of markers) {
      const held = this.#markers.get(userId);
      // Nobody unreads: they hide it now, or this user does.
      if (held !== undefined && readSeq === 0) this.#markers.set(userId, withoutReading(held));
    }
    this.told(marker === undefined ? markers : [...markers, { ...marker, userId: this.#context.self().userId }]);
    this.#changes.changed();
    this.#due();
  }

  /** @internal */
  told(markers: readonly Marker[]): void {
    for (const marker of markers) {
      if (marker.userId === this.#context.self().userId) this.#confirmed = furthest(this.#confirmed, marker);
      this.#follow(marker);
    }
  }

  /** Before the event is handed on. @internal */
  happened({ position, memberJoined, memberLeft }: RoomEvent): void {
    if ((memberJoined ?? memberLeft) === undefined || (position?.seq ?? 0) <= this.#countedSeq) return;
    this.#countedSeq = position?.seq ?? 0;
    this.#members += memberLeft === undefined ? 1 : -1;
    this.#markers.delete(memberLeft?.userId ?? "");
    this.#changes.changed();
  }

  /** The user hides from now on what they read, and sees nothing of it of others; or no longer. @internal */
  privacy(hidden: boolean): void {
    if (hidden) {
      for (const [userId, marker] of this.#markers) this.#markers.set(userId, withoutReading(marker));
      this.#changes.changed();
    } else if (this.#markers.size > 0) {
      // Where it fails, the next subscription tells.
      const listMarkers = { roomId: this.#roomId };
      this.#context.request({ call: { listMarkers } }).then(
        ({ callResult }) => this.told(callResult?.listMarkers?.markers ?? []),
        () => {},
      );
    }
  }

  #follow(marker: Marker): void {
    const { userId = "" } = marker;
    const own = userId === this.#context.self().userId;
    const held = own ? this.#own : this.#markers.get(userId);
    const now = furthest(held, marker);
    if (now === held) return;
    if (own) this.#own = now;
    else this.#markers.set(userId, now);
    this.#changes.changed();
  }

  #due(): void {
    const { delivered, read } = this.#reached;
    if ((delivered?.seq ?? 0) > this.#said.delivered || (read?.seq ?? 0) > this.#said.read)
      this.#context.marks.due(this);
  }
}
