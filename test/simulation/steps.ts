// What can happen next, and how often.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { JoinRule, Permission, Role, RoomKind, RoomStatus } from "../../src/gen/trunkline/v1/message_pb.js";
import { type CallSchema, PresenceStatus } from "../../src/gen/trunkline/v1/session_pb.js";
import type { State } from "./coverage.js";
import type { Device, FrameInit, Said } from "./device.js";
import { timeOf } from "./message-record.js";
import { FAIR } from "./ports.js";
import { refOf, type World } from "./world.js";

type CallInit = NonNullable<MessageInitShape<typeof CallSchema>["rpc"]>;

interface Step {
  readonly weight: number;
  /** Where it can happen: on a node that is alone, or on one of several. Default: on both. */
  readonly where?: "alone" | "several";
  /** Does it, and says what it did; undefined: there was nothing to do. */
  readonly run: (world: World) => string | undefined | Promise<string | undefined>;
}

/** What everybody of a tenant reads. */
const ANNOUNCEMENTS = "~announcements";
/** Changes a device keeps unanswered, at most. */
const MOST_CHANGES = 16;

function aDevice(world: World): Device {
  return world.chance.pick(world.devices);
}

function aNode({ chance, nodes }: World): World["nodes"][number] | undefined {
  return nodes.length === 0 ? undefined : chance.pick(nodes);
}

function aLiveDevice(world: World): Device | undefined {
  for (let tries = 0; tries < 8; tries++) {
    const device = aDevice(world);
    if (device.live) return device;
  }
  return undefined;
}

/** One that a device makes, or has made. */
function aNewRoom({ chance }: World): string {
  return `new${chance.below(120)}`;
}

/** One that is under a hot room, or is to be. */
function aSubRoom({ chance, options }: World): string {
  return `r${chance.below(options.hotRooms)}~t${chance.below(3)}`;
}

function aRoom(world: World): string {
  const { chance, options } = world;
  if (chance.of(0.08)) return aNewRoom(world);
  if (chance.of(0.03)) return ANNOUNCEMENTS;
  if (chance.of(0.1)) return aSubRoom(world);
  return `r${chance.of(0.6) ? chance.below(options.hotRooms) : chance.below(options.rooms)}`;
}

/** Mostly one that the device reads. */
function aRoomOf(world: World, device: Device): string {
  const { chance } = world;
  const own = [...device.rooms.values()].filter(({ state }) => state !== "out");
  return own.length > 0 && chance.of(0.85) ? chance.pick(own).roomId : aRoom(world);
}

function aUser({ chance, options }: World): string {
  return `u${chance.below(options.users)}`;
}

function change(
  what: State,
  rpc: (roomId: string, key: string, attempt: number, userId: string) => CallInit,
  room: (world: World, device: Device) => string = aRoomOf,
) {
  return (world: World): string | undefined => {
    const device = aLiveDevice(world);
    if (device === undefined || device.changes.size >= MOST_CHANGES) return undefined;
    const roomId = room(world, device);
    const userId = aUser(world);
    device.change(what, roomId, (key, attempt) => ({
      case: "call",
      value: { rpc: rpc(roomId, key, attempt, userId) },
    }));
    return `${what} ${device.name} ${roomId} ${userId}`;
  };
}

/** One of a room's last messages, or none that is there. */
function aMessage({ chance, checker }: World, device: Device, roomId: string): string {
  const { ids } = checker.room(refOf(device, roomId).key).messages;
  return chance.of(0.05) ? "none" : (ids.at(-1 - chance.below(12)) ?? "none");
}

/** The first message of a thread of the room's, mostly of one that is there. */
function aThread(world: World, device: Device, roomId: string): string {
  const { threads } = world.checker.room(refOf(device, roomId).key).messages;
  const roots = [...threads.roots].slice(-4);
  return roots.length > 0 && world.chance.of(0.7) ? world.chance.pick(roots) : aMessage(world, device, roomId);
}

