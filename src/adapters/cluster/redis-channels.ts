// The sharded channels of Redis that a node listens to. Redis says nothing of what it could not deliver, and drops subscriptions when a slot moves
// or a connection ends: they are made again wherever the slot is then, and whoever listens is told that messages may be missing.

import type { Clock, Timer } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type Link, RedisLinks, type RedisLinksOptions } from "./redis-links.js";
import { hashedPart, slotOf } from "./redis-slot.js";

/** How often is looked whether every subscription is where its slot is, in milliseconds. */
const ROUND_MS = 1_000;
/** In every so many rounds the way from a publish to the subscription is tried. */
const PROBE_ROUNDS = 2;
/** A subscription that has brought no probe for so long is dead, whatever TCP thinks, in milliseconds. */
const PROBE_DEADLINE_MS = 6_000;
/** Channels asked for in one command. */
const AT_ONCE = 500;
/** How often a subscription is sent on to the node that its slot is said to be at. */
const MAX_MOVES = 4;

export interface ChannelListener {
  /** Something was said. The bytes are nobody else's. Must not throw. */
  readonly message: (bytes: Buffer) => void;
  /** The subscription was lost and is there again: what was said meanwhile is missing. Must not throw. */
  readonly missed: () => void;
}

export interface ChannelSubscription {
  /** After it returns the listener is not called again. Idempotent. */
  close(): void;
}

export interface RedisChannelsOptions extends Omit<RedisLinksOptions, "onFault"> {
  readonly clock: Clock;
  /** This incarnation of the node, unique in the cluster. */
  readonly nodeId: string;
  /** Of all channels, so that several clusters can share a Redis. Without braces. */
  readonly prefix: string;
  /** A connection has failed, or was given up because it brought nothing; it is made again by itself. */
  readonly onFault: (what: string, cause: unknown) => void;
}

interface Channel {
  readonly name: string;
  readonly group: Group;
  readonly listeners: Set<ChannelListener>;
  /** How many wait for the subscription. */
  waiting: number;
  /** Resolves once Redis has the subscription; undefined: it has not. */
  ready: Promise<void> | undefined;
}

/** The channels of one hash slot, which are lost together; all of them where Redis is no cluster. */
interface Group {
  readonly slot: number;
  /** A channel among them that says whether the way is open. */
  readonly probe: string;
  readonly channels: Map<string, Channel>;
  link: Link | undefined;
  state: "asking" | "there" | "lost";
  /** When the group was asked for, and when a probe last came back, monotonic. */
  thereAtMs: number;
  probedAtMs: number | undefined;
}

export class RedisChannels {
  readonly #options: RedisChannelsOptions;
  readonly #links: RedisLinks;
  readonly #groups = new Map<number, Group>();
  readonly #channels = new Map<string, Channel>();
  /** Is always listened to, so that there is something to be probed. */
  readonly #own: string;
  #rounds = 0;
  #timer: Timer | undefined;
  #stopped = false;

