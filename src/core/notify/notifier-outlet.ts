// The outlet of notifications: tells whoever reaches users who are away, once for all that comes until they are back.
//
// Every message is looked at when its grace is over, so the log itself keeps what is still to be looked at. What is to be told is kept
// durably before it is handed over, and judged anew at each try.

import { create } from "@bufbuild/protobuf";
import {
  BurstDocumentSchema,
  type ParkedDocument,
  ParkedDocumentSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import { type MessageCreated, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { LogRecord } from "../../ports/event-log.js";
import type { OutletStore } from "../../ports/outlet-store.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { createdAtMs } from "../outlet/batch.js";
import type { NotifierOptions } from "../outlet/options.js";
import { GIVE_UP_AFTER_MS, type Holding, type OutletWork } from "../outlet/outlet.js";
import { Parking, type Tried } from "../outlet/parking.js";
import type { Page, Taken } from "../outlet/shard-pages.js";
import type { Receipts } from "../receipt/receipts.js";
import type { RoomOwner } from "../room/owner.js";
import { Judge, type NotifierParts } from "./judge.js";
import { type Look, Looks } from "./looks.js";
import { RoomMembers } from "./room-members.js";

const DEFAULT_GRACE_MS = 10_000;
const DEFAULT_WIDE_ROOM = 100;
/** Notifications on their way, at most: with so many the log waits. */
const ON_THEIR_WAY = 10_000;
/** Between two looks at whether there are fewer, in milliseconds. */
const FULL_RETRY_MS = 1_000;
/** Messages whose graces end within so many milliseconds are looked at together. */
const TOGETHER_MS = 500;
/** What is left over for the ticks of timers, in milliseconds. */
const SLACK_MS = 3_000;
const STORE_RETRY_MS = 1_000;

export class NotifierOutlet implements OutletWork {
  readonly name = "notifier";
  readonly keptMs: number;
  readonly #deps: CoreDependencies;
  readonly #store: OutletStore;
  readonly #owner: RoomOwner;
  readonly #receipts: Receipts;
  readonly #options: NotifierOptions;
  readonly #graceMs: number;
  /** Whoever still has a session so long after a message has received it: a dead connection is found out sooner. */
  readonly #proofMs: number;
  readonly #wideRoom: number;
  readonly #judge: Judge;
  readonly #members: RoomMembers;
  readonly #parking: Parking;
  readonly #looks: Looks;

  constructor(deps: CoreDependencies, parts: NotifierParts, store: OutletStore, options: NotifierOptions) {
    const { graceMs = DEFAULT_GRACE_MS, wideRoom = DEFAULT_WIDE_ROOM, withBody = false } = options;
    this.#deps = deps;
    this.#store = store;
    this.#owner = parts.owner;
    this.#receipts = parts.receipts;
    this.#options = options;
    this.#graceMs = graceMs;
    this.#proofMs = deps.limits.pingIntervalMs + deps.limits.pongDeadlineMs;
    this.keptMs = this.#proofMs + 2 * graceMs + SLACK_MS;
    this.#wideRoom = wideRoom;
    this.#judge = new Judge(deps, parts, store, { graceMs, wideRoom, withBody });
    this.#members = new RoomMembers(deps.archive);
    this.#looks = new Looks(deps.clock, (look) => this.#lookAgain(look));
    this.#parking = new Parking(deps, store, {
      outlet: this.name,
      places: ON_THEIR_WAY,
      giveUpAfterMs: options.giveUpAfterMs ?? GIVE_UP_AFTER_MS,
      attempt: (document) => this.#attempt(document),
      giveUp: async ({ roomId, tries }, cause) => {
        deps.telemetry.emit("outlet.buried", { outlet: this.name, roomId, tries, cause });
        return undefined;
      },
    });
  }

  async load(holding: Holding): Promise<() => void> {
    const kept = await this.#parking.takeUp(holding);
    return () => this.#parking.opened(holding, kept);
  }

  /** Who waits to be looked at is found again by whoever has the shard now: its place is not remembered before their time is over. */
  released(shard: number): void {
    this.#parking.released(shard);
    this.#looks.forget(({ key }) => !this.#parking.holds(key));
  }

  stop(): void {
    this.#parking.stop();
    this.#looks.stop();
  }

  // — what the log says —

  async take(records: readonly LogRecord[], page: Page): Promise<Taken> {
    if (this.#parking.full || this.#looks.full) return { count: 0, waitMs: FULL_RETRY_MS };
    const nowMs = this.#deps.clock.now();
    const rooms = new Map<string, { readonly room: RoomRef; readonly messages: EncodedEvent[] }>();
    let count = 0;
    let waitMs = 0;
    for (const { room, event } of records) {
      const ageMs = nowMs - createdAtMs(event.event);
      if (ageMs < this.#graceMs) {
        // A clock that was set back does not make it wait for longer than the grace.
        waitMs = Math.max(Math.min(this.#graceMs - ageMs, this.#graceMs), TOGETHER_MS);
        break;
      }
      count++;
      const { kind } = event.event;
      if (kind.case === "roomDeleted") await this.#store.forgetBursts(room);
      // What is older than a notification may get is no news to anybody.
      if (kind.case !== "messageCreated" || ageMs > (this.#options.giveUpAfterMs ?? GIVE_UP_AFTER_MS)) continue;
      const known = rooms.get(room.key);
      if (known === undefined) rooms.set(room.key, { room, messages: [event] });
      else known.messages.push(event);
    }
    if (page.over) return { count: 0, waitMs: 0 };
    await Promise.all(Array.from(rooms.values(), ({ room, messages }) => this.#takeRoom(room, messages)));
    return { count, waitMs };
  }

  async #takeRoom(room: RoomRef, messages: readonly EncodedEvent[]): Promise<void> {
    const asOf = await this.#owner.view(room, [], ({ state }) => {
      const gone = state.room === undefined || state.room.status === RoomStatus.DELETED;
      return { gone, membersSeq: state.membersSeq, wide: state.isWiderThan(this.#wideRoom) };
    });
    if (asOf.gone) return;
    const { wide } = asOf;
    const users = wide ? namedIn(messages) : await this.#members.of(room, asOf.membersSeq, this.#wideRoom);
    const looks: Look[] = [];
    for (const userId of users) {
      const concerning = messages.filter(({ event }) => {
        return event.actor?.userId !== userId && (!wide || names(createdOf(event), userId));
      });
      const [first] = concerning;
      const last = concerning.at(-1);
      if (first === undefined || last === undefined) continue;
      const messageIndex = createdOf(first.event)?.messageIndex ?? 0;
      const lastAtMs = createdAtMs(last.event);
      looks.push({ room, userId, seq: first.seq, messageIndex, lastSeq: last.seq, lastAtMs });
    }
    await Promise.all(looks.map((look) => this.#look(look)));
  }

  // — whoever may have to be told —

  async #look(look: Look): Promise<void> {
    if (!this.#parking.holds(look.room.key)) return;
    const verdict = await this.#judge.judge(look);
    if (!this.#parking.holds(look.room.key)) return;
    switch (verdict.is) {
      case "over":
        return;
      case "here": {
        // A session that began after the message was given it. One that was there may be dead, and nobody knows yet.
        const received =
          verdict.sinceMs > look.lastAtMs || this.#deps.clock.now() > look.lastAtMs + this.#graceMs + this.#proofMs;
        if (received || this.#looks.crowded) return;
        const marked = (await this.#receipts.deliveredSeq(look.room, look.userId)) >= look.lastSeq;
        if (!marked && this.#parking.holds(look.room.key)) this.#looks.add(look, this.#graceMs);
        return;
      }
      case "later":
        this.#looks.add(look, verdict.waitMs);
        return;
      case "tell": {
        const { tenantId, roomId } = look.room;
        // What is on its way is judged anew when it is handed over, and holds this too.
        if (this.#parking.has(tenantId, roomId, look.userId)) return;
        const seq = verdict.notification.first?.seq ?? look.seq;
        const { userId, messageIndex } = look;
        const sinceMs = this.#deps.clock.now();
        await this.#parking.park(
          create(ParkedDocumentSchema, { tenantId, roomId, userId, seq, messageIndex, sinceMs }),
          0,
        );
      }
    }
  }

  async #lookAgain(look: Look): Promise<void> {
    try {
      await this.#look(look);
    } catch (cause) {
      if (!this.#parking.holds(look.room.key)) return;
      this.#deps.telemetry.emit("fault", { where: "looking at who is away", cause });
      this.#looks.add(look, STORE_RETRY_MS);
    }
  }

  async #attempt(document: ParkedDocument): Promise<Tried> {
    const { tenantId, roomId, userId, seq, messageIndex } = document;
    const room = roomRef(tenantId, roomId);
    const verdict = await this.#judge.judge({ room, userId, seq, messageIndex });
    if (verdict.is === "later") return { is: "more", document, waitMs: verdict.waitMs };
    if (verdict.is !== "tell" || !this.#parking.isParked(document)) return { is: "done" };
    const { notification } = verdict;
    // The same at every try, whatever the user has received meanwhile.
    notification.notificationId = this.#deps.ids.digest(`notification/${room.key}/${userId}/${seq}`);
    await this.#options.notifier.notify(notification);
    const toldAtMs = this.#deps.clock.now();
    const burst = create(BurstDocumentSchema, { lastSeq: notification.last?.seq ?? 0, toldAtMs });
    await this.#store.putBurst(room, userId, burst);
    this.#deps.telemetry.emit("outlet.sent", { outlet: this.name, count: 1, lagMs: toldAtMs - document.sinceMs });
    return { is: "done" };
  }
}

function createdOf({ kind }: EncodedEvent["event"]): MessageCreated | undefined {
  return kind.case === "messageCreated" ? kind.value : undefined;
}

function names(created: MessageCreated | undefined, userId: string): boolean {
  return created?.mentions.some((mention) => mention.userId === userId) === true;
}

function namedIn(messages: readonly EncodedEvent[]): ReadonlySet<string> {
  return new Set(messages.flatMap(({ event }) => createdOf(event)?.mentions.map(({ userId }) => userId) ?? []));
}