/** A change of one of the room's last messages, or of none that is there. */
function changeOfMessage(
  what: State,
  choose: (messageId: string, world: World) => (roomId: string, key: string, attempt: number) => FrameInit,
): Step["run"] {
  return (world) => {
    const device = aLiveDevice(world);
    if (device === undefined || device.changes.size >= MOST_CHANGES) return undefined;
    const roomId = aRoomOf(world, device);
    const messageId = aMessage(world, device, roomId);
    const frame = choose(messageId, world);
    device.change(what, roomId, (key, attempt) => frame(roomId, key, attempt));
    return `${what} ${device.name} ${roomId} ${messageId}`;
  };
}

/** The same for every attempt: chosen when the change begins, not when it is sent. */
function chosen<T>(choose: (world: World) => T, then: (choice: T) => Step["run"]): Step["run"] {
  return (world) => then(choose(world))(world);
}

function aRole({ chance }: World): Role {
  return chance.pick([Role.ADMIN, Role.MEMBER, Role.MEMBER, Role.READER, Role.OWNER]);
}

/**
 * Events are kept for longer than a reader may lag, and than a request that was cut off may still be under way in the server, in
 * milliseconds.
 */
const KEPT_MS = 60_000;

/** The last seq before the first event of late. */
function oldEnough({ checker, time }: World, roomKey: string): number {
  const { events, top } = checker.room(roomKey);
  const first = events.findIndex((event) => timeOf(event) > time.wallMs - KEPT_MS);
  return first < 0 ? top : first;
}

