// Commands of services that come without a call: each is the call of DeliveryService that it stands for, with its rights and limits.

import type { DeliveryService, SendToUserResult } from "../../gen/trunkline/v1/delivery_pb.js";
import type { InboundCommand } from "../../gen/trunkline/v1/inbound_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { InboundDoor } from "../../ports/inbound.js";
import type { Caller } from "../room/calls.js";
import type { ServiceCalls } from "../service-calls.js";
import * as validate from "../validate.js";

/** Whoever hands a command over may have done so before, at any time: its key is looked up as far back as there is anything. */
const ATTEMPT = 2;
/** Users whom a refusal names. */
const NAMED_USERS = 10;
const GRANTS: ReadonlySet<string> = new Set(["service"]);

/** The calls that commands stand for. */
export type InboundCalls = Pick<
  ServiceCalls<typeof DeliveryService>,
  "sendToRoom" | "sendToUsers" | "signal" | "editMessage" | "deleteMessage"
>;

export class Inbound implements InboundDoor {
  readonly #calls: InboundCalls;

  constructor(calls: InboundCalls) {
    this.#calls = calls;
  }

  async take(inbound: InboundCommand, key: string): Promise<void> {
    const caller = callerOf(inbound);
    const { command } = inbound;
    if (command.case === undefined) throw TrunklineError.invalid("command", "is required");
    try {
      await this.#call(caller, command, key);
    } catch (cause) {
      throw within(FIELDS[command.case], TrunklineError.from(cause));
    }
  }

  async #call(caller: Caller, command: Asked, key: string): Promise<void> {
    switch (command.case) {
      case "sendToRoom":
        await this.#calls.sendToRoom(caller, keyed(command.value, key));
        return;
      case "sendToUsers": {
        const { results } = await this.#calls.sendToUsers(caller, keyed(command.value, key));
        requireStored(results);
        return;
      }
      case "signal":
        await this.#calls.signal(caller, command.value);
        return;
      case "editMessage":
        await this.#calls.editMessage(caller, keyed(command.value, key));
        return;
      case "deleteMessage":
        await this.#calls.deleteMessage(caller, keyed(command.value, key));
    }
  }
}

type Asked = Exclude<InboundCommand["command"], { case: undefined }>;

/** What each is called in the contract. */
const FIELDS: Readonly<Record<Asked["case"], string>> = {
  sendToRoom: "send_to_room",
  sendToUsers: "send_to_users",
  signal: "signal",
  editMessage: "edit_message",
  deleteMessage: "delete_message",
};

function callerOf({ tenantId, serviceId }: InboundCommand): Caller {
  validate.validateId("tenant_id", tenantId);
  validate.validateId("service_id", serviceId);
  const identity = {
    tenantId,
    userId: serviceId,
    displayName: "",
    grants: GRANTS,
    expiresAtMs: undefined,
    tokenId: "",
  };
  return { identity, deviceId: "" };
}

function keyed<R extends { readonly key: string; readonly attempt: number }>(request: R, key: string): R {
  return { ...request, key: request.key === "" ? key : request.key, attempt: ATTEMPT };
}

/** What may still be stored for somebody comes first: once nothing is, the refusal is final. */
const FIRST: readonly ErrorCode[] = [
  ErrorCode.UNAVAILABLE,
  ErrorCode.DEADLINE,
  ErrorCode.RATE_LIMITED,
  ErrorCode.INTERNAL,
];

/** Throws unless every user has the message. */
function requireStored(results: readonly SendToUserResult[]): void {
  const refused = results.flatMap(({ userId, errorReason }, index) =>
    errorReason === "" ? [] : [{ userId, index, errorReason, code: codeOf(errorReason) }],
  );
  const [first] = refused;
  if (first === undefined) return;
  const code = FIRST.find((each) => refused.some((one) => one.code === each)) ?? first.code;
  const named = refused.slice(0, NAMED_USERS).map(({ userId, errorReason }) => `${userId} ${errorReason}`);
  if (refused.length > named.length) named.push("…");
  const index = refused.find((each) => each.code === code)?.index ?? first.index;
  const message = `refused for ${refused.length} of ${results.length} users: ${named.join(", ")}`;
  throw new TrunklineError(code, message, { field: `user_ids[${index}]` });
}

function codeOf(reason: string): ErrorCode {
  const code = Object.entries(ErrorCode).find(([name]) => name === reason)?.[1];
  return typeof code === "number" ? code : ErrorCode.INTERNAL;
}

/** The same error about a field of the message that is this field. */
function within(
  parent: string,
  { code, message, field, details, retryAfterMs, cause }: TrunklineError,
): TrunklineError {
  return new TrunklineError(code, message, {
    field: field === "" ? parent : `${parent}.${field}`,
    details,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(cause !== undefined && { cause }),
  });
}
