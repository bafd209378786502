// The methods of RoomService about what a user keeps for themselves: each change is a command to the user's own inbox.

import { create } from "@bufbuild/protobuf";
import type { UserSetting } from "../../gen/trunkline/store/v1/documents_pb.js";
import * as rpc from "../../gen/trunkline/v1/room_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { CoreDependencies } from "../core.js";
import { validateLevel } from "../notify/levels.js";
import { pageSize, validateId, validateOptionalId } from "../validate.js";
import type { Caller } from "./calls.js";
import type { Command, Outcome } from "./command.js";
import { inboxRef } from "./inbox.js";
import type { RoomOwner } from "./owner.js";
import type { RoomReader } from "./reader.js";

/** Settings named in one call. */
const MAX_SETTINGS = 200;
const MAX_VALUE_BYTES = 8 * 1024;
const BLOCKED_PAGE = { usual: 100, most: 500 };

export class UserService {
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;
  readonly #reader: RoomReader;

  constructor(deps: CoreDependencies, owner: RoomOwner, reader: RoomReader) {
    this.#deps = deps;
    this.#owner = owner;
    this.#reader = reader;
  }

  async getSettings(caller: Caller, { keys }: rpc.GetSettingsRequest): Promise<rpc.GetSettingsResponse> {
    if (keys.length > MAX_SETTINGS) throw TrunklineError.tooLarge("keys", MAX_SETTINGS, "settings");
    for (const [index, key] of keys.entries()) validateId(`keys[${index}]`, key);
    return create(rpc.GetSettingsResponseSchema, { settings: await this.#settings(caller, keys) });
  }

  async setSettings(caller: Caller, request: rpc.SetSettingsRequest): Promise<rpc.SetSettingsResponse> {
    const { settings, key, attempt } = request;
    if (settings.length === 0) throw TrunklineError.invalid("settings", "is empty");
    if (settings.length > MAX_SETTINGS) throw TrunklineError.tooLarge("settings", MAX_SETTINGS, "settings");
    const named = new Set<string>();
    for (const [index, setting] of settings.entries()) {
      const field = `settings[${index}]`;
      validateId(`${field}.key`, setting.key);
      if (setting.value.length > MAX_VALUE_BYTES) throw TrunklineError.tooLarge(`${field}.value`, MAX_VALUE_BYTES);
      validateLevel(`${field}.value`, setting.key, setting.value);
      if (named.has(setting.key)) throw TrunklineError.invalid(`${field}.key`, "is named twice");
      named.add(setting.key);
    }
    validateId("key", key);
    await this.#submit(caller, {
      kind: "setSettings",
      key,
      attempt,
      settings: settings.map((setting) => ({
        key: setting.key,
        value: setting.value,
        baseVersion: setting.version,
      })),
    });
    return create(rpc.SetSettingsResponseSchema, { settings: await this.#settings(caller, [...named]) });
  }

  async blockUser(caller: Caller, request: rpc.BlockUserRequest): Promise<rpc.BlockUserResponse> {
    const { userId: other, blocked, key, attempt } = request;
    validateId("user_id", other);
    validateId("key", key);
    if (other === caller.identity.userId) throw TrunklineError.invalid("user_id", "is yourself");
    await this.#submit(caller, { kind: "block", key, attempt, other, blocked });
    await this.#owner.notices.changed(caller.identity.tenantId, caller.identity.userId);
    return create(rpc.BlockUserResponseSchema);
  }

  async listBlockedUsers(caller: Caller, request: rpc.ListBlockedUsersRequest): Promise<rpc.ListBlockedUsersResponse> {
    validateOptionalId("page_token", request.pageToken);
    const limit = pageSize("page_size", request.pageSize, BLOCKED_PAGE);
    const { tenantId, userId } = caller.identity;
    const blocked = await this.#owner.blocks.blockedBy(tenantId, userId);
    const after = [...blocked].filter((other) => other > request.pageToken).sort();
    const userIds = after.slice(0, limit);
    const nextPageToken = after.length > limit ? (userIds.at(-1) ?? "") : "";
    return create(rpc.ListBlockedUsersResponseSchema, { userIds, nextPageToken });
  }

  async hideMessage(caller: Caller, request: rpc.HideMessageRequest): Promise<rpc.HideMessageResponse> {
    const { roomId, messageId, key, attempt } = request;
    validateId("message_id", messageId);
    validateId("key", key);
    const message = await this.#reader.readableMessage(caller, roomId, messageId);
    if (message === undefined) {
      throw new TrunklineError(ErrorCode.NOT_FOUND, "there is no such message in the room", { field: "message_id" });
    }
    const { messageIndex } = message;
    const hidden = await this.#deps.archive.hidden(this.#inbox(caller), roomId, messageIndex, messageIndex);
    if (hidden.length === 0) {
      await this.#submit(caller, { kind: "hide", key, attempt, roomId, messageId, messageIndex });
    }
    return create(rpc.HideMessageResponseSchema);
  }

  /** Those of the settings that are set, by key. `keys` empty: all. */
  #settings(caller: Caller, keys: readonly string[]): Promise<rpc.Setting[]> {
    return this.#owner.view(this.#inbox(caller), [], ({ state }) => {
      const { settings } = state.user;
      const named = keys.length === 0 ? [...settings.keys()] : [...new Set(keys)];
      return named
        .sort()
        .flatMap((key) => settings.get(key) ?? [])
        .map(({ key, value, version }: UserSetting) => create(rpc.SettingSchema, { key, value, version }));
    });
  }

  #submit(caller: Caller, command: Command): Promise<Outcome> {
    return this.#owner.submit(this.#inbox(caller), caller, command).outcome;
  }

  #inbox({ identity }: Caller) {
    return inboxRef(this.#deps.ids, identity.tenantId, identity.userId);
  }
}
