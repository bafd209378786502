// Receivers and publisher for the peers, on the same cheap sockets that Trunkline is measured with.

import { connectPeer } from "../client/peer.js";
import type { PeerTarget } from "../target.js";
import { messageText } from "../wire/message-text.js";
import { createReadBuffer } from "../wire/websocket.js";
import { countMessages, type FanoutRoom } from "./fanout-room.js";
import { mapPooled } from "./pool.js";
import type { Tally } from "./tally.js";

const CONNECTING_AT_ONCE = 100;
const ROOM = "fanout";

/** Connects everybody to one room. */
export async function openPeerRoom(
  target: PeerTarget,
  members: number,
  tally: Tally,
  fail: (reason: string) => void,
): Promise<FanoutRoom> {
  const readBuffer = createReadBuffer();
  const receivers = await mapPooled(members, CONNECTING_AT_ONCE, (receiver) =>
    connectPeer(target, {
      room: ROOM,
      readBuffer,
      message: (buffer, start, end) => countMessages(tally, receiver, buffer, start, end),
      closed: (reason) => fail(`receiver ${receiver}: ${reason}`),
    }),
  );
  const publisher = await connectPeer(target, {
    readBuffer,
    message: () => undefined,
    closed: (reason) => fail(`publisher: ${reason}`),
  });
  return {
    publish: (n) => publisher.publish(ROOM, messageText(n)),
    close() {
      for (const receiver of receivers) receiver.destroy();
      publisher.destroy();
    },
  };
}
