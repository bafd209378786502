// What a user keeps for themselves, as folded from the events of their inbox: settings, and whom they have blocked.

import { create } from "@bufbuild/protobuf";
import {
  type UserDocument,
  UserDocumentSchema,
  type UserSetting,
  UserSettingSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import type { RoomEvent } from "../../gen/trunkline/v1/message_pb.js";

export class UserState {
  readonly settings = new Map<string, UserSetting>();
  readonly blocked = new Set<string>();

  constructor(document: UserDocument | undefined) {
    for (const setting of document?.settings ?? []) this.settings.set(setting.key, setting);
    for (const userId of document?.blocked ?? []) this.blocked.add(userId);
  }

  apply({ kind }: RoomEvent): void {
    switch (kind.case) {
      case "settingChanged": {
        const { key, value, version } = kind.value;
        if (value.length === 0) this.settings.delete(key);
        else this.settings.set(key, create(UserSettingSchema, { key, value, version }));
        return;
      }
      case "userBlocked":
        if (kind.value.blocked) this.blocked.add(kind.value.userId);
        else this.blocked.delete(kind.value.userId);
        return;
      default:
        return;
    }
  }

  document(): UserDocument {
    return create(UserDocumentSchema, { settings: [...this.settings.values()], blocked: [...this.blocked] });
  }
}