  private constructor(options: RedisChannelsOptions) {
    this.#options = options;
    this.#links = new RedisLinks(
      { ...options, onFault: (cause) => this.#fault(cause) },
      {
        ready: (link) => {
          for (const group of this.#groupsOn(link)) this.#settle(group);
        },
        closed: (link) => {
          for (const group of this.#groupsOn(link)) this.#lost(group);
        },
        message: (link, channel, message) => this.#receive(link, channel, message),
        moved: () => this.#follow(),
      },
    );
    this.#own = `${options.prefix}:channels:{${options.nodeId}}`;
  }

  /** Resolves once what is published reaches this node; rejects with UNAVAILABLE. */
  static async open(options: RedisChannelsOptions): Promise<RedisChannels> {
    const channels = new RedisChannels(options);
    try {
      await channels.#links.learn();
      await channels.subscribe(channels.#own, { message: () => {}, missed: () => {} });
    } catch (cause) {
      channels.stop();
      throw cause instanceof TrunklineError ? cause : unavailable(cause);
    }
    channels.#round();
    return channels;
  }

  /** Whether everything that is listened to has been heard of lately. */
  get available(): boolean {
    const own = this.#channels.get(this.#own)?.group;
    if (own?.probedAtMs === undefined) return false;
    return [...this.#groups.values()].every((group) => group.state !== "lost" && !this.#isSilent(group));
  }

  /** Resolves once what is published from then on reaches the listener; rejects with UNAVAILABLE. */
  async subscribe(name: string, listener: ChannelListener): Promise<ChannelSubscription> {
    const channel = this.#channelOf(name);
    const own = { ...listener };
    channel.waiting++;
    try {
      channel.ready ??= this.#ask(channel.group, [name]);
      const { ready } = channel;
      await ready.catch((cause: unknown) => {
        if (channel.ready === ready) channel.ready = undefined;
        throw unavailable(cause);
      });
      channel.listeners.add(own);
    } finally {
      channel.waiting--;
      this.#tidy(channel);
    }
    return {
      close: () => {
        if (channel.listeners.delete(own)) this.#tidy(channel);
      },
    };
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#links.stop();
    this.#groups.clear();
    this.#channels.clear();
  }

  // — channels and their groups —

  #channelOf(name: string): Channel {
    const known = this.#channels.get(name);
    if (known !== undefined) return known;
    const group = this.#groupOf(name);
    const channel: Channel = { name, group, listeners: new Set(), waiting: 0, ready: undefined };
    group.channels.set(name, channel);
    this.#channels.set(name, channel);
    return channel;
  }

  #groupOf(name: string): Group {
    const slot = this.#links.isCluster ? slotOf(name) : 0;
    const known = this.#groups.get(slot);
    if (known !== undefined) return known;
    const { prefix, nodeId, clock } = this.#options;
    const group: Group = {
      slot,
      probe: `${prefix}:probe:{${hashedPart(name)}}:${nodeId}`,
      channels: new Map(),
      link: undefined,
      state: "asking",
      thereAtMs: clock.monotonic(),
      probedAtMs: undefined,
    };
    this.#groups.set(slot, group);
    this.#listenToProbe(group);
    return group;
  }

  #listenToProbe(group: Group): void {
    const message = (): void => {
      group.probedAtMs = this.#options.clock.monotonic();
    };
    const listeners = new Set([{ message, missed: () => {} }]);
    const channel: Channel = { name: group.probe, group, listeners, waiting: 0, ready: undefined };
    group.channels.set(group.probe, channel);
    this.#channels.set(group.probe, channel);
    this.#settle(group);
  }

  #tidy(channel: Channel): void {
    if (channel.listeners.size > 0 || channel.waiting > 0) return;
    if (this.#channels.get(channel.name) !== channel) return;
    const { group } = channel;
    const dropped = [channel.name];
    if (group.channels.size === 2) dropped.push(group.probe);
    for (const name of dropped) {
      this.#channels.delete(name);
      group.channels.delete(name);
    }
    if (group.channels.size === 0) this.#groups.delete(group.slot);
    // A connection that fails has no subscriptions any more either.
    if (group.link?.redis.status === "ready") group.link.redis.sunsubscribe(...dropped).catch(ignore);
  }

  // — asking Redis —

  /** Asks for channels of a group where its slot is, wherever that is said to be. */
  async #ask(group: Group, names: readonly string[]): Promise<void> {
    for (let moves = 0; ; moves++) {
      const link = this.#linkOf(group);
      await link.opened;
      // Nobody may want some of them any more.
      const wanted = names.filter((name) => this.#channels.has(name));
      if (wanted.length === 0) return;
      try {
        await link.redis.ssubscribe(...wanted);
        return;
      } catch (error) {
        const address = movedTo(error);
        if (address === undefined || moves === MAX_MOVES || this.#stopped) throw error;
        this.#links.slotMoved(group.slot, address);
        // The others have lost their subscriptions too.
        if (group.state === "there") this.#settle(group);
      }
    }
  }

  /** Asks for all channels of a group, and tells whoever listens to them already. */
  #settle(group: Group): void {
    if (this.#stopped) return;
    group.state = "asking";
    group.probedAtMs = undefined;
    const channels = [...group.channels.values()];
    const asked = this.#askAll(
      group,
      channels.map(({ name }) => name),
    );
    for (const channel of channels) channel.ready = asked;
    asked.then(
      () => {
        if (channels.every(({ ready }) => ready !== asked)) return;
        group.state = "there";
        group.thereAtMs = this.#options.clock.monotonic();
        this.#probe(group);
        for (const { listeners } of channels) for (const { missed } of listeners) missed();
      },
      // A later round tries again.
      () => this.#lost(group, asked),
    );
  }

  async #askAll(group: Group, names: readonly string[]): Promise<void> {
    const parts: Promise<void>[] = [];
    for (let from = 0; from < names.length; from += AT_ONCE) {
      parts.push(this.#ask(group, names.slice(from, from + AT_ONCE)));
    }
    await Promise.all(parts);
  }

  /** What was asked for in vain, or all: the connection is gone. */
  #lost(group: Group, asked?: Promise<void>): void {
    let lost = false;
    for (const channel of group.channels.values()) {
      if (asked !== undefined && channel.ready !== asked) continue;
      channel.ready = undefined;
      lost = true;
    }
    if (lost) group.state = "lost";
  }

