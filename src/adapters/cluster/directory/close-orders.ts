// Who is told to close a session, on whichever node it is: at once where its node is heard of, and when the node looks where it did not hear it.

import { CloseCode } from "../../../gen/trunkline/v1/error_pb.js";
import type { LocalSession, SessionSelector } from "../../../ports/session-directory.js";
import type { RedisCommands } from "../redis.js";
import type { Entry } from "./entry.js";
import { isAfter, KeptCloses, type Place } from "./kept-closes.js";
import type { DirectoryKeys } from "./keys.js";
import type { DirectoryReading } from "./reading.js";

/** How long a node is told to close a session that it may not have heard of, in milliseconds. */
const ORDER_MS = 60_000;
const MISSED = "the node was away for too long";

/** A session of this node. */
export interface Closable {
  readonly session: LocalSession;
  /** The last of the closes that were kept when it connected: those concern whoever was there before. Undefined: not known yet. */
  since: Place | undefined;
  /** It was told to close: once is enough. */
  closing: boolean;
}

export class CloseOrders {
  readonly #redis: RedisCommands;
  readonly #keys: DirectoryKeys;
  readonly #reading: DirectoryReading;
  readonly #closes: KeptCloses;
  readonly #nodeId: string;
  readonly #own: ReadonlyMap<string, Closable>;
  /** The last close that this node has looked at. */
  #lookedAt: Place = "0-0";

  /** `own`: this node's sessions. */
  constructor(
    redis: RedisCommands,
    keys: DirectoryKeys,
    reading: DirectoryReading,
    nodeId: string,
    own: ReadonlyMap<string, Closable>,
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#reading = reading;
    this.#closes = new KeptCloses(redis, keys.closes);
    this.#nodeId = nodeId;
    this.#own = own;
  }

  /** What was said before does not concern this node. */
  async start(): Promise<void> {
    this.#lookedAt = await this.#closes.last();
  }

  /** What was said until now: whoever was told to close and comes back is not meant. */
  latest(): Promise<Place> {
    const lookedAt = this.#lookedAt;
    return this.#closes.last().catch(() => lookedAt);
  }

  /** As SessionDirectory's. */
  async close(tenantId: string, which: SessionSelector, code: CloseCode, reason: string): Promise<number> {
    const selected = await this.#selected(tenantId, which);
    // For sessions that nobody sees now; one that is named and seen is told by its own node's orders.
    if ("userId" in which || selected.length === 0) await this.#closes.add(tenantId, which, code, reason);
    await Promise.all(selected.map(({ n, s }) => this.send(n, s, code, reason)));
    return selected.length;
  }

  /** Tells a node to close a session of its. */
  async send(nodeId: string, sessionId: string, code: CloseCode, reason: string): Promise<void> {
    const message = JSON.stringify({ sessionId, code, reason });
    // What is said may be lost on the way: the node looks here too.
    const orders = this.#keys.ordersTo(nodeId);
    await Promise.all([
      this.#redis.rpush(orders, message),
      this.#redis.pexpire(orders, ORDER_MS),
      this.#redis.spublish(this.#keys.channelOf(nodeId), message),
    ]);
  }

  /** Does what another node has sent. */
  receive(message: Buffer | string): void {
    const { sessionId, code, reason } = JSON.parse(message.toString()) as Record<string, unknown>;
    const own = this.#own.get(String(sessionId));
    if (own === undefined || own.closing) return;
    own.closing = true;
    own.session.close(Number(code), String(reason));
  }

  /** Does what was said to this node and it may not have heard, and what was said while others may not have seen its sessions. */
  async look(): Promise<void> {
    const orders = this.#keys.ordersTo(this.#nodeId);
    const said = await this.#redis.lrange(orders, 0, -1);
    for (const order of said) this.receive(order);
    if (said.length > 0) await this.#redis.ltrim(orders, said.length, -1);
    await this.#closeUnseen();
  }

  async #selected(tenantId: string, which: SessionSelector): Promise<readonly Entry[]> {
    if ("userId" in which) {
      const live = await this.#reading.live(tenantId, which.userId);
      return live.filter(({ d }) => isOn(d, which));
    }
    const userId = await this.#redis.get(this.#keys.session(tenantId, which.sessionId));
    if (userId === null) return [];
    const live = await this.#reading.live(tenantId, userId);
    return live.filter(({ s }) => s === which.sessionId);
  }

  async #closeUnseen(): Promise<void> {
    const { closes, lost } = await this.#closes.after(this.#lookedAt);
    const [first] = closes;
    const last = closes.at(-1);
    if (first === undefined || last === undefined) return;
    this.#lookedAt = last.at;
    const said = Map.groupBy(closes, ({ tenantId, which }) => subjectOf(tenantId, which));
    for (const own of [...this.#own.values()]) {
      const { since, session } = own;
      if (since === undefined || own.closing) continue;
      const { tenantId, userId, sessionId, device } = session;
      const ofUser = said.get(subjectOf(tenantId, { userId })) ?? [];
      const found = [...ofUser, ...(said.get(subjectOf(tenantId, { sessionId })) ?? [])].find(
        ({ at, which }) => isAfter(at, since) && ("sessionId" in which || isOn(device.deviceId, which)),
      );
      // Where it is not known who was meant everybody comes anew, and is looked at then.
      if (found === undefined && !(lost && isAfter(first.at, since))) continue;
      own.closing = true;
      session.close(found?.code ?? CloseCode.GOING_AWAY, found?.reason ?? MISSED);
    }
  }
}

/** Whether a user's device is among those that are meant. */
function isOn(deviceId: string, which: Extract<SessionSelector, { readonly userId: string }>): boolean {
  return (which.deviceId === undefined || deviceId === which.deviceId) && deviceId !== which.exceptDeviceId;
}

function subjectOf(tenantId: string, which: SessionSelector): string {
  return "sessionId" in which ? `${tenantId}/s/${which.sessionId}` : `${tenantId}/u/${which.userId}`;
}
