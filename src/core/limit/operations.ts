// Which class of operations a request belongs to.

import type { RoomRequest } from "../room/calls.js";
import type { Command } from "../room/command.js";
import type { OperationClass } from "./rates.js";

const OF_CALL: Readonly<Record<RoomRequest["case"], OperationClass>> = {
  createRoom: "administer",
  getRoom: "read",
  updateRoom: "administer",
  deleteRoom: "administer",
  joinRoom: "administer",
  leaveRoom: "administer",
  addMembers: "administer",
  removeMember: "administer",
  setMember: "administer",
  listMembers: "read",
  listRooms: "read",
  getHistory: "read",
  getEvents: "read",
  getReceipts: "read",
  listMarkers: "read",
  getReceiptPrivacy: "read",
  setReceiptPrivacy: "settings",
  pinMessage: "edit",
  hideMessage: "settings",
  blockUser: "settings",
  listBlockedUsers: "read",
  listDevices: "read",
  closeDevice: "settings",
  getSettings: "read",
  setSettings: "settings",
};

/** The class of a method of RoomService. */
export function classOfCall(method: RoomRequest["case"]): OperationClass {
  return OF_CALL[method];
}

/** Undefined: of the user's own inbox, which there is nobody to be kept from; or what the application has decided about a member. */
const OF_COMMAND: Readonly<Record<Command["kind"], OperationClass | undefined>> = {
  publish: "publish",
  deliver: "publish",
  edit: "edit",
  deleteMessage: "edit",
  react: "edit",
  pin: "edit",
  create: "administer",
  update: "administer",
  delete: "administer",
  join: "administer",
  leave: "administer",
  add: "administer",
  remove: "administer",
  set: "administer",
  admit: undefined,
  expel: undefined,
  tell: undefined,
  deleteWithRoot: undefined,
  archiveIdle: undefined,
  openInbox: undefined,
  setSettings: undefined,
  block: undefined,
  hide: undefined,
};

/** The class whose bucket of the room a command takes from. */
export function classOfCommand(kind: Command["kind"]): OperationClass | undefined {
  return OF_COMMAND[kind];
}