  // — the way to Redis —

  #linkOf(group: Group): Link {
    if (this.#stopped) throw new Error("nothing is listened to any more");
    const link = this.#links.to(group.slot);
    group.link = link;
    return link;
  }

  #groupsOn(link: Link): readonly Group[] {
    return [...this.#groups.values()].filter((group) => group.link === link);
  }

  #receive(link: Link, name: Buffer, message: Buffer): void {
    const channel = this.#channels.get(name.toString("utf8"));
    // A node that the slot was at may still say something, which its new one says too.
    if (channel?.group.link !== link) return;
    for (const listener of channel.listeners) listener.message(message);
  }

  /** Asks for the groups of slots that have moved where they are now. */
  #follow(): void {
    for (const group of this.#groups.values()) {
      const address = this.#links.addressOf(group.slot);
      if (group.state === "there" && address !== undefined && group.link?.address !== address) this.#settle(group);
    }
  }

  // — rounds: what is lost is asked for again, what is silent made anew —

  #round(): void {
    if (this.#stopped) return;
    const groups = [...this.#groups.values()];
    if (this.#rounds++ % PROBE_ROUNDS === 0) for (const group of groups) this.#probe(group);
    const isTroubled = groups.some((group) => group.state === "lost" || this.#isSilent(group));
    for (const link of this.#links.all) this.#lookAt(link);
    // What is lost may be elsewhere by now.
    if (isTroubled) void this.#links.lookAgain();
    for (const group of groups) if (group.state === "lost" && this.#links.leadTo(group.slot)) this.#settle(group);
    this.#timer = this.#options.clock.after(ROUND_MS, () => this.#round());
  }

  #lookAt(link: Link): void {
    const groups = this.#groupsOn(link);
    if (groups.length === 0) {
      this.#links.end(link);
      return;
    }
    const silent = groups.filter((group) => this.#isSilent(group));
    if (silent.length === 0 || link.redis.status !== "ready") return;
    this.#fault(new Error(`no probe for ${PROBE_DEADLINE_MS} ms`));
    if (silent.length === groups.length) link.redis.disconnect(true);
    else for (const group of silent) this.#settle(group);
  }

  #isSilent({ state, probedAtMs, thereAtMs }: Group): boolean {
    const sinceMs = Math.max(probedAtMs ?? Number.NEGATIVE_INFINITY, thereAtMs);
    return state === "there" && this.#options.clock.monotonic() - sinceMs > PROBE_DEADLINE_MS;
  }

  #fault(cause: unknown): void {
    this.#options.onFault("channels", cause);
  }

  #probe({ state, probe }: Group): void {
    if (state === "there") this.#options.commands.spublish(probe, "").catch(ignore);
  }
}

/** Where the slot is, as a node says that does not serve it. */
function movedTo(error: unknown): string | undefined {
  return error instanceof Error ? /^MOVED \d+ (\S+)$/.exec(error.message)?.[1] : undefined;
}

function unavailable(cause: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, "the channels of Redis are not reachable", {
    retryAfterMs: 500,
    cause,
  });
}

function ignore(): void {}
