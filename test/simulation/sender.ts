// A backend service that sends messages, to rooms and into inboxes, and sends again under the same key what was not answered.

import { create } from "@bufbuild/protobuf";
import type { Core } from "../../src/core/core.js";
import type { Caller } from "../../src/core/room/calls.js";
import {
  SendToRoomRequestSchema,
  type SendToRoomResponse,
  SendToUsersRequestSchema,
  type SendToUsersResponse,
} from "../../src/gen/trunkline/v1/delivery_pb.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { Checker } from "./checker.js";
import type { Coverage } from "./coverage.js";
import { placeOf } from "./link.js";
import type { SimulatedClock } from "./time.js";
import type { Trace } from "./trace.js";
import { Violation } from "./violation.js";

export interface SenderOptions {
  readonly name: string;
  readonly caller: Caller;
  readonly checker: Checker;
  readonly coverage: Coverage;
  readonly trace: Trace;
  readonly clock: SimulatedClock;
  readonly eventId: (roomId: string, userId: string, key: string) => string;
  readonly inboxOf: (userId: string) => string;
  /** One that can be asked; each time another, perhaps. */
  readonly core: () => Core | undefined;
  readonly isLive: (core: Core) => boolean;
  readonly absorb: () => void;
  readonly violated: (cause: unknown) => void;
}

/** A message that is not answered yet, or not for everybody. */
interface Sending {
  readonly key: string;
  readonly text: string;
  readonly asUserId: string;
  /** Of a message to a room. */
  readonly roomId: string | undefined;
  /** Of one to users: those without a place. */
  userIds: readonly string[];
  attempt: number;
  /** Who was asked last. */
  core: Core | undefined;
}

const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 30_000;
const RETRYABLE: ReadonlySet<string> = new Set(["UNAVAILABLE", "RATE_LIMITED", "LIMIT_EXCEEDED", "DEADLINE"]);

export class Sender {
  readonly name: string;
  readonly #options: SenderOptions;
  readonly #sending = new Map<string, Sending>();
  #keys = 0;

  constructor(options: SenderOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get quiet(): boolean {
    return this.#sending.size === 0;
  }

  /** Ids of events that may still come of what was sent to a room. */
  awaited(roomId: string): readonly string[] {
    return [...this.#sending.values()]
      .filter((each) => each.roomId === roomId || each.userIds.some((user) => this.#options.inboxOf(user) === roomId))
      .map(({ key }) => this.#id(roomId, key));
  }

  /** `asUserId`: in whose name; empty: in the service's own. */
  toRoom(roomId: string, asUserId: string): void {
    this.#begin({ roomId, asUserId, userIds: [] });
  }

  toUsers(userIds: readonly string[]): void {
    this.#begin({ roomId: undefined, asUserId: "", userIds });
  }

  /** The process that was asked has died: whatever it has not answered is sent to the next one. */
  lost(core: Core): void {
    for (const sending of this.#sending.values()) if (sending.core === core) this.#later(sending);
  }

  #begin(what: Pick<Sending, "roomId" | "asUserId" | "userIds">): void {
    const key = `${this.name}-${++this.#keys}`;
    const sending = { ...what, key, text: `said by ${key}`, attempt: 0, core: undefined };
    this.#sending.set(key, sending);
    this.#send(sending);
  }

  #send(sending: Sending): void {
    const { core, isLive, caller, coverage } = this.#options;
    const node = core();
    if (node === undefined) {
      this.#later(sending);
      return;
    }
    sending.core = node;
    const attempt = ++sending.attempt;
    if (attempt > 1) coverage.count("services sent again");
    const { key, text, roomId, asUserId, userIds } = sending;
    const body = { kind: { case: "text" as const, value: text } };
    const current = <T>(then: (answer: T) => void) => {
      return (answer: T): void => {
        if (sending.attempt !== attempt || this.#sending.get(key) !== sending || !isLive(node)) return;
        try {
          this.#options.absorb();
          then(answer);
        } catch (cause) {
          this.#options.violated(cause);
        }
      };
    };
    if (roomId !== undefined) {
      const request = create(SendToRoomRequestSchema, { roomId, key, attempt, asUserId, body });
      node.delivery.sendToRoom(caller, request).then(
        current((answer: SendToRoomResponse) => this.#sentToRoom(sending, roomId, answer)),
        current((cause: unknown) => this.#refused(sending, roomId, cause)),
      );
    } else {
      const request = create(SendToUsersRequestSchema, { userIds: [...userIds], key, attempt, body });
      node.delivery.sendToUsers(caller, request).then(
        current((answer: SendToUsersResponse) => this.#sentToUsers(sending, answer)),
        current((cause: unknown) => this.#refused(sending, undefined, cause)),
      );
    }
  }

  #sentToRoom(sending: Sending, roomId: string, { messageId, position }: SendToRoomResponse): void {
    this.#sending.delete(sending.key);
    this.#options.coverage.count("services sent to rooms");
    this.#acknowledged(sending, roomId, position);
    if (messageId !== this.#id(roomId, sending.key))
      throw new Violation("different", `${sending.key} got another's id`);
  }

  #sentToUsers(sending: Sending, { results }: SendToUsersResponse): void {
    const { checker, coverage, inboxOf } = this.#options;
    const again: string[] = [];
    for (const { userId, position, errorReason } of results) {
      if (position !== undefined) {
        coverage.count("services sent to users");
        this.#acknowledged(sending, inboxOf(userId), position);
      } else if (RETRYABLE.has(errorReason)) again.push(userId);
      else checker.refused(this.#key(inboxOf(userId)), this.#id(inboxOf(userId), sending.key));
    }
    sending.userIds = again;
    if (again.length === 0) this.#sending.delete(sending.key);
    else this.#later(sending);
  }

  #acknowledged({ key, text }: Sending, roomId: string, position: SendToRoomResponse["position"]): void {
    const eventId = this.#id(roomId, key);
    const roomKey = this.#key(roomId);
    this.#options.checker.acknowledged({ ...placeOf(position), roomKey, eventId, clientMessageId: key, text });
  }

  #refused(sending: Sending, roomId: string | undefined, cause: unknown): void {
    const { checker, coverage, trace } = this.#options;
    const { code, retryable, retryAfterMs, message } = TrunklineError.from(cause);
    trace.note(`${sending.key} refused ${ErrorCode[code]} ${message}`);
    if (code === ErrorCode.INTERNAL) throw cause;
    if (retryable) {
      this.#later(sending, retryAfterMs);
      return;
    }
    coverage.count("services refused for good");
    this.#sending.delete(sending.key);
    if (roomId !== undefined) checker.refused(this.#key(roomId), this.#id(roomId, sending.key));
  }

  #later(sending: Sending, retryAfterMs = 0): void {
    const { attempt } = sending;
    const delayMs = Math.max(retryAfterMs, Math.min(RETRY_FIRST_MS * 2 ** (attempt - 1), RETRY_LAST_MS));
    this.#options.clock.after(delayMs, () => {
      if (this.#sending.get(sending.key) === sending && sending.attempt === attempt) this.#send(sending);
    });
  }

  #id(roomId: string, key: string): string {
    return this.#options.eventId(roomId, this.#options.caller.identity.userId, key);
  }

  #key(roomId: string): string {
    return `${this.#options.caller.identity.tenantId}/${roomId}`;
  }
}