const STEPS: readonly Step[] = [
  {
    weight: 60,
    run: (world) => {
      const { chance } = world;
      const device = aLiveDevice(world);
      if (device === undefined || device.changes.size >= MOST_CHANGES) return undefined;
      const roomId = aRoomOf(world, device);
      const count = chance.of(0.1) ? chance.between(2, 12) : 1;
      const padding = chance.of(0.1) ? chance.between(1_000, 9_000) : chance.below(100);
      const said: Said = {
        padding,
        mentions: chance.of(0.15) ? Array.from({ length: chance.between(1, 3) }, () => aUser(world)) : [],
        ...(chance.of(0.05) && { expiresAfterMs: chance.between(1_000, 20_000) }),
        ...(chance.of(0.1) && { replyTo: aMessage(world, device, roomId) }),
        ...(chance.of(0.3) && { threadRoot: aThread(world, device, roomId) }),
      };
      for (let i = 0; i < count; i++) device.publish(roomId, said);
      return `publish ${device.name} ${roomId} ×${count} ${JSON.stringify(said)}`;
    },
  },
  {
    weight: 6,
    run: changeOfMessage("messages edited", (messageId, { chance }) => {
      const baseVersion = chance.of(0.3) ? chance.between(1, 3) : 0;
      return (roomId, key, attempt) => {
        const body = { kind: { case: "text" as const, value: `edited by ${key}` } };
        return { case: "editMessage", value: { roomId, messageId, key, attempt, body, baseVersion } };
      };
    }),
  },
  {
    weight: 4,
    run: changeOfMessage("messages deleted", (messageId) => (roomId, key, attempt) => {
      return { case: "deleteMessage", value: { roomId, messageId, key, attempt } };
    }),
  },
  {
    weight: 4,
    run: changeOfMessage("reactions set", (messageId, { chance }) => {
      const emoji = chance.pick(["+1", "wave"]);
      const on = chance.of(0.7);
      return (roomId, key, attempt) => ({ case: "react", value: { roomId, messageId, key, attempt, emoji, on } });
    }),
  },
  {
    weight: 3,
    run: changeOfMessage("messages pinned", (messageId, { chance }) => {
      const pinned = chance.of(0.7);
      return (roomId, key, attempt) => {
        const value = { roomId, messageId, key, attempt, pinned };
        return { case: "call", value: { rpc: { case: "pinMessage", value } } };
      };
    }),
  },
  {
    weight: 12,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined) return undefined;
      const roomId = aRoom(world);
      const fromFirst = world.chance.of(0.5);
      device.subscribe(roomId, fromFirst);
      return `subscribe ${device.name} ${roomId} ${fromFirst ? "from the first" : "from now"}`;
    },
  },
  {
    weight: 3,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined) return undefined;
      const roomId = aRoomOf(world, device);
      device.subscribe(roomId, false);
      return `subscribe again ${device.name} ${roomId}`;
    },
  },
  {
    weight: 4,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined) return undefined;
      const roomId = aRoomOf(world, device);
      // While so much waits that it may be refused, now and then.
      for (let asked = world.chance.of(0.1) ? 12 : 0; asked > 0; asked--) {
        device.ask({ case: "call", value: { rpc: { case: "getHistory", value: { roomId, limit: 5 } } } });
      }
      device.unsubscribe(roomId);
      return `unsubscribe ${device.name} ${roomId}`;
    },
  },
  {
    weight: 3,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined) return undefined;
      const roomId = aRoomOf(world, device);
      device.ask({ case: "call", value: { rpc: { case: "getHistory", value: { roomId, limit: 30 } } } });
      device.ask({ case: "call", value: { rpc: { case: "listMembers", value: { roomId } } } });
      device.ask({ case: "call", value: { rpc: { case: "listRooms", value: { pageSize: 10 } } } });
      device.ask({ case: "ping", value: { id: 1 } });
      return `reads ${device.name} ${roomId}`;
    },
  },
  {
    weight: 3,
    run: (world) => {
      const [reader, other] = [aLiveDevice(world), aLiveDevice(world)];
      if (reader === undefined || other === undefined || other.changes.size >= MOST_CHANGES) return undefined;
      const roomId = aRoomOf(world, reader);
      const threadRoot = aThread(world, reader, roomId);
      for (let asked = 0; asked < 3; asked++) {
        reader.ask({ case: "call", value: { rpc: { case: "getHistory", value: { roomId, limit: 50 } } } });
        if (other.tenantId === reader.tenantId) other.publish(roomId, { threadRoot });
      }
      return `reads ${reader.name} ${roomId} while ${other.name} answers ${threadRoot}`;
    },
  },
  {
    weight: 2,
    run: chosen(aNewRoom, (newRoom) =>
      change(
        "rooms created",
        (roomId, key, attempt, userId) => ({
          case: "createRoom",
          value: { roomId, key, attempt, members: [{ userId }], joinRule: JoinRule.OPEN },
        }),
        () => newRoom,
      ),
    ),
  },
  {
    weight: 3,
    run: chosen(
      (world) => (world.chance.of(0.8) ? aSubRoom(world) : `${aRoom(world)}~t0`),
      (subRoom) =>
        change(
          "rooms under others created",
          (roomId, key, attempt) => ({
            case: "createRoom",
            value: { roomId, parentId: roomId.slice(0, roomId.lastIndexOf("~")), key, attempt },
          }),
          () => subRoom,
        ),
    ),
  },
  {
    weight: 3,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined || device.changes.size >= MOST_CHANGES) return undefined;
      const other = aUser(world);
      if (other === device.userId) return undefined;
      device.change(
        "direct rooms made",
        world.directs.roomOf(device.tenantId, device.userId, other),
        (key, attempt) => ({
          case: "call",
          value: {
            rpc: {
              case: "createRoom",
              value: { kind: RoomKind.DIRECT, key, attempt, members: [{ userId: other }] },
            },
          },
        }),
      );
      return `direct ${device.name} with ${other}`;
    },
  },
  {
    weight: 5,
    run: change("joins", (roomId, key, attempt) => ({ case: "joinRoom", value: { roomId, key, attempt } }), aRoom),
  },
  {
    weight: 2,
    run: change("leaves", (roomId, key, attempt) => ({ case: "leaveRoom", value: { roomId, key, attempt } })),
  },
  {
    weight: 8,
    run: chosen(
      (world) => ({ role: aRole(world), also: aUser(world) }),
      ({ role, also }) =>
        change("members added", (roomId, key, attempt, userId) => ({
          case: "addMembers",
          value: { roomId, key, attempt, members: [{ userId, role }, { userId: also }] },
        })),
    ),
  },
  {
    weight: 4,
    run: chosen(
      ({ chance }) => chance.of(0.2),
      (ban) =>
        change("members removed", (roomId, key, attempt, userId) => ({
          case: "removeMember",
          value: { roomId, key, attempt, userId, ban },
        })),
    ),
  },
  {
    weight: 5,
    run: chosen(
      (world) => ({ role: aRole(world), what: world.chance.below(4), muteForMs: world.chance.below(20_000) }),
      ({ role, what, muteForMs }) =>
        change("members changed", (roomId, key, attempt, userId) => ({
          case: "setMember",
          value: {
            roomId,
            key,
            attempt,
            userId,
            ...(what === 0 && { role }),
            ...(what === 1 && { overrides: { denied: [Permission.READ] } }),
            ...(what === 2 && { overrides: { granted: [Permission.INVITE] } }),
            ...(what === 3 && { muteForMs }),
          },
        })),
    ),
  },
  {
    weight: 3,
    run: chosen(
      ({ chance }) => (chance.of(0.2) ? RoomStatus.ARCHIVED : RoomStatus.ACTIVE),
      (status) =>
        change("rooms updated", (roomId, key, attempt) => ({
          case: "updateRoom",
          value: { roomId, key, attempt, name: `named by ${key}`, status },
        })),
    ),
  },
  {
    weight: 1,
    run: change(
      "rooms deleted",
      (roomId, key, attempt) => ({ case: "deleteRoom", value: { roomId, key, attempt } }),
      (world, device) => {
        const { chance, options } = world;
        // Those that devices have made and read, and any but the hot ones.
        const own = [...device.rooms.keys()].filter((roomId) => /^new|.~/.test(roomId));
        if (own.length > 0 && chance.of(0.8)) return chance.pick(own);
        return `r${chance.between(options.hotRooms, options.rooms - 1)}`;
      },
    ),
  },

  // — what users keep for themselves —
  {
    weight: 4,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined || device.changes.size >= MOST_CHANGES) return undefined;
      const { chance, checker } = world;
      const name = `s${chance.below(5)}`;
      const record = checker.inbox(device.tenantId, device.userId)?.user;
      // Stale by the time that it arrives, now and then.
      const version = chance.of(0.5) ? (record?.settings.get(name)?.version ?? 0) : 0;
      device.change("settings changed", device.inboxId, (key, attempt) => {
        const settings = [{ key: name, value: new TextEncoder().encode(key), version }];
        return { case: "call", value: { rpc: { case: "setSettings", value: { key, attempt, settings } } } };
      });
      return `settings ${device.name} ${name} from ${version}`;
    },
  },
  {
    weight: 4,
    run: changeOfMessage("messages hidden", (messageId) => (roomId, key, attempt) => {
      return { case: "call", value: { rpc: { case: "hideMessage", value: { roomId, messageId, key, attempt } } } };
    }),
  },
  {
    weight: 3,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined || device.changes.size >= MOST_CHANGES) return undefined;
      const { chance, checker } = world;
      const { blocked } = checker.inbox(device.tenantId, device.userId)?.user ?? {};
      const unblocks = blocked !== undefined && blocked.size > 0 && chance.of(0.4);
      const other = unblocks ? chance.pick([...blocked.keys()]) : aUser(world);
      if (other === device.userId) return undefined;
      device.change("users blocked", device.inboxId, (key, attempt) => {
        const value = { userId: other, blocked: !unblocks, key, attempt };
        return { case: "call", value: { rpc: { case: "blockUser", value } } };
      });
      return `${device.name} ${unblocks ? "unblocks" : "blocks"} ${other}`;
    },
  },
  {
    weight: 2,
    run: async (world) => {
      const { chance, checker } = world;
      const device = aLiveDevice(world);
      const roomId = [...(device?.rooms.keys() ?? [])].find((id) => id.startsWith("~d."));
      if (device === undefined || roomId === undefined) return undefined;
      const { members } = checker.room(refOf(device, roomId).key);
      const other = world.devices.find(({ tenantId, userId, live, changes }) => {
        const isOther = tenantId === device.tenantId && userId !== device.userId && members.has(userId);
        return isOther && live && changes.size < MOST_CHANGES;
      });
      if (other === undefined) return undefined;
      // Whoever judges it knows by then whether they are blocked.
      other.publish(roomId);
      await world.settle();
      device.change("users blocked", device.inboxId, (key, attempt) => {
        const value = { userId: other.userId, blocked: true, key, attempt };
        return { case: "call", value: { rpc: { case: "blockUser", value } } };
      });
      await world.settle();
      await world.pass(chance.below(300), true);
      other.publish(roomId);
      other.publish(aRoomOf(world, other), { mentions: [device.userId] });
      return `${device.name} blocks ${other.name} while they speak in ${roomId}`;
    },
  },
  {
    weight: 1,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined) return undefined;
      device.subscribe(device.inboxId, true);
      world.coverage.count("inboxes read");
      return `subscribe ${device.name} to its inbox`;
    },
  },

  {
    weight: 8,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined) return undefined;
      const { chance } = world;
      const roomId = aRoomOf(world, device);
      const back = chance.of(0.3) ? chance.below(10) : 0;
      const read = chance.of(0.5);
      device.mark(roomId, back, read);
      return `marks ${device.name} ${roomId} ${read ? "read" : "delivered"} -${back}`;
    },
  },

  {
    weight: 3,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined) return undefined;
      const { ONLINE, AWAY, DO_NOT_DISTURB, INVISIBLE } = PresenceStatus;
      const status = world.chance.pick([ONLINE, ONLINE, AWAY, AWAY, DO_NOT_DISTURB, INVISIBLE]);
      device.choosePresence(status);
      return `${device.name} is ${PresenceStatus[status]}`;
    },
  },

  {
    weight: 5,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined) return undefined;
      const { chance } = world;
      const users = new Set(Array.from({ length: chance.below(6) }, () => aUser(world)));
      device.watch([...users], []);
      return `${device.name} watches ${[...users].join(",")}`;
    },
  },

  // — the application —
  {
    weight: 4,
    run: (world) => {
      const { chance, checker, application } = world;
      const governed = [...checker.rooms.values()].filter(({ root, isGoverned }) => root === undefined && isGoverned);
      if (governed.length === 0) return undefined;
      const { key } = chance.pick(chance.of(0.5) ? governed.slice(0, 2) : governed);
      const permission = chance.of(0.6) ? Permission.READ : Permission.PUBLISH;
      const userId = aUser(world);
      application.changeMind(key, userId, permission);
      return `the application has decided otherwise of ${Permission[permission]} for ${userId} in ${key}`;
    },
  },

  // — backend services —
  {
    weight: 5,
    run: (world) => {
      const { chance } = world;
      const sender = chance.pick(world.senders);
      const roomId = chance.of(0.1) ? ANNOUNCEMENTS : aRoom(world);
      const asUserId = chance.of(0.4) ? aUser(world) : "";
      const count = chance.of(0.1) ? chance.between(2, 6) : 1;
      for (let i = 0; i < count; i++) sender.toRoom(roomId, asUserId);
      return `${sender.name} to ${roomId} ×${count} as ${asUserId}`;
    },
  },
  {
    weight: 2,
    run: (world) => {
      const sender = world.chance.pick(world.senders);
      const users = [...new Set(Array.from({ length: world.chance.between(1, 4) }, () => aUser(world)))];
      sender.toUsers(users);
      return `${sender.name} to ${users.join(",")}`;
    },
  },
  {
    weight: 3,
    run: ({ chance, tails }) => {
      const tail = chance.pick(tails);
      if (!tail.connected) tail.connect();
      else if (tail.paused) tail.resume();
      else if (chance.of(0.5)) tail.pause();
      else tail.cut();
      return `${tail.name} ${tail.paused ? "pauses" : tail.connected ? "reads" : "is cut off"}`;
    },
  },

  // — the network and the devices —
  {
    weight: 6,
    run: (world) => {
      const device = aDevice(world);
      if ((device.link?.unanswered ?? 0) > 0) world.coverage.count("connections cut with requests unanswered");
      if (device.link !== undefined) device.cut();
      else device.connect();
      return `cut or connect ${device.name}`;
    },
  },
  {
    weight: 3,
    run: (world) => {
      const device = aDevice(world);
      if (device.link === undefined) device.connect();
      else if (world.chance.of(0.2)) device.leave();
      return `comes or goes ${device.name}`;
    },
  },
  {
    weight: 1,
    run: (world) => {
      const device = aLiveDevice(world);
      device?.replace();
      return device && `connects again ${device.name}`;
    },
  },
  {
    weight: 6,
    run: (world) => {
      const device = aDevice(world);
      device.stalled = device.link !== undefined && !device.stalled && world.chance.of(0.5);
      return `${device.stalled ? "stalls" : "reads"} ${device.name}`;
    },
  },
  {
    weight: 2,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device === undefined) return undefined;
      const roomId = `r${world.chance.below(world.options.hotRooms)}`;
      const known = device.rooms.get(roomId);
      if (known !== undefined && known.position !== undefined) return undefined;
      // What is asked first fills what waits for the device: the room's old events must wait, and may be gone by then.
      device.stalled = true;
      for (let asked = 0; asked < 8; asked++) {
        device.ask({ case: "call", value: { rpc: { case: "getHistory", value: { roomId, limit: 50 } } } });
      }
      device.subscribe(roomId, true);
      return `${device.name} stalls, and subscribes to ${roomId} from the first`;
    },
  },
  {
    weight: 10,
    run: ({ devices }) => {
      for (const device of devices) if (device.stalled) device.ask({ case: "ping", value: { id: 2 } });
      return "who does not read goes on speaking";
    },
  },
  {
    weight: 0.4,
    run: ({ devices }) => {
      for (const device of devices) device.stalled = false;
      return "all read";
    },
  },
  {
    weight: 1,
    run: (world) => {
      const device = aDevice(world);
      device.diligent = !device.diligent || world.chance.of(0.7);
      return `${device.name} is ${device.diligent ? "diligent" : "lazy"}`;
    },
  },
  {
    weight: 0.3,
    run: (world) => {
      const device = aLiveDevice(world);
      if (device !== undefined) world.revokeToken(device);
      return device && `revoke ${device.name}`;
    },
  },

  // — the store and what is between —
  {
    weight: 3,
    run: (world) => {
      const { chance, weather } = world;
      Object.assign(weather, FAIR);
      if (chance.of(0.5)) weather.appendFault = chance.pick([0.02, 0.1, 0.4]);
      if (chance.of(0.5)) weather.readHeld = chance.pick([0.05, 0.3, 0.8]);
      if (chance.of(0.3)) weather.openFails = 0.5;
      if (world.isBehind && chance.of(0.4)) weather.applyFails = chance.pick([0.05, 0.3, 0.9]);
      if (chance.of(0.2)) weather.announcementLost = 0.1;
      if (chance.of(0.2)) weather.announcementRepeated = 0.2;
      if (chance.of(0.2)) weather.announcementDelayed = 0.3;
      if (chance.of(0.2)) weather.subscribeFails = 0.2;
      if (chance.of(0.2)) weather.verifyFails = 0.3;
      if (chance.of(0.3)) weather.targetFails = 0.3;
      if (chance.of(0.3)) weather.hookFails = chance.pick([0.05, 0.5]);
      if (world.isCluster && chance.of(0.3)) weather.peerFails = chance.pick([0.02, 0.2]);
      if (world.isCluster && chance.of(0.3)) weather.peerHeld = chance.pick([0.05, 0.3]);
      if (world.isCluster && chance.of(0.4)) world.mendCluster();
      world.load = chance.pick([0, 0.3, 0.9]);
      return `weather ${JSON.stringify(weather)}`;
    },
  },
  {
    weight: 4,
    run: (world) => {
      const { engine } = world;
      engine.archiveDown = !engine.archiveDown && world.chance.of(0.1);
      return `archive ${engine.archiveDown ? "down" : "up"}`;
    },
  },
  {
    weight: 40,
    run: (world) => {
      if (world.heldAnswers === 0) return undefined;
      const count = world.chance.between(1, 4);
      for (let i = 0; i < count && world.heldAnswers > 0; i++) world.openGate();
      return `${count} held answers`;
    },
  },
  { weight: 8, run: (world) => (world.arrive() ? "delayed announcements" : undefined) },
  {
    weight: 2,
    run: async (world) => {
      await world.takeShard();
      return "another process takes a shard";
    },
  },
  {
    weight: 3,
    run: async (world) => {
      const { chance, checker } = world;
      // Worst for those who have something left to read.
      const device = world.devices.find(({ stalled }) => stalled && chance.of(0.5)) ?? aDevice(world);
      const ref = refOf(device, aRoomOf(world, device));
      // What an inbox was told is recognised by the events it has: no store forgets them within minutes.
      if (checker.room(ref.key).user !== undefined) return undefined;
      // A cluster keeps each room's last event: it is how who knows all of a room is told from who does not.
      const top = checker.room(ref.key).top - (world.isCluster ? 1 : 0);
      const through = Math.min(chance.of(0.5) ? top : chance.below(Math.max(top, 0) + 1), oldEnough(world, ref.key));
      // What may still be sent again must be kept: no store forgets within minutes.
      const { eventIds } = checker.room(ref.key);
      const awaited = world.devices.some(
        ({ tenantId, userId, changes }) =>
          tenantId === ref.tenantId &&
          [...changes.values()].some(
            ({ roomId, key }) => roomId === ref.roomId && eventIds.has(world.eventId(tenantId, roomId, userId, key)),
          ),
      );
      const sent = world.senders.flatMap((sender) => sender.awaited(ref.roomId)).some((id) => eventIds.has(id));
      // What follows the log is waited for.
      if (through <= 0 || awaited || sent || !world.isFollowed(ref, through) || world.engine.archiveDown)
        return undefined;
      await world.purge(ref, through);
      return `purge ${ref.key} through ${through}`;
    },
  },

  // — several processes —
  {
    weight: 0.4,
    where: "several",
    run: (world) => {
      const node = (world.chance.of(0.5) ? world.busyNode : undefined) ?? aNode(world);
      if (node === undefined) return undefined;
      world.kill(node);
      world.coverage.count("nodes died");
      return "a node dies";
    },
  },
  {
    weight: 0.2,
    where: "several",
    run: async (world) => {
      const node = aNode(world);
      if (node === undefined) return undefined;
      await world.drain(node);
      world.coverage.count("nodes left");
      return "a node leaves";
    },
  },
  {
    weight: 1,
    where: "several",
    run: (world) => {
      const node = world.nodes.find(({ clock }) => clock.paused) ?? aNode(world);
      if (node === undefined) return undefined;
      world.pause(node);
      return `a node ${node.clock.paused ? "stands still" : "goes on"}`;
    },
  },
  {
    weight: 1,
    where: "several",
    run: async (world) => {
      const owned = world.ownerOfHotRoom;
      if (owned === undefined) return undefined;
      const { node, roomId, tenantId } = owned;
      const { chance, weather } = world;
      world.mendCluster();
      if (chance.of(0.7)) Object.assign(weather, FAIR);
      await world.passDoubts();
      if (node.clock.paused) return undefined;
      world.pause(node);
      // Its leases run out, and others take what it had.
      await world.pass(chance.between(3_000, 8_000), true);
      const elsewhere = world.devicesAt(node, false).filter(({ tenantId: of, changes }) => {
        return of === tenantId && changes.size < MOST_CHANGES;
      });
      for (let said = 0; said < 4 && elsewhere.length > 0; said++) chance.pick(elsewhere).publish(roomId);
      await world.settle(true);
      await world.pass(chance.between(0, 4_000), true);
      const asking = world.devicesAt(node, true).filter((device) => device.tenantId === tenantId);
      for (const device of asking) {
        device.ask({ case: "call", value: { rpc: { case: "getHistory", value: { roomId, limit: 30 } } } });
        device.subscribe(roomId, true);
      }
      if (asking.length > 0 && node.clock.paused) world.coverage.count("nodes asked beyond their leases");
      if (chance.of(0.7)) await world.settle();
      if (node.clock.paused && chance.of(0.7)) world.pause(node);
      return `a node stands still and is asked for ${roomId}`;
    },
  },
  {
    weight: 0.7,
    where: "several",
    run: (world) => {
      world.splitLeases();
      return "the leases have two masters, or one again";
    },
  },
  {
    weight: 0.3,
    where: "several",
    run: (world) => {
      world.rollBackLeases();
      return "the leases are as they were";
    },
  },
  {
    weight: 0.4,
    where: "several",
    run: (world) => {
      world.moveShards();
      return "shards are to move";
    },
  },
  {
    weight: 0.15,
    where: "several",
    run: (world) => {
      world.emptyStore();
      return "the store of leases is emptied";
    },
  },
  {
    weight: 1,
    where: "several",
    run: (world) => {
      const node = aNode(world);
      if (node !== undefined) world.displace(node);
      return "a node loses or finds the leases";
    },
  },
  {
    weight: 1,
    where: "several",
    run: (world) => {
      const [one, other] = [aNode(world), aNode(world)];
      if (one !== undefined && other !== undefined) world.part(one, other);
      return "two nodes are parted or joined";
    },
  },
  {
    weight: 1,
    where: "several",
    run: (world) => {
      const node = aNode(world);
      if (node !== undefined) world.deafen(node);
      return "a node is deaf or hears again";
    },
  },

  // — the process —
  {
    weight: 0.3,
    where: "alone",
    run: (world) => {
      world.crash();
      return "crash";
    },
  },
  {
    weight: 0.15,
    where: "alone",
    run: async (world) => {
      if (world.nodes.length === 0) return undefined;
      await world.drain();
      world.coverage.count("drains");
      return "drain";
    },
  },
  {
    weight: 0.4,
    where: "alone",
    run: (world) => {
      world.takeBackup();
      return "backup";
    },
  },
  {
    weight: 0.15,
    where: "alone",
    run: (world) => {
      if (world.backup === undefined) return undefined;
      world.crash(world.backup);
      world.coverage.count("backups restored");
      return "restore";
    },
  },

  // — time —
  {
    weight: 8,
    run: async (world) => {
      const milliseconds = world.chance.between(100, 3_000);
      await world.pass(milliseconds, true);
      return `${milliseconds} ms`;
    },
  },
  {
    weight: 1,
    run: async (world) => {
      const milliseconds = world.chance.between(10_000, 60_000);
      await world.pass(milliseconds, true);
      return `${milliseconds} ms`;
    },
  },
  {
    weight: 0.015,
    run: async (world) => {
      await world.pass(12 * 60_000);
      return "12 minutes";
    },
  },
];

/** How often a step is followed by nothing at all: what comes next is then of the same turn. */
const SAME_TURN = 0.25;
/** How often a dead process is started again, per step: the only one, and one of several. */
const START = 0.3;
const START_ONE = 0.03;

const STEPS_ALONE = STEPS.filter(({ where }) => where !== "several");
const STEPS_OF_SEVERAL = STEPS.filter(({ where }) => where !== "alone");

export async function takeStep(world: World): Promise<void> {
  const { chance, trace } = world;
  if (world.nodes.length === 0 && chance.of(START)) {
    trace.step("start");
    await world.start();
    return;
  }
  if (world.isCluster) {
    world.noteLeases();
    world.letLateAppendsCome();
    if (world.places.length > 0 && chance.of(START_ONE)) {
      trace.step("a node starts");
      await world.start();
      return;
    }
  }
  trace.step(`@${world.time.nowMs}`);
  const step = chance.weighted(world.isCluster ? STEPS_OF_SEVERAL : STEPS_ALONE);
  const what = await step.run(world);
  if (what !== undefined) trace.note(what);
  if (chance.of(SAME_TURN)) return;
  await world.settle(true);
  await world.pass(chance.below(40), true);
}
