// What a backend service follows: the last state of each user waits for it, never more.

import { create } from "@bufbuild/protobuf";
import { type WatchPresenceResponse, WatchPresenceResponseSchema } from "../../gen/trunkline/v1/presence_pb.js";
import type { Presence } from "../../gen/trunkline/v1/session_pb.js";
import type { Clock, Timer } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { PresenceHub, PresenceReader } from "./hub.js";

/** Timers reach 24 days; a token's end beyond is looked at again. */
const LONGEST_WAIT_MS = 24 * 3_600_000;

export class ServiceStream implements PresenceReader {
  readonly heedsBlocks = false;
  readonly identity: Identity;
  readonly #userIds: ReadonlySet<string>;
  readonly #hub: PresenceHub;
  readonly #clock: Clock;
  readonly #stallMs: number;
  readonly #onClose: (stream: ServiceStream) => void;
  #changes = new Map<string, Presence>();
  #snapshot: readonly Presence[] | undefined;
  #waiting: PromiseWithResolvers<WatchPresenceResponse | undefined> | undefined;
  #stall: Timer | undefined;
  #expiry: Timer | undefined;
  #ended: { readonly error: TrunklineError | undefined } | undefined;

  constructor(
    identity: Identity,
    userIds: ReadonlySet<string>,
    hub: PresenceHub,
    clock: Clock,
    stallMs: number,
    onClose: (stream: ServiceStream) => void,
  ) {
    this.identity = identity;
    this.#userIds = userIds;
    this.#hub = hub;
    this.#clock = clock;
    this.#stallMs = stallMs;
    this.#onClose = onClose;
    this.#armExpiry();
  }

  async open(): Promise<void> {
    await Promise.all(Array.from(this.#userIds, (userId) => this.#hub.watch(this.identity.tenantId, userId, this)));
  }

  /** What the stream begins with. */
  begin(presences: readonly Presence[]): void {
    this.#snapshot = presences;
    this.flush();
  }

  /** The next response: the snapshot, then the last state of each user that has changed. Undefined: it has ended. One call at a time. */
  next(): Promise<WatchPresenceResponse | undefined> {
    this.#stall?.cancel();
    this.#stall = undefined;
    if (this.#ended !== undefined) {
      return this.#ended.error === undefined ? Promise.resolve(undefined) : Promise.reject(this.#ended.error);
    }
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.flush();
    return promise;
  }

  end(error: TrunklineError | undefined): void {
    if (this.#ended !== undefined) return;
    this.#ended = { error };
    this.#stall?.cancel();
    this.#expiry?.cancel();
    this.#changes.clear();
    for (const userId of this.#userIds) this.#hub.unwatch(this.identity.tenantId, userId, this);
    this.#onClose(this);
    if (error === undefined) this.#waiting?.resolve(undefined);
    else this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  collect(presence: Presence): void {
    this.#changes.set(presence.userId, presence);
  }

  blockChanged(): void {}

  flush(): void {
    if (this.#ended !== undefined || (this.#snapshot === undefined && this.#changes.size === 0)) return;
    if (this.#waiting === undefined) {
      const slow = new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "nothing was read while changes waited");
      this.#stall ??= this.#clock.after(this.#stallMs, () => this.end(slow));
      return;
    }
    const snapshot = this.#snapshot;
    const presences = snapshot ?? this.#changes.values();
    this.#snapshot = undefined;
    if (snapshot === undefined) this.#changes = new Map();
    const response = create(WatchPresenceResponseSchema, {
      presences: [...presences],
      snapshot: snapshot !== undefined,
    });
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting.resolve(response);
  }

  #armExpiry(): void {
    const { expiresAtMs } = this.identity;
    if (expiresAtMs === undefined) return;
    const waitMs = Math.min(Math.max(expiresAtMs - this.#clock.now(), 0), LONGEST_WAIT_MS);
    this.#expiry = this.#clock.after(waitMs, () => {
      if (expiresAtMs > this.#clock.now()) this.#armExpiry();
      else this.end(new TrunklineError(ErrorCode.TOKEN_EXPIRED, "the token has expired"));
    });
  }
}
