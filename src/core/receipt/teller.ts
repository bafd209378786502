// Tells of markers that have moved: at once, then at most once a second for each of them.

import { create } from "@bufbuild/protobuf";
import { Permission, type Marker as WireMarker } from "../../gen/trunkline/v1/message_pb.js";
import { MarkersSchema, ServerFrameSchema } from "../../gen/trunkline/v1/session_pb.js";
import type { Timer } from "../../ports/clock.js";
import { EncodedFrame } from "../../ports/encoded-frame.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { inboxRef } from "../room/inbox.js";
import type { RoomOwner } from "../room/owner.js";
import { hasPermission } from "../room/permissions.js";
import type { ReadingPrivacy } from "./privacy.js";
import type { ActiveRoom, Tracked } from "./tracker.js";

/** Between two tellings of one marker, in milliseconds. */
const INTERVAL_MS = 1_000;
/** How often it is looked whose time has come, in milliseconds: what comes due within it is told in one frame per room. */
const TICK_MS = 100;
/** Of a large room: the last events that a marker has newly come past are looked at for their authors. */
const MAX_COVERED = 32;
/** Of a large room: markers told of in one go. Others can be asked for. */
const MAX_TOLD = 100;
/** Events whose authors are remembered per large room. */
const MAX_AUTHORS = 256;

interface Move {
  readonly from: Tracked["told"];
  readonly to: Tracked["told"];
  readonly full: WireMarker;
  readonly withoutReading: WireMarker;
}

