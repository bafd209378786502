// Who is there: says how this user is, and follows how others are.

import { isFinal, RefusedError } from "../error.js";
import type { Listener } from "../events.js";
import type {
  ClientFrame,
  Presence,
  PresenceChanges,
  PresenceSnapshot,
  ServerFrame,
  SetPresence,
  Welcome,
} from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";
import { againMs } from "../session/verdict.js";
import { Changes } from "./changes.js";
import { Counted, TriedRooms } from "./watch-set.js";

export interface PresenceContext {
  readonly platform: Pick<Platform, "after" | "now" | "random">;
  /** `answered` is called before anything that comes after the answer is told. */
  readonly request: (frame: ClientFrame, answered?: (frame: ServerFrame) => void) => Promise<ServerFrame>;
  readonly live: () => boolean;
}

export interface PresenceRequest {
  /** Users to follow; at most 500 over all watches. */
  readonly users?: Iterable<string>;
  /** Rooms whose members to follow, or, of more than 100 members, how many of them are online; at most 200 over all watches. */
  readonly rooms?: Iterable<string>;
}

/** Ends a watch. */
export interface PresenceWatch {
  close(): void;
}

const MAX_USERS = 500;
const MAX_ROOMS = 200;
/** Between two frames that say what is watched. */
const INTERVAL_MS = 250;
const OFFLINE = "PRESENCE_STATUS_OFFLINE";
const ONLINE = "PRESENCE_STATUS_ONLINE";
const ID = /^[A-Za-z0-9._:~-]{1,128}$/;

export class ClientPresence {
  readonly #context: PresenceContext;
  readonly #changes: Changes<ClientPresence>;
  readonly #wantedUsers = new Counted();
  readonly #wantedRooms = new Counted();
  readonly #tried = new TriedRooms();
  readonly #users = new Map<string, Presence>();
  readonly #counts = new Map<string, number>();
  #own: SetPresence | undefined;
  /** Counts what was set: an answer to something older is told apart. */
  #settings = 0;
  /** What is wanted differs from what was asked for. */
  #stale = false;
  #asking = false;
  /** Counts connections: an answer of an older one is told apart. */
  #epoch = 0;
  #fresh = false;
  #failures = 0;
  /** The server's clock beyond this one. */
  #aheadMs = 0;
  #timer: Timer | undefined;
  #expiry: Timer | undefined;

  constructor(context: PresenceContext) {
    this.#context = context;
    this.#changes = new Changes<ClientPresence>(context.platform, () => this);
  }

