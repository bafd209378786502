// What a room's turn asks of the limits.

import type { CoreDependencies } from "../core.js";
import { quotaRefusal } from "../limit/quota.js";
import { rateLimited } from "../limit/refusal.js";
import type { TurnContext } from "./room.js";

type Rules = Pick<TurnContext, "limited" | "crowded">;

export function turnRules({ telemetry, tenants }: Pick<CoreDependencies, "telemetry" | "tenants">): Rules {
  return {
    limited: (operation, waitMs) => {
      telemetry.emit("limit.refused", { scope: "room", operation });
      return rateLimited("room", operation, waitMs);
    },
    crowded: ({ tenantId }, current, more) => {
      const { maxMembersPerRoom: limit } = tenants.of(tenantId);
      if (current + more <= limit) return undefined;
      const message = "the room would have too many members";
      return quotaRefusal(telemetry, tenantId, "members_per_room", { message, limit, current });
    },
  };
}