export class MarkerTeller {
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;
  readonly #privacy: ReadingPrivacy;
  /** Told when this turn's input has been handled: those who mark together are told of together. */
  #due: Tracked[] = [];
  readonly #waiting = new Set<Tracked>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: CoreDependencies, owner: RoomOwner, privacy: ReadingPrivacy) {
    this.#deps = deps;
    this.#owner = owner;
    this.#privacy = privacy;
  }

  moved(tracked: Tracked): void {
    if (tracked.waiting || this.#stopped) return;
    tracked.waiting = true;
    if (this.#deps.clock.monotonic() - tracked.toldAtMs < INTERVAL_MS) {
      this.#waiting.add(tracked);
      this.#schedule();
      return;
    }
    this.#due.push(tracked);
    if (this.#due.length === 1) this.#deps.clock.soon(() => this.#tellDue());
  }

  /** Tells what is still to be told of these rooms: whoever has them next does not know of it. */
  tellNow(isWanted: (ref: RoomRef) => boolean): void {
    for (const tracked of this.#waiting) {
      if (!isWanted(tracked.room.ref)) continue;
      this.#waiting.delete(tracked);
      this.#due.push(tracked);
    }
    this.#tellDue();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#waiting.clear();
    this.#due = [];
  }

  #schedule(): void {
    this.#timer ??= this.#deps.clock.after(TICK_MS, () => {
      this.#timer = undefined;
      const nowMs = this.#deps.clock.monotonic();
      for (const tracked of this.#waiting) {
        if (nowMs - tracked.toldAtMs < INTERVAL_MS) continue;
        this.#waiting.delete(tracked);
        this.#due.push(tracked);
      }
      this.#tellDue();
      if (this.#waiting.size > 0) this.#schedule();
    });
  }

  #tellDue(): void {
    const due = this.#due;
    this.#due = [];
    const rooms = new Map<ActiveRoom, Move[]>();
    for (const tracked of due) {
      const moves = rooms.get(tracked.room) ?? [];
      rooms.set(tracked.room, moves);
      moves.push(this.#take(tracked));
    }
    for (const [room, moves] of rooms) {
      this.#tell(room, moves).catch((cause: unknown) => {
        this.#deps.telemetry.emit("fault", { where: "telling of markers", cause });
      });
    }
  }

  #take(tracked: Tracked): Move {
    const { marker, told: from } = tracked;
    const to = { deliveredSeq: marker.deliveredSeq, readSeq: marker.readSeq };
    tracked.waiting = false;
    tracked.told = to;
    tracked.toldAtMs = this.#deps.clock.monotonic();
    return { from, to, full: marker.wire(false), withoutReading: marker.wire(true) };
  }

  async #tell(room: ActiveRoom, moves: readonly Move[]): Promise<void> {
    const { ref } = room;
    // The user's own devices follow, subscribed or not, hidden or not.
    for (const { full } of moves) this.#say(this.#inbox(ref, full.userId), ref, [full]);
    if (await isBlocked(this.#owner, ref.tenantId, room.pair)) return;
    const seen: Move[] = [];
    for (const move of moves) {
      if (!(await this.#privacy.hidden(ref.tenantId, move.full.userId))) seen.push(move);
      else if (move.to.deliveredSeq > move.from.deliveredSeq) seen.push(reduced(move));
    }
    if (seen.length === 0 || this.#stopped) return;
    if (room.small) {
      this.#say(
        ref,
        ref,
        seen.map(({ full }) => full),
      );
    } else await this.#tellAuthors(room, seen.slice(0, MAX_TOLD));
  }

  /** Of a large room: each author learns of the markers that have come past a message of theirs. */
  async #tellAuthors(room: ActiveRoom, moves: readonly Move[]): Promise<void> {
    const { ref } = room;
    const news = new Map<string, Move[]>();
    for (const move of moves) {
      for (const author of await this.#authorsOf(room, move)) {
        if (author === move.full.userId) continue;
        const theirs = news.get(author) ?? [];
        news.set(author, theirs);
        theirs.push(move);
      }
    }
    if (news.size === 0) return;
    // Whoever has left the room, or may not see its members, learns nothing more of them.
    const audience = await this.#owner.view(ref, [...news.keys()], ({ state }) =>
      [...news].filter(([author]) => {
        const member = state.member(author);
        return member !== undefined && [Permission.READ, Permission.SEE_MEMBERS].every((p) => hasPermission(member, p));
      }),
    );
    for (const [author, theirs] of audience) {
      const hidden = await this.#privacy.hidden(ref.tenantId, author);
      const markers = hidden
        ? theirs.flatMap(({ from, to, withoutReading }) =>
            to.deliveredSeq > from.deliveredSeq ? [withoutReading] : [],
          )
        : theirs.map(({ full }) => full);
      if (markers.length > 0) this.#say(this.#inbox(ref, author), ref, markers);
    }
  }

  /** Who has sent what the marker has newly come past, the last events of it. */
  async #authorsOf(room: ActiveRoom, { from, to }: Move): Promise<ReadonlySet<string>> {
    const authors = new Set<string>();
    const spans = [
      [from.deliveredSeq, to.deliveredSeq],
      [from.readSeq, to.readSeq],
    ] as const;
    for (const [after, through] of spans) {
      const first = Math.max(after + 1, through - MAX_COVERED + 1);
      await this.#learnAuthors(room, first, through);
      for (let seq = first; seq <= through; seq++) {
        const author = room.authors.get(seq) ?? "";
        if (author !== "") authors.add(author);
      }
    }
    return authors;
  }

  async #learnAuthors(room: ActiveRoom, first: number, through: number): Promise<void> {
    let from = first;
    while (from <= through && room.authors.has(from)) from++;
    if (from > through) return;
    const range = { from, to: through, limit: MAX_COVERED, maxBytes: Number.POSITIVE_INFINITY };
    const learnt = (await this.#deps.archive.events(room.ref, range)).map(({ seq, event }): [number, string] => {
      return [seq, event.kind.case === "messageCreated" ? (event.actor?.userId ?? "") : ""];
    });
    room.authors = new Map([...room.authors, ...learnt].slice(-MAX_AUTHORS));
  }

  #inbox({ tenantId }: RoomRef, userId: string): RoomRef {
    return inboxRef(this.#deps.ids, tenantId, userId);
  }

  #say(to: RoomRef, { roomId }: RoomRef, markers: readonly WireMarker[]): void {
    const value = create(MarkersSchema, { roomId, markers: [...markers] });
    this.#deps.fanout.signal(to, EncodedFrame.of(create(ServerFrameSchema, { frame: { case: "markers", value } })));
  }
}

/** Whether one of the two users of a direct room has blocked the other: neither then learns how far the other is. */
export async function isBlocked(owner: RoomOwner, tenantId: string, [one, other]: readonly string[]): Promise<boolean> {
  return one !== undefined && other !== undefined && (await owner.blocks.between(tenantId, one, other));
}

/** The move as others see it of who hides their reading. */
function reduced({ from, to, withoutReading }: Move): Move {
  const unread = { readSeq: from.readSeq };
  return { from, to: { ...to, ...unread }, full: withoutReading, withoutReading };
}
