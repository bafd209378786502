// Where the application's hooks have a say, and what follows where they do not answer.

import type { RoomKind } from "../../gen/trunkline/v1/message_pb.js";
import type { AccessHook } from "../../ports/access-hook.js";
import type { PublishHook } from "../../ports/publish-hook.js";

/** Of what is published. */
export interface PublishHookRules {
  readonly hook: PublishHook;
  /** What happens to a message that nobody answers for: "closed" refuses it as UNAVAILABLE, "open" publishes it. */
  readonly failure: "open" | "closed";
  /** Whether it is asked for what services send too. */
  readonly services: boolean;
  readonly roomKinds: ReadonlySet<RoomKind>;
  /** Kinds of bodies; undefined: all. */
  readonly bodies: ReadonlySet<string> | undefined;
  /** Undefined: all. */
  readonly tenants: ReadonlySet<string> | undefined;
}

/** Of who is in a room, and may do what. */
export interface AccessHookRules {
  readonly hook: AccessHook;
  /** Without an answer: "closed" refuses as UNAVAILABLE, "open" lets members do what their role allows. */
  readonly failure: "open" | "closed";
  readonly roomKinds: ReadonlySet<RoomKind>;
  /** Undefined: all. */
  readonly tenants: ReadonlySet<string> | undefined;
}
