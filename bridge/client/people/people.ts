// What the client shows of people beyond single rooms: who is there, which rooms there are, and how far everybody has come.

import type { Actor, ClientFrame, ServerFrame, Welcome } from "../gen/types.js";
import type { Platform } from "../platform.js";
import type { Room } from "../room/room.js";
import { RoomList } from "../rooms/list.js";
import { Marks } from "./marks.js";
import { ClientPresence } from "./presence.js";

export interface PeopleContext {
  readonly platform: Platform;
  readonly request: (frame: ClientFrame, answered?: (frame: ServerFrame) => void) => Promise<ServerFrame>;
  readonly post: (frame: ClientFrame) => void;
  /** Of the live connection. */
  readonly welcome: () => Welcome | undefined;
  readonly live: () => boolean;
  /** The user that was last connected. */
  readonly self: () => Actor;
  readonly room: (roomId: string) => Room;
  /** Those that somebody has asked for. */
  readonly rooms: () => Iterable<Room>;
}

export class People {
  readonly presence: ClientPresence;
  readonly list: RoomList;
  readonly marks: Marks;
  readonly #context: PeopleContext;
  /** Of the connection before. */
  #user: string | undefined;

  constructor(context: PeopleContext) {
    this.#context = context;
    this.presence = new ClientPresence(context);
    this.marks = new Marks(context);
    this.list = new RoomList(context);
  }

  welcomed(welcome: Welcome): void {
    const { tenantId, userId } = welcome;
    const user = `${tenantId} ${userId}`;
    const other = this.#user !== undefined && this.#user !== user;
    this.#user = user;
    if (other) this.presence.forget();
    for (const { receipts } of this.#context.rooms()) {
      // What the user before has read is nothing that this one has.
      if (other) receipts.reset();
      receipts.welcomed();
    }
    this.marks.welcomed();
    this.presence.welcomed(welcome);
    this.list.welcomed();
  }

  disconnected(): void {
    this.marks.disconnected();
    this.presence.disconnected();
    this.list.disconnected();
  }

  /** After the rooms have it. */
  pushed(frame: ServerFrame): void {
    const { presenceChanges, receiptPrivacy } = frame;
    if (presenceChanges !== undefined) this.presence.changed(presenceChanges);
    else if (receiptPrivacy !== undefined) {
      for (const { receipts } of this.#context.rooms()) receipts.privacy(receiptPrivacy.hidden ?? false);
    } else this.list.pushed(frame);
  }
}
