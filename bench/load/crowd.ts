// A crowd in small rooms: everybody is in one of them, subscribed, and counts the frames of one kind; one member of each room decodes them.

import { createRoom } from "../client/rooms.js";
import { openSession, type Session } from "../client/session.js";
import { createTokens } from "../client/tokens.js";
import { dialBinary } from "../client/wire.js";
import type { TrunklineTarget } from "../target.js";
import { createReadBuffer } from "../wire/websocket.js";
import { mapPooled } from "./pool.js";

/** Connections that are being opened at once. */
export const CONNECTING_AT_ONCE = 100;
const PREFIX = "member-";

export interface CrowdInput {
  readonly target: TrunklineTarget;
  readonly rooms: number;
  readonly membersPerRoom: number;
}

/** What the members get. */
export interface CrowdWatch {
  /** Frames, over all members. */
  deliveries: number;
  /** The first failure of a connection. */
  failed: string | undefined;
  /** Each of one member's frames, of each room. */
  decode(frame: Uint8Array): void;
}

export interface CrowdMember {
  readonly session: Session;
  readonly roomId: string;
}

/** Makes the rooms and connects everybody. `tag`: the first byte of the frames that are counted. */
export async function openCrowd(
  { target, rooms, membersPerRoom }: CrowdInput,
  tag: number,
  watch: CrowdWatch,
): Promise<readonly CrowdMember[]> {
  const tokens = await createTokens(target.keyFile);
  const dial = dialBinary({ port: target.webPort, readBuffer: createReadBuffer() });
  const fail = (reason: string) => {
    watch.failed ??= reason;
  };
  const host = await openSession(dial, {
    token: await tokens("host"),
    deviceId: "host",
    attempt: 1,
    rooms: [],
    failed: fail,
  });
  await mapPooled(rooms, host.maxInFlight, (room) =>
    createRoom(
      host,
      `room-${room}`,
      Array.from({ length: membersPerRoom }, (_, at) => `${PREFIX}${at * rooms + room}`),
    ),
  );
  host.destroy();
  return mapPooled(rooms * membersPerRoom, CONNECTING_AT_ONCE, async (at) => {
    const roomId = `room-${at % rooms}`;
    const decodes = at < rooms;
    const session = await openSession(dial, {
      token: await tokens(`${PREFIX}${at}`),
      deviceId: `device-${at}`,
      attempt: 1,
      rooms: [{ roomId }],
      raw(buffer, start, end) {
        if (buffer[start] !== tag) return false;
        watch.deliveries++;
        if (decodes) watch.decode(buffer.subarray(start, end));
        return true;
      },
      failed: (reason) => fail(`member ${at}: ${reason}`),
    });
    return { session, roomId };
  });
}

/** Which of the crowd a user is. */
export function memberAt(userId: string | undefined): number {
  return Number(userId?.slice(PREFIX.length));
}
