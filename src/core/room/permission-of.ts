// The permission that a command takes.

import { type Message, Permission, Role } from "../../gen/trunkline/v1/message_pb.js";
import type { Caller } from "./calls.js";
import type { Command } from "./command.js";
import { isService } from "./permissions.js";
import type { RoomState } from "./state.js";

/** The first permission that decides about it, to join being to read; undefined: none does. */
export function permissionOf(state: RoomState, caller: Caller, command: Command): Permission | undefined {
  switch (command.kind) {
    case "publish":
      return Permission.PUBLISH;
    case "edit":
    case "deleteMessage": {
      const message = state.messages.get(command.messageId);
      // That there is none is for readers to know.
      if (message === undefined) return Permission.READ;
      return command.kind === "edit"
        ? changeOf(message, caller, Permission.EDIT_OWN, Permission.EDIT_ANY)
        : changeOf(message, caller, Permission.DELETE_OWN, Permission.DELETE_ANY);
    }
    case "react":
      return Permission.REACT;
    case "pin":
      return Permission.PIN;
    case "update":
      return Permission.UPDATE_ROOM;
    case "delete":
      return Permission.DELETE_ROOM;
    case "join":
      return Permission.READ;
    case "add":
      return Permission.INVITE;
    case "remove":
      return Permission.REMOVE;
    case "set":
      return command.role === Role.UNSPECIFIED && command.overrides === undefined
        ? Permission.REMOVE
        : Permission.SET_ROLES;
    case "leave":
    case "create":
    case "admit":
    case "expel":
    case "tell":
    case "deliver":
    case "openInbox":
    case "archiveIdle":
    case "setSettings":
    case "block":
    case "hide":
      return undefined;
  }
}

/** The permission that changing a message takes. Anybody's, for a service, includes its own. */
export function changeOf(message: Message, { identity }: Caller, own: Permission, any: Permission): Permission {
  return message.sender?.userId === identity.userId && !isService(identity) ? own : any;
}
