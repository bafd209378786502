// The fan-out of a cluster: one sharded pub/sub channel of Redis per room, those of a shard in one hash slot. Redis keeps nothing of it, and
// may lose any message: holes are found by seq, a lost last event by its room's top, a lost subscription by `onGap`.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Cluster } from "ioredis";
import { NoticedEventSchema, type RoomNotice, RoomNoticeSchema } from "../../gen/trunkline/cluster/v1/fanout_pb.js";
import { EncodedEvent } from "../../ports/encoded-event.js";
import { EncodedFrame } from "../../ports/encoded-frame.js";
import type { Fanout, FanoutListener, FanoutSubscription, GapListener, SignalListener } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { RedisCommands } from "./redis.js";
import type { ChannelSubscription, RedisChannels } from "./redis-channels.js";

/** Bytes of announcements on their way to Redis beyond which further ones are lost: their receivers find the holes. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

export interface RedisFanoutOptions {
  /** For publishing. Its owner ends it. */
  readonly publisher: RedisCommands;
  /** Its owner stops it. */
  readonly channels: Pick<RedisChannels, "subscribe">;
  /** This incarnation of the node, unique in the cluster. */
  readonly nodeId: string;
  /** Of all channels, so that several clusters can share a Redis. Without braces. */
  readonly prefix: string;
  /** Which of the cluster's shards a room belongs to. */
  readonly shardOf: (room: RoomRef) => number;
  /** Something could not be published, or was received and is no announcement. */
  readonly onFault: (what: string, cause: unknown) => void;
}

interface Subscription {
  readonly listener: FanoutListener;
  readonly onSignal: SignalListener | undefined;
  readonly onGap: GapListener | undefined;
}

/** A room that somebody here listens to. */
interface Heard {
  readonly key: string;
  readonly subscriptions: Set<Subscription>;
  /** Undefined: Redis was asked for it in vain. */
  channel: Promise<ChannelSubscription> | undefined;
}

interface Outgoing {
  readonly shard: number;
  readonly channel: string;
  readonly message: Buffer;
  /** Called with whether Redis has taken it. */
  readonly taken?: (taken: boolean) => void;
}

export class RedisFanout implements Fanout {
  readonly lossy = true;
  readonly #options: RedisFanoutOptions;
  readonly #rooms = new Map<string, Heard>();
  #outgoing: Outgoing[] = [];
  #waitingBytes = 0;
  #stopped = false;

  constructor(options: RedisFanoutOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopped = true;
    for (const { channel } of this.#rooms.values()) channel?.then(close, ignore);
    this.#rooms.clear();
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    for (const { taken } of outgoing) taken?.(false);
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

  top(room: RoomRef, seq: number): Promise<boolean> {
    for (const { onGap } of this.#subscriptionsOf(room)) onGap?.(seq);
    return new Promise((resolve) =>
      this.#publish(room, create(RoomNoticeSchema, { nodeId: this.#options.nodeId, top: seq }), resolve),
    );
  }

  async subscribe(
    room: RoomRef,
    listener: FanoutListener,
    onSignal?: SignalListener,
    onGap?: GapListener,
  ): Promise<FanoutSubscription> {
    const heard = this.#rooms.get(room.key) ?? { key: room.key, subscriptions: new Set(), channel: undefined };
    this.#rooms.set(room.key, heard);
    const subscription: Subscription = { listener, onSignal, onGap };
    // Counted from now on, so that nobody else unsubscribes; called once it has resolved.
    const waiting: Subscription = { listener: () => {}, onSignal: undefined, onGap: undefined };
    heard.subscriptions.add(waiting);
    heard.channel ??= this.#options.channels.subscribe(this.#channelOf(room), {
      message: (bytes) => this.#receive(heard, bytes),
      missed: () => {
        for (const { onGap } of heard.subscriptions) onGap?.(undefined);
      },
    });
    const { channel } = heard;
    try {
      await channel;
    } catch (cause) {
      if (heard.channel === channel) heard.channel = undefined;
      this.#leave(heard, waiting);
      throw cause;
    }
    heard.subscriptions.add(subscription);
    heard.subscriptions.delete(waiting);
    return { close: () => this.#leave(heard, subscription) };
  }

  #leave(heard: Heard, subscription: Subscription): void {
    if (!heard.subscriptions.delete(subscription) || heard.subscriptions.size > 0) return;
    if (this.#rooms.get(heard.key) !== heard) return;
    this.#rooms.delete(heard.key);
    heard.channel?.then(close, ignore);
  }

  #subscriptionsOf(room: RoomRef): Iterable<Subscription> {
    return this.#rooms.get(room.key)?.subscriptions ?? NOBODY;
  }

  #channelOf(room: RoomRef): string {
    return `${this.#options.prefix}:{${this.#options.shardOf(room)}}:room:${room.key}`;
  }

  // — what goes out: everything of one turn in one write —

  #publish(room: RoomRef, notice: RoomNotice, taken?: Outgoing["taken"]): void {
    if (this.#stopped || this.#waitingBytes > MAX_WAITING_BYTES) {
      taken?.(false);
      return;
    }
    const bytes = toBinary(RoomNoticeSchema, notice);
    const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#outgoing.length === 0) queueMicrotask(() => this.#flush());
    this.#outgoing.push({
      shard: this.#options.shardOf(room),
      channel: this.#channelOf(room),
      message,
      ...(taken && { taken }),
    });
    this.#waitingBytes += message.length;
  }

  #flush(): void {
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    if (outgoing.length === 0) return;
    // A pipeline of a Redis Cluster takes commands of one slot.
    if (!(this.#options.publisher instanceof Cluster)) this.#send(outgoing);
    else for (const some of Map.groupBy(outgoing, ({ shard }) => shard).values()) this.#send(some);
  }

  #send(outgoing: readonly Outgoing[]): void {
    const bytes = outgoing.reduce((sum, { message }) => sum + message.length, 0);
    const pipeline = this.#options.publisher.pipeline();
    for (const { channel, message } of outgoing) pipeline.spublish(channel, message);
    pipeline
      .exec()
      .then((results) => {
        const failed = results?.find(([error]) => error !== null)?.[0];
        if (failed) this.#options.onFault("publish", failed);
        for (const [index, { taken }] of outgoing.entries()) taken?.(results?.[index]?.[0] === null);
      })
      .catch((cause: unknown) => {
        this.#options.onFault("publish", cause);
        for (const { taken } of outgoing) taken?.(false);
      })
      .finally(() => {
        this.#waitingBytes -= bytes;
      });
  }

  // — what comes in —

  #receive({ subscriptions }: Heard, message: Buffer): void {
    let notice: RoomNotice;
    try {
      notice = fromBinary(RoomNoticeSchema, message);
    } catch (cause) {
      this.#options.onFault("receive", cause);
      return;
    }
    if (notice.nodeId === this.#options.nodeId) return;
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
  }
}

const NOBODY: readonly Subscription[] = [];

function close(subscription: ChannelSubscription): void {
  subscription.close();
}

function ignore(): void {}
