// Opening a subscription: join the feed, be authorized at the owner, decide how to get from the stated position to live.

import { create } from "@bufbuild/protobuf";
import {
  type Marker,
  type Member,
  Permission,
  type Position,
  PositionSchema,
  type Room,
} from "../../gen/trunkline/v1/message_pb.js";
import * as wire from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import type { Hub } from "../fanout/hub.js";
import type { Receipts } from "../receipt/receipts.js";
import type { Caller } from "../room/calls.js";
import type { RoomOwner } from "../room/owner.js";
import { requireKnown, requireUnknown } from "./known.js";
import { type Subscriber, Subscription } from "./subscription.js";

/** The rest of the core as opening needs it. */
export interface OpeningServices {
  readonly deps: CoreDependencies;
  readonly owner: RoomOwner;
  readonly hub: Hub;
  readonly receipts: Receipts;
}

export interface Opened {
  readonly top: Position;
  readonly room: Room | undefined;
  readonly member: Member | undefined;
  readonly outcome: wire.Subscribed["outcome"];
  /** The user's own marker. */
  readonly marker: Marker | undefined;
  /** Those of others. */
  readonly markers: Marker[];
}

export interface OpeningSteps {
  /** The subscription is there and ends with its session. */
  opening(subscription: Subscription): void;
  /** It was refused, or reset: there is no subscription. */
  ended(): void;
  /** Tells the client; events follow as soon as it returns. */
  opened(opened: Opened): void;
}

/** Resolves when the subscription is live or catching up; rejects with the refusal, after `ended`. */
export async function openSubscription(
  services: OpeningServices,
  session: Subscriber,
  ref: RoomRef,
  caller: Caller,
  after: Position | undefined,
  steps: OpeningSteps,
): Promise<void> {
  const feed = services.hub.feed(ref);
  const subscription = new Subscription(session, feed);
  // Joined before anything is waited for: what takes the room away meanwhile is not missed.
  feed.join(subscription);
  steps.opening(subscription);
  try {
    await services.hub.listen(feed);
    const seen = await authorizeReading(services, ref, caller);
    const { outcome, sent } = await outcomeOf(services, ref, after, seen.top);
    const { marker, markers, ...sight } = await services.receipts.opening(ref, caller, seen);
    // The session ended, or moved the subscription, while this waited.
    if (subscription.status === "ended") return;
    const loss = subscription.lostSince(seen.accessSeq);
    if (loss === "room-deleted") throw new TrunklineError(ErrorCode.NOT_FOUND, "there is no such room");
    if (loss === "unknown")
      throw new TrunklineError(ErrorCode.UNAVAILABLE, "who may read is not known", { retryAfterMs: 0 });
    if (loss !== undefined) throw new TrunklineError(ErrorCode.NOT_A_MEMBER, "you are no longer a member of the room");
    feed.hear(seen.top.seq);
    subscription.seeMembers(seen.accessSeq, sight.seesMembers);
    subscription.hidesReading ??= sight.hidesReading;
    steps.opened({ ...seen, outcome, marker, markers });
    // A client that must reload subscribes again from what it has loaded: what came before that would only be in its way.
    if (outcome.case === "reset") steps.ended();
    else subscription.begin(sent, seen.accessSeq);
  } catch (error) {
    if (subscription.status !== "ended") steps.ended();
    throw error;
  }
}

/** A room as its owner shows it. */
interface Seen extends Pick<Opened, "top" | "room" | "member"> {
  /** The last event of the room whose members it has: what the user's rights are as of. */
  readonly accessSeq: number;
  /** The last event that may have changed who is a member. */
  readonly membersSeq: number;
  /** The two users of a direct room. */
  readonly pair: readonly string[];
}

/** What the owner shows of a room to whoever may read it; rejects with the refusal. */
export function authorizeReading(
  { owner }: Pick<OpeningServices, "owner">,
  ref: RoomRef,
  caller: Caller,
): Promise<Seen> {
  return owner.read(ref, caller, Permission.READ, ({ state }) => {
    const member = state.member(caller.identity.userId);
    const top = create(PositionSchema, { seq: state.seq, tag: state.tag });
    const { accessSeq, membersSeq, directUsers: pair } = state;
    return { top, room: state.view(), member, accessSeq, membersSeq, pair };
  });
}

interface Plan {
  readonly outcome: wire.Subscribed["outcome"];
  /** The seq after which events are pushed. */
  readonly sent: number;
}

/** How to get from `after` to `top`. */
async function outcomeOf(
  { deps }: Pick<OpeningServices, "deps">,
  ref: RoomRef,
  after: Position | undefined,
  top: Position,
): Promise<Plan> {
  if (after === undefined) return caughtUp(top);
  if (after.seq > top.seq) {
    await requireUnknown(deps, ref, after);
    return reset(top, wire.ResetReason.BEYOND_END);
  }
  if (after.seq === top.seq) return after.tag === top.tag ? caughtUp(top) : reset(top, wire.ResetReason.OTHER_HISTORY);

  // The event at the position tells whether it is of this history; the one after it, whether what follows is still kept.
  const from = Math.max(after.seq, 1);
  const events = await deps.archive.events(ref, {
    from,
    to: after.seq + 1,
    limit: 2,
    maxBytes: Number.POSITIVE_INFINITY,
  });
  const at = events.find((event) => event.seq === after.seq);
  if (at !== undefined && at.tag !== after.tag) return reset(top, wire.ResetReason.OTHER_HISTORY);
  const complete = after.seq === 0 ? events[0]?.seq === 1 : at !== undefined && events.at(-1)?.seq === after.seq + 1;
  if (!complete) {
    await requireKnown(deps, ref, top.seq);
    return reset(top, wire.ResetReason.EXPIRED);
  }

  const missed = top.seq - after.seq;
  if (missed > deps.limits.recoveryLimit) {
    const gap = create(wire.GapSchema, { fromSeq: after.seq + 1, toSeq: top.seq });
    return { outcome: { case: "gap", value: gap }, sent: top.seq };
  }
  const replaying = create(wire.ReplayingSchema, { count: missed });
  return { outcome: { case: "replaying", value: replaying }, sent: after.seq };
}

function caughtUp(top: Position): Plan {
  return { outcome: { case: "caughtUp", value: create(wire.CaughtUpSchema) }, sent: top.seq };
}

function reset(top: Position, reason: wire.ResetReason): Plan {
  return { outcome: { case: "reset", value: create(wire.ResetSchema, { reason }) }, sent: top.seq };
}
