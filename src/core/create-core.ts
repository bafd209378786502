// Puts the core together.

import { DeliveryService } from "../gen/trunkline/v1/delivery_pb.js";
import { PresenceService } from "../gen/trunkline/v1/presence_pb.js";
import { ErrorCode, TrunklineError } from "../ports/error.js";
import type { RoomRef } from "../ports/room-ref.js";
import { ShardedArchive } from "./archive/sharded-archive.js";
import { FramePassing } from "./cluster/frame-passing.js";
import { peerHandler } from "./cluster/peer-handler.js";
import type { Core, CoreDependencies } from "./core.js";
import { Delivery } from "./delivery/delivery.js";
import { Tails } from "./delivery/tails.js";
import { Hub } from "./fanout/hub.js";
import { OwnedFanout } from "./fanout/owned-fanout.js";
import { RoomTops } from "./fanout/room-tops.js";
import { ToldAgain } from "./fanout/told-again.js";
import { DeletedRoomMembers, DeletedRooms } from "./follow/deleted-rooms.js";
import { DeletedRoots } from "./follow/deleted-roots.js";
import { Follower } from "./follow/follower.js";
import { InboxEffects } from "./follow/inbox-effects.js";
import { limitedCalls, limitedRooms } from "./limit/limited-calls.js";
import { Limiter } from "./limit/limiter.js";
import { createOutlets } from "./outlet/create-outlets.js";
import { PresenceCore } from "./presence/presence.js";
import { Receipts } from "./receipt/receipts.js";
import { RoomOwner } from "./room/owner.js";
import { RoomService } from "./room/service.js";
import { Sessions } from "./session/sessions.js";
import { Signals } from "./signal/signals.js";

export function createCore(given: CoreDependencies): Core {
  const limiter = new Limiter(given);
  const owner = new RoomOwner(given);
  const { archivesOnAppend } = given.log;
  const topOf = (ref: RoomRef): Promise<number> => owner.view(ref, [], ({ state }) => state.seq);
  const heard = given.cluster && new OwnedFanout({ ...given, placement: given.cluster.placement }, topOf);
  const deps: CoreDependencies = {
    ...given,
    fanout: heard ?? given.fanout,
    archive: archivesOnAppend ? given.archive : new ShardedArchive(given.archive, owner),
  };
  const hub = new Hub(deps, topOf);
  const receipts = new Receipts(deps, owner);
  const presence = new PresenceCore(deps, owner);
  const rooms = new RoomService(deps, owner, receipts, presence);
  const signals = new Signals(deps, owner);
  const sessions = new Sessions(deps, owner, rooms, hub, signals, receipts, presence, limiter);
  const passing = new FramePassing(deps);
  const tops = new RoomTops(deps);
  const again = new ToldAgain(deps);
  const tails = new Tails(deps, owner);
  const delivery = new Delivery(deps, owner, tails, signals, receipts);
  const outlets = createOutlets(deps, { owner, receipts, presence });
  const following = [new InboxEffects(deps, owner), new DeletedRoomMembers(deps), new DeletedRoots(deps, owner)];
  const ahead = following.map((each) => new Follower(deps, each));
  // What removes events goes behind all who read them where they are removed: this node's, of its shards, and of the tails those that would
  // find them gone.
  const readers = [...ahead, ...(archivesOnAppend ? [tails] : []), ...outlets.map(({ reader }) => reader)];
  const followers = [...ahead, new Follower(deps, new DeletedRooms(deps), readers)];
  owner.onOpening(async (shard, end) => {
    await Promise.all([...followers, ...outlets].map((each) => each.opening(shard, end)));
  });
  owner.onOpened((shard, end) => {
    for (const each of [...followers, ...outlets]) each.opened(shard, end);
  });
  owner.onYielding(async (shard) => {
    await Promise.allSettled([
      receipts.yielding(shard),
      ...[...followers, ...outlets].map((each) => each.yielding(shard)),
    ]);
  });
  owner.onReleased((shard) => {
    receipts.released(shard);
    for (const each of [...followers, ...outlets]) each.released(shard);
  });
  owner.onAppended((shard, from, records) => {
    for (const follower of followers) follower.appended(shard, from, records);
    for (const outlet of outlets) outlet.appended(shard);
    tops.appended(records);
    again.appended(records);
  });
  owner.onToldLate((records) => again.appended(records));
  owner.onReleased((shard) => {
    owner.notices.relearn();
    tops.released(shard);
  });
  return {
    sessions,
    passing,
    rooms: limitedRooms(rooms, limiter),
    delivery: limitedCalls(DeliveryService, delivery, limiter),
    presence: limitedCalls(PresenceService, presence.calls, limiter),
    answerPeer: owner.answers === undefined ? alone : peerHandler(owner.answers, owner.notices, receipts.far, passing),
    shards: () => owner.shards,
    authenticate: async (token) => ({ identity: await deps.verifier.verify(token), deviceId: "" }),
    start: async () => {
      await owner.start();
      for (const each of [...followers, ...outlets]) each.start();
      hub.start();
      presence.start();
      sessions.start();
      tails.start();
    },
    drain: async (spreadMs) => {
      tails.stop();
      presence.drain();
      // What is asked meanwhile is asked of the shards' next owners.
      await Promise.all([sessions.drain(spreadMs), owner.leave()]);
    },
    stop: async () => {
      tails.stop();
      sessions.stop();
      signals.stop();
      limiter.stop();
      tops.stop();
      again.stop();
      const kept = presence.stop();
      hub.stop();
      heard?.stop();
      await owner.leave();
      await receipts.stop();
      await Promise.all([...followers, ...outlets].map((each) => each.stop()));
      owner.close();
      await kept;
    },
  };
}

async function alone(): Promise<never> {
  throw new TrunklineError(ErrorCode.UNAVAILABLE, "this node is not one of several");
}
