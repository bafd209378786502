// The fan-out of a cluster: one sharded pub/sub channel of Redis per room. Redis keeps nothing of it, and may lose any message: holes are
// found by seq, a lost last event by its room's top, a lost connection by `onGap`.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Redis } from "ioredis";
import { NoticedEventSchema, type RoomNotice, RoomNoticeSchema } from "../../gen/trunkline/cluster/v1/fanout_pb.js";
import type { Clock, Timer } from "../../ports/clock.js";
import { EncodedEvent } from "../../ports/encoded-event.js";
import { EncodedFrame } from "../../ports/encoded-frame.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Fanout, FanoutListener, FanoutSubscription, GapListener, SignalListener } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";

/** How often the way from a publish to the subscriber's connection is tried, in milliseconds. */
const PROBE_INTERVAL_MS = 2_000;
/** A subscriber's connection that has brought no probe for so long is dead, whatever TCP thinks, in milliseconds. */
const PROBE_DEADLINE_MS = 6_000;
/** Bytes of announcements on their way to Redis beyond which further ones are lost: their receivers find the holes. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

export interface RedisFanoutOptions {
  /** For publishing. Its owner ends it. */
  readonly publisher: Redis;
  /** For nothing but subscriptions, with `autoResubscribe: false`. Its owner ends it. */
  readonly subscriber: Redis;
  readonly clock: Clock;
  /** This incarnation of the node, unique in the cluster. */
  readonly nodeId: string;
  /** Of all channels, so that several clusters can share a Redis. */
  readonly prefix: string;
  /** Something could not be published, or the subscriber's connection was given up. */
  readonly onFault: (what: string, cause: unknown) => void;
}

interface Subscription {
  readonly listener: FanoutListener;
  readonly onSignal: SignalListener | undefined;
  readonly onGap: GapListener | undefined;
}

/** A room that somebody here listens to. */
interface Channel {
  readonly name: string;
  readonly subscriptions: Set<Subscription>;
  /** Resolves once Redis has the subscription; undefined: it has not. */
  ready: Promise<void> | undefined;
}

