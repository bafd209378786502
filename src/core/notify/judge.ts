// Whether a user is to be told of messages of a room now, and of which.

import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Member, type Message, type Room, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import { type Notification, NotificationSchema } from "../../gen/trunkline/v1/outlet_pb.js";
import type { DeviceInfo } from "../../gen/trunkline/v1/room_pb.js";
import type { OutletStore } from "../../ports/outlet-store.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { hasExpired, materialise } from "../message/materialise.js";
import type { PresenceCore } from "../presence/presence.js";
import type { Receipts } from "../receipt/receipts.js";
import { inboxRef } from "../room/inbox.js";
import type { RoomOwner } from "../room/owner.js";
import { mayRead } from "../room/permissions.js";
import { levelOf } from "./levels.js";

/** Messages that are counted, and read at once. */
const MOST_COUNTED = 100;
/** Pages that are read to find a first message to tell of. */
const MOST_PAGES = 10;

export interface JudgeOptions {
  readonly graceMs: number;
  readonly wideRoom: number;
  readonly withBody: boolean;
}

/** What of the core it asks. */
export interface NotifierParts {
  readonly owner: RoomOwner;
  readonly receipts: Receipts;
  readonly presence: PresenceCore;
}

/** Of whom and what is asked. */
export interface Question {
  readonly room: RoomRef;
  readonly userId: string;
  /** The first message that they may have to be told of. */
  readonly seq: number;
  readonly messageIndex: number;
}

export type Verdict =
  /** There is nothing to tell. */
  | { readonly is: "over" }
  /** The user has a session. */
  | { readonly is: "here"; readonly sinceMs: number }
  /** The user went only lately: to be asked again after so many milliseconds. */
  | { readonly is: "later"; readonly waitMs: number }
  | { readonly is: "tell"; readonly notification: Notification };

const OVER: Verdict = { is: "over" };

export class Judge {
  readonly #deps: CoreDependencies;
  readonly #store: OutletStore;
  readonly #owner: RoomOwner;
  readonly #receipts: Receipts;
  readonly #presence: PresenceCore;
  readonly #options: JudgeOptions;
  /** Who was here when the process before ended is not known: nobody is taken to be away for longer. */
  readonly #sinceMs: number;

  constructor(
    deps: CoreDependencies,
    { owner, receipts, presence }: NotifierParts,
    store: OutletStore,
    options: JudgeOptions,
  ) {
    this.#deps = deps;
    this.#store = store;
    this.#owner = owner;
    this.#receipts = receipts;
    this.#presence = presence;
    this.#options = options;
    this.#sinceMs = deps.clock.now();
  }

  async judge({ room, userId, seq, messageIndex }: Question): Promise<Verdict> {
    const { tenantId, roomId } = room;
    const sessions = await this.#deps.directory.sessions(tenantId, userId);
    if (sessions.length > 0) return { is: "here", sinceMs: Math.max(...sessions.map((each) => each.connectedAtMs)) };

    const [deliveredSeq, burst, devices] = await Promise.all([
      this.#receipts.deliveredSeq(room, userId),
      this.#store.burst(room, userId),
      this.#presence.devicesOf(tenantId, userId),
    ]);
    const seenMs = Math.max(...devices.map(seenAtMs));
    const told = burst?.lastSeq ?? 0;
    if (burst !== undefined && deliveredSeq < told && seenMs < burst.toldAtMs) return OVER;
    const awayMs = this.#deps.clock.now() - Math.max(seenMs, this.#sinceMs);
    if (awayMs < this.#options.graceMs) return { is: "later", waitMs: this.#options.graceMs - awayMs };

    const { state, member, wide } = await this.#owner.view(room, [userId], (at) => {
      const wide = at.state.isWiderThan(this.#options.wideRoom);
      return { state: at.state.room, member: at.state.member(userId), wide };
    });
    if (state === undefined || state.status === RoomStatus.DELETED || member === undefined || !mayRead(member))
      return OVER;
    const level = await this.#owner.view(inboxRef(this.#deps.ids, tenantId, userId), [], (inbox) =>
      levelOf(inbox.state.user.settings, roomId),
    );
    if (level === "none") return OVER;
    const named = level === "mentions" || wide;
    const afterSeq = Math.max(seq - 1, deliveredSeq, told);
    const messages = await this.#unreceived(room, { member, afterSeq, named }, messageIndex);
    return messages.length === 0
      ? OVER
      : { is: "tell", notification: this.#compose(room, state, userId, messages, devices) };
  }

  /** The messages to tell of: a hundred, from the first on. */
  async #unreceived(room: RoomRef, wanted: Wanted, messageIndex: number): Promise<readonly Message[]> {
    const found: Message[] = [];
    let afterIndex = messageIndex - 1;
    for (let page = 0; page < MOST_PAGES; page++) {
      const stored = await this.#deps.archive.messages(room, { afterIndex, limit: MOST_COUNTED });
      for (const each of stored) {
        const message = materialise(room.roomId, each);
        if (message !== undefined && (await this.#isToTell(room, message, wanted))) found.push(message);
      }
      if (found.length > 0 || stored.length < MOST_COUNTED) break;
      afterIndex = stored.at(-1)?.messageIndex ?? afterIndex;
    }
    return found;
  }

  async #isToTell({ tenantId }: RoomRef, message: Message, { member, afterSeq, named }: Wanted): Promise<boolean> {
    const { userId, joinedAt } = member;
    const { position, createdAt, sender, deleted } = message;
    if ((position?.seq ?? 0) <= afterSeq || deleted || hasExpired(message, this.#deps.clock.now())) return false;
    if (sender === undefined || sender.userId === userId || (named && !names(message, userId))) return false;
    if (joinedAt !== undefined && createdAt !== undefined && timestampMs(createdAt) < timestampMs(joinedAt))
      return false;
    return !(await this.#owner.blocks.has(tenantId, userId, sender.userId));
  }

  #compose(
    { tenantId, roomId, key }: RoomRef,
    { kind, name }: Room,
    userId: string,
    messages: readonly Message[],
    devices: readonly DeviceInfo[],
  ): Notification {
    const [first] = messages;
    const last = messages.at(-1);
    return create(NotificationSchema, {
      notificationId: this.#deps.ids.digest(`notification/${key}/${userId}/${first?.position?.seq}`),
      tenantId,
      userId,
      roomId,
      roomKind: kind,
      roomName: name,
      count: messages.length,
      first: first?.position,
      last: last?.position,
      messageId: last?.messageId ?? "",
      sender: last?.sender,
      sentAt: last?.createdAt,
      mentioned: messages.some((message) => names(message, userId)),
      body: this.#options.withBody ? last?.body : undefined,
      devices: [...devices],
    });
  }
}

/** Which messages a member is told of. */
interface Wanted {
  readonly member: Member;
  /** Only those behind it. */
  readonly afterSeq: number;
  /** Only those that name the member. */
  readonly named: boolean;
}

function names({ mentions }: Message, userId: string): boolean {
  return mentions.some((mention) => mention.userId === userId);
}

function seenAtMs({ lastSeen }: DeviceInfo): number {
  return lastSeen === undefined ? Number.NEGATIVE_INFINITY : timestampMs(lastSeen);
}