  /**
   * Sets how this user is, for as long as this client lives and is theirs: said at once or as soon as there is a connection, and again after each reconnect.
   * At `until` it is ONLINE without a text. Rejects with RefusedError where the server does not take it; nothing is then said again.
   */
  async set(presence: SetPresence): Promise<void> {
    this.#own = presence;
    const setting = ++this.#settings;
    if (!this.#context.live()) return;
    try {
      await this.#say(presence);
    } catch (error) {
      if (error instanceof RefusedError && setting === this.#settings) this.#own = undefined;
      if (error instanceof RefusedError) throw error;
      // It is said with the next connection.
    }
  }

  /**
   * Follows users, and the members of rooms, until the watch is closed. Several watches of the same cost nothing more. A room in which the user
   * may not see it is passed over. Throws RangeError for an id that is none, and beyond 500 users or 200 rooms.
   */
  watch({ users = [], rooms = [] }: PresenceRequest): PresenceWatch {
    const [userIds, roomIds] = [[...users], [...rooms]];
    for (const id of [...userIds, ...roomIds]) if (!ID.test(id)) throw new RangeError(`${JSON.stringify(id)} is no id`);
    if (this.#wantedUsers.sizeWith(userIds) > MAX_USERS) throw new RangeError(`users: at most ${MAX_USERS}`);
    if (this.#wantedRooms.sizeWith(roomIds) > MAX_ROOMS) throw new RangeError(`rooms: at most ${MAX_ROOMS}`);
    this.#wantedUsers.add(userIds);
    this.#wantedRooms.add(roomIds);
    this.#moved();
    let open = true;
    return {
      close: () => {
        if (!open) return;
        open = false;
        this.#wantedUsers.remove(userIds);
        this.#wantedRooms.remove(roomIds);
        this.#moved();
      },
    };
  }

  /** Everybody watched of whom something was told, who is offline too. It changes as they do. */
  get users(): ReadonlyMap<string, Presence> {
    return this.#users;
  }

  /** How many are online in each watched room of more than 100 members. It changes as they do. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** How the user is; offline where nothing is known. */
  of(userId: string): Presence {
    return this.#users.get(userId) ?? { userId, status: OFFLINE };
  }

  /** Calls `listener` after `users` or `counts` have changed, once for what changed together; returns what ends that. */
  onChange(listener: Listener<ClientPresence>): () => void {
    return this.#changes.on(listener);
  }

  // — for the client —

  /** Another user is connected: how the one before was is not for them. @internal */
  forget(): void {
    this.#own = undefined;
  }

  /** @internal */
  welcomed({ serverTime }: Welcome): void {
    const { platform } = this.#context;
    if (serverTime !== undefined) this.#aheadMs = Date.parse(serverTime) - platform.now();
    if (this.#own !== undefined) this.set(this.#own).catch(() => {});
    this.#failures = 0;
    this.#fresh = true;
    this.#tried.again();
    this.#stale = this.#wantedUsers.all.length > 0 || this.#wantedRooms.all.length > 0;
    this.#schedule(0);
  }

  /** What was known is shown until there is something newer. @internal */
  disconnected(): void {
    this.#epoch++;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#expiry?.cancel();
    this.#expiry = undefined;
    this.#asking = false;
  }

  /** @internal */
  changed({ presences = [], counts = [] }: PresenceChanges): void {
    for (const presence of presences) this.#users.set(presence.userId ?? "", presence);
    for (const { roomId = "", online = 0 } of counts) this.#counts.set(roomId, online);
    this.#expire();
    this.#changes.changed();
  }

  // — this user —

  async #say(presence: SetPresence): Promise<void> {
    const { until } = presence;
    const over = until !== undefined && Date.parse(until) <= this.#context.platform.now() + this.#aheadMs;
    const { lastSeenVisibility } = presence;
    const setPresence: SetPresence = over ? { status: ONLINE, lastSeenVisibility } : presence;
    await this.#context.request({ setPresence });
    // That is kept by the server, and another device may choose otherwise meanwhile.
    if (this.#own === presence) this.#own = { ...presence, lastSeenVisibility: undefined };
  }

  // — watching —

  #moved(): void {
    this.#stale = true;
    this.#schedule(0);
  }

  #schedule(afterMs: number): void {
    if (this.#asking || !this.#context.live()) return;
    this.#timer ??= this.#context.platform.after(afterMs, () => {
      this.#timer = undefined;
      if (this.#stale) this.#ask();
    });
  }

  #ask(): void {
    const wanted = this.#wantedRooms.all;
    const watchPresence = { userIds: this.#wantedUsers.all, roomIds: this.#tried.choose(wanted) };
    this.#stale = false;
    this.#asking = true;
    const epoch = this.#epoch;
    const answered = ({ presenceSnapshot = {} }: ServerFrame): void => {
      if (epoch === this.#epoch) this.#watched(presenceSnapshot);
    };
    this.#context.request({ watchPresence }, answered).then(
      () => {
        if (epoch !== this.#epoch) return;
        this.#failures = 0;
        this.#answered(this.#tried.taken(wanted), INTERVAL_MS);
      },
      (error: unknown) => {
        if (epoch !== this.#epoch) return;
        if (isFinal(error)) {
          this.#answered(this.#tried.refused(), INTERVAL_MS);
          return;
        }
        this.#answered(true, INTERVAL_MS + againMs(error, ++this.#failures, this.#context.platform));
      },
    );
  }

  #answered(more: boolean, afterMs: number): void {
    this.#asking = false;
    this.#stale ||= more;
    this.#schedule(afterMs);
  }

  /** How everything is that is watched. */
  #watched({ presences = [], counts = [] }: PresenceSnapshot): void {
    const told = new Set(presences.map(({ userId }) => userId));
    for (const [userId, { status }] of this.#users) {
      if (told.has(userId)) continue;
      // When somebody who is offline was last seen is told with changes alone.
      if (this.#fresh || status !== OFFLINE || !this.#wantedUsers.has(userId)) this.#users.delete(userId);
    }
    this.#fresh = false;
    this.#counts.clear();
    this.changed({ presences, counts });
    this.#changes.changed();
  }

  /** At `until` somebody is online without a text, even if that is not told. */
  #expire(): void {
    const { platform } = this.#context;
    this.#expiry?.cancel();
    const nowMs = platform.now() + this.#aheadMs;
    let nextMs = Infinity;
    for (const [userId, { until }] of this.#users) {
      if (until === undefined) continue;
      const untilMs = Date.parse(until);
      if (untilMs > nowMs) nextMs = Math.min(nextMs, untilMs);
      else {
        this.#users.set(userId, { userId, status: ONLINE });
        this.#changes.changed();
      }
    }
    if (nextMs === Infinity) this.#expiry = undefined;
    else this.#expiry = platform.after(nextMs - nowMs, () => this.#expire());
  }
}