export class RedisFanout implements Fanout {
  readonly lossy = true;
  readonly #options: RedisFanoutOptions;
  readonly #roomPrefix: string;
  readonly #probeChannel: string;
  readonly #channels = new Map<string, Channel>();
  #outgoing: { readonly channel: string; readonly message: Buffer }[] = [];
  #waitingBytes = 0;
  /** When the last probe came back, monotonic; undefined: none has since the connection was made. */
  #probedAtMs: number | undefined;
  #connectedAtMs = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: RedisFanoutOptions) {
    this.#options = options;
    this.#roomPrefix = `${options.prefix}:room:`;
    this.#probeChannel = `${options.prefix}:probe:${options.nodeId}`;
  }

  /** Resolves once what is published reaches this node. Rejects with UNAVAILABLE. */
  async start(): Promise<void> {
    const { subscriber, clock } = this.#options;
    subscriber.on("smessageBuffer", this.#receive);
    subscriber.on("ready", this.#reconnected);
    this.#connectedAtMs = clock.monotonic();
    await this.#ask(this.#probeChannel);
    this.#probe();
  }

  /** Whether what is published has reached this node lately. */
  get available(): boolean {
    return this.#probedAtMs !== undefined && this.#options.clock.monotonic() - this.#probedAtMs < PROBE_DEADLINE_MS;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#options.subscriber.off("smessageBuffer", this.#receive);
    this.#options.subscriber.off("ready", this.#reconnected);
    this.#channels.clear();
    this.#outgoing = [];
  }

  announce(room: RoomRef, events: readonly EncodedEvent[]): void {
    // Those of this node need no detour.
    for (const { listener } of this.#subscriptionsOf(room)) listener(events);
    const noticed = events.map(({ seq, tag, bytes }) => create(NoticedEventSchema, { seq, tag, event: bytes }));
    this.#publish(room, create(RoomNoticeSchema, { nodeId: this.#options.nodeId, events: noticed }));
  }

  signal(room: RoomRef, frame: EncodedFrame): void {
    for (const { onSignal } of this.#subscriptionsOf(room)) onSignal?.(frame);
    this.#publish(room, create(RoomNoticeSchema, { nodeId: this.#options.nodeId, signal: frame.bytes }));
  }

  top(room: RoomRef, seq: number): void {
    for (const { onGap } of this.#subscriptionsOf(room)) onGap?.(seq);
    this.#publish(room, create(RoomNoticeSchema, { nodeId: this.#options.nodeId, top: seq }));
  }

  async subscribe(
    room: RoomRef,
    listener: FanoutListener,
    onSignal?: SignalListener,
    onGap?: GapListener,
  ): Promise<FanoutSubscription> {
    const name = this.#roomPrefix + room.key;
    const channel = this.#channels.get(name) ?? { name, subscriptions: new Set(), ready: undefined };
    this.#channels.set(name, channel);
    const subscription: Subscription = { listener, onSignal, onGap };
    // Counted from now on, so that nobody else unsubscribes; called once it has resolved.
    const waiting: Subscription = { listener: () => {}, onSignal: undefined, onGap: undefined };
    channel.subscriptions.add(waiting);
    try {
      channel.ready ??= this.#ask(name);
      await channel.ready;
    } catch (cause) {
      channel.ready = undefined;
      this.#leave(channel, waiting);
      throw unavailable("the fan-out is not reachable", cause);
    }
    channel.subscriptions.add(subscription);
    channel.subscriptions.delete(waiting);
    return { close: () => this.#leave(channel, subscription) };
  }

  #leave(channel: Channel, subscription: Subscription): void {
    if (!channel.subscriptions.delete(subscription) || channel.subscriptions.size > 0) return;
    if (this.#channels.get(channel.name) !== channel) return;
    this.#channels.delete(channel.name);
    // A connection that fails has no subscriptions any more either.
    this.#options.subscriber.sunsubscribe(channel.name).catch(ignore);
  }

  async #ask(name: string): Promise<void> {
    await this.#options.subscriber.ssubscribe(name);
  }

  #subscriptionsOf(room: RoomRef): Iterable<Subscription> {
    return this.#channels.get(this.#roomPrefix + room.key)?.subscriptions ?? NOBODY;
  }

  // — what goes out: everything of one turn in one write —

  #publish(room: RoomRef, notice: RoomNotice): void {
    if (this.#stopped) return;
    if (this.#waitingBytes > MAX_WAITING_BYTES) return;
    const bytes = toBinary(RoomNoticeSchema, notice);
    const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#outgoing.length === 0) queueMicrotask(() => this.#flush());
    this.#outgoing.push({ channel: this.#roomPrefix + room.key, message });
    this.#waitingBytes += message.length;
  }

  #flush(): void {
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    if (outgoing.length === 0) return;
    const bytes = outgoing.reduce((sum, { message }) => sum + message.length, 0);
    const pipeline = this.#options.publisher.pipeline();
    for (const { channel, message } of outgoing) pipeline.spublish(channel, message);
    pipeline
      .exec()
      .then((results) => {
        const failed = results?.find(([error]) => error !== null)?.[0];
        if (failed) this.#options.onFault("publish", failed);
      })
      .catch((cause: unknown) => this.#options.onFault("publish", cause))
      .finally(() => {
        this.#waitingBytes -= bytes;
      });
  }

  // — what comes in —

  readonly #receive = (name: Buffer, message: Buffer): void => {
    const channelName = name.toString("latin1");
    if (channelName === this.#probeChannel) {
      this.#probedAtMs = this.#options.clock.monotonic();
      return;
    }
    const channel = this.#channels.get(channelName);
    if (channel === undefined) return;
    let notice: RoomNotice;
    try {
      notice = fromBinary(RoomNoticeSchema, message);
    } catch (cause) {
      this.#options.onFault("receive", cause);
      return;
    }
    if (notice.nodeId === this.#options.nodeId) return;
    const { subscriptions } = channel;
    if (notice.events.length > 0) {
      // The bytes are a view of the message, which is nobody else's.
      const events = notice.events.map(({ seq, tag, event }) => new EncodedEvent(seq, tag, event));
      for (const { listener } of subscriptions) listener(events);
    }
    if (notice.signal.length > 0) {
      const frame = new EncodedFrame(notice.signal);
      for (const { onSignal } of subscriptions) onSignal?.(frame);
    }
    if (notice.top > 0) for (const { onGap } of subscriptions) onGap?.(notice.top);
  };

  /** The connection is there again: whatever was said meanwhile is lost. */
  readonly #reconnected = (): void => {
    this.#connectedAtMs = this.#options.clock.monotonic();
    this.#probedAtMs = undefined;
    for (const channel of this.#channels.values()) this.#askAgain(channel);
    this.#ask(this.#probeChannel).catch(ignore);
  };

  /** Whoever listens already is told that something may be missing; who still waits is not. */
  #askAgain(channel: Channel): void {
    const ready = this.#ask(channel.name);
    channel.ready = ready;
    ready.then(
      () => this.#missed(channel),
      // The next connection, or else the next probe, tries again.
      () => {
        if (channel.ready === ready) channel.ready = undefined;
      },
    );
  }

  #missed({ subscriptions }: Channel): void {
    for (const { onGap } of subscriptions) onGap?.(undefined);
  }

  // — whether the way is open: a connection can be dead for minutes before TCP says so —

  #probe(): void {
    if (this.#stopped) return;
    const { publisher, subscriber, clock, onFault } = this.#options;
    const sinceMs = clock.monotonic() - Math.max(this.#probedAtMs ?? 0, this.#connectedAtMs);
    if (sinceMs > PROBE_DEADLINE_MS && subscriber.status === "ready") {
      onFault("subscriber", new Error(`no probe for ${Math.round(sinceMs)} ms`));
      subscriber.disconnect(true);
    }
    publisher.spublish(this.#probeChannel, "").catch(ignore);
    if (subscriber.status === "ready") {
      for (const channel of this.#channels.values()) if (channel.ready === undefined) this.#askAgain(channel);
    }
    this.#timer = clock.after(PROBE_INTERVAL_MS, () => this.#probe());
  }
}

const NOBODY: readonly Subscription[] = [];

function unavailable(message: string, cause: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: 500, cause });
}

function ignore(): void {}
