// Holds the one connection of several tabs. To each of them it is the server: it answers their hellos, sends on what they ask, and tells them what
// concerns them. When its connection is lost, so are theirs; they come back to it from the positions they have reached.

import { ABNORMAL, SLOW_CONSUMER } from "../close-code.js";
import { RefusedError } from "../error.js";
import type {
  ClientFrame,
  Device,
  Position,
  RoomPosition,
  ServerFrame,
  SetPresence,
  WatchPresence,
  Welcome,
} from "../gen/types.js";
import type { Platform } from "../platform.js";
import { Session } from "../session/session.js";
import type { ConnectionState } from "../session/state.js";
import { codeFor } from "../session/verdict.js";
import type { Codec } from "../wire/codec.js";
import { type TabsPlatform, userOf } from "./channel.js";
import { Givers } from "./givers.js";
import { Lanes } from "./lanes.js";
import { strongestPresence, TypingTabs, unitedWatch } from "./merged.js";
import { Seat, sendAll } from "./seat.js";
import { SharedRoom } from "./shared-room.js";
import { Tops } from "./tops.js";

export interface HubOptions {
  readonly platform: Platform;
  readonly tabs: TabsPlatform;
  readonly codec: Codec;
  readonly url: string | readonly string[];
  readonly device: Device;
  /** The connection is being opened: tabs that wait may come. */
  readonly come: () => void;
  /** The last tab has left. Ends the hub where that was meant. */
  readonly empty: () => void;
}

/** Once replaced is perhaps this device's own older connection, which has just woken up; twice within this time is another device. */
const REPLACED_AGAIN_MS = 60_000;
/** Tabs know by the channel whether the hub is alive: pings of their own are far off. */
const NEVER_MS = 1_000_000_000;

export class Hub {
  readonly id: string;
  readonly #options: HubOptions;
  readonly #session: Session;
  readonly #seats = new Set<Seat>();
  readonly #rooms = new Map<string, SharedRoom>();
  readonly #lanes = new Lanes<Seat>();
  readonly #typing = new TypingTabs<Seat>();
  readonly #tops: Tops;
  /** What tabs have set, the latest last. */
  readonly #presences = new Map<Seat, SetPresence>();
  /** What the hello has stated. */
  #stated: readonly RoomPosition[] = [];
  readonly #givers: Givers;
  #replacedAtMs = Number.NEGATIVE_INFINITY;
  #ended = false;

  constructor(options: HubOptions) {
    const { platform, codec, device, url } = options;
    this.id = platform.id();
    this.#options = options;
    this.#tops = new Tops(platform);
    this.#givers = new Givers(platform, this.#seats, (seat, code) => this.#refuse(seat, code));
    this.#session = new Session(
      {
        platform,
        codec,
        device: () => device,
        url,
        token: ({ fresh }) => this.#givers.token(fresh),
        rooms: (most) => this.#state(most),
      },
      {
        stateChanged: (state) => this.#changed(state),
        welcomed: (welcome) => this.#welcomed(welcome),
        pushed: (frame) => this.#pushed(frame),
      },
    );
  }

  get seats(): number {
    return this.#seats.size;
  }

  get #live(): readonly Seat[] {
    return [...this.#seats].filter(({ live }) => live);
  }

  /** A tab wants to be connected, over a channel of its own. @param frames Of this tab: where frames wait for it. */
  seat(wire: string, frames?: ServerFrame[]): void {
    // It asks again where it hears of a hub before it hears from it.
    if (this.#ended || [...this.#seats].some((seat) => seat.wire === wire)) return;
    const { platform, tabs } = this.#options;
    const seat = new Seat({ wire, hub: this.id, frames }, platform, tabs, {
      received: (frame) => this.#received(seat, frame),
      left: () => this.#left(seat),
    });
    this.#seats.add(seat);
  }

  /** Somebody else does it from now on, or nobody. */
  end(): void {
    this.#ended = true;
    this.#session.close();
    this.#dismiss(ABNORMAL);
    this.#givers.end();
  }

  // — tabs —

  #received(seat: Seat, frame: ClientFrame): void {
    const { ref = 0, hello } = frame;
    if (hello !== undefined) {
      seat.hello = { ref, hello };
      this.#givers.came();
      this.#greeted(seat);
    } else if (seat.live && !this.#lanes.add(seat, () => this.#ask(seat, frame))) {
      this.#refuse(seat, SLOW_CONSUMER);
    }
  }

  #greeted(seat: Seat): void {
    const { state } = this.#session;
    if (state.status === "live") this.#admit(seat).catch(() => this.#refuse(seat, ABNORMAL));
    else if (state.status === "waiting") {
      seat.close(codeFor(state.reason), this.#waitMs(state.untilMs));
      this.#left(seat);
    } else this.#session.connect();
  }

  #waitMs(untilMs: number | undefined): number {
    return untilMs === undefined ? 0 : Math.max(untilMs - this.#options.platform.now(), 1);
  }

  /** Whose token is not known to be the user's shows it to the server first. Rejects where it has none to show. */
  async #admit(seat: Seat): Promise<void> {
    const { welcome } = this.#session;
    if (welcome === undefined) return;
    if (seat !== this.#givers.last && seat.was !== userOf(welcome)) {
      const token = await seat.token(false);
      if (token === undefined) {
        this.#refuse(seat, codeFor("unauthenticated"));
        return;
      }
      try {
        await this.#session.request({ refreshToken: { token } });
      } catch (error) {
        if (seat.gone || !(error instanceof RefusedError)) throw error;
        if (error.code === "ERROR_CODE_PERMISSION_DENIED") {
          seat.turnAway();
          this.#left(seat);
        } else {
          const expired = error.code === "ERROR_CODE_TOKEN_EXPIRED";
          this.#refuse(
            seat,
            error.retryable ? ABNORMAL : expired ? codeFor("token-expired") : codeFor("unauthenticated"),
          );
        }
        return;
      }
    }
    // Another connection may have come meanwhile: then all have been sent away.
    if (seat.hello === undefined || seat.gone) return;
    const { ref, hello } = seat.hello;
    const rooms = hello.rooms ?? [];
    seat.admit(userOf(welcome), this.#session.via);
    seat.send({ replyTo: ref, welcome: { ...welcome, pingIntervalMs: NEVER_MS, roomsPending: rooms.length } });
    for (const { roomId = "", after } of rooms) this.#room(roomId).join(seat, after);
  }

  #refuse(seat: Seat, code: number): void {
    if (seat.gone) return;
    seat.close(code);
    this.#left(seat);
  }

  #left(seat: Seat): void {
    if (!this.#seats.delete(seat)) return;
    this.#lanes.left(seat);
    this.#typing.left(seat);
    for (const room of [...this.#rooms.values()]) room.left(seat);
    if (this.#presences.delete(seat)) this.#say();
    if ((seat.watch.userIds?.length ?? 0) + (seat.watch.roomIds?.length ?? 0) > 0) {
      this.#session.post({ watchPresence: unitedWatch(this.#seats) });
    }
    if (this.#seats.size > 0) return;
    this.#options.empty();
    // Nobody is leaving: some tab is about to come back, and the connection with it. While that comes back by itself, so do the tabs.
    if (this.#session.state.status === "live") this.#session.drop();
  }

  /** Sends all tabs away. */
  #dismiss(code: number, waitMs = 0): void {
    const seats = [...this.#seats];
    this.#seats.clear();
    this.#presences.clear();
    for (const room of this.#rooms.values()) room.end();
    this.#rooms.clear();
    this.#tops.end();
    for (const seat of seats) {
      this.#lanes.left(seat);
      this.#typing.left(seat);
      seat.close(code, waitMs);
    }
  }

  // — what tabs ask —

  #ask(seat: Seat, frame: ClientFrame): Promise<unknown> | undefined {
    const { ref = 0, subscribe, unsubscribe, typing, watchPresence, setPresence } = frame;
    if (subscribe !== undefined) this.#room(subscribe.roomId ?? "").subscribe(seat, ref, subscribe);
    else if (unsubscribe !== undefined) this.#room(unsubscribe.roomId ?? "").unsubscribe(seat, ref);
    else if (watchPresence !== undefined) return this.#watch(seat, ref, watchPresence);
    else if (setPresence !== undefined) {
      this.#presences.delete(seat);
      this.#presences.set(seat, setPresence);
      const { lastSeenVisibility } = setPresence;
      const strongest = strongestPresence(this.#presences.values());
      return this.#forward(seat, ref, { setPresence: { ...strongest, lastSeenVisibility } });
    } else if (typing !== undefined && !this.#typing.said(seat, typing, this.#options.platform.monotonic())) {
      if (ref !== 0) seat.send({ replyTo: ref, done: {} });
    } else return this.#forward(seat, ref, frame);
    return undefined;
  }

  #forward(
    seat: Seat,
    ref: number,
    { ref: _, ...frame }: ClientFrame,
    refused: () => void = () => {},
  ): Promise<unknown> | undefined {
    if (ref === 0) {
      this.#session.post(frame);
      return undefined;
    }
    const answered = (answer: ServerFrame): void => {
      seat.send({ ...answer, replyTo: ref });
    };
    return this.#session.request(frame, answered).catch((error: unknown) => {
      refused();
      this.#refuseAsk(seat, ref, error);
    });
  }

  #watch(seat: Seat, ref: number, watch: WatchPresence): Promise<unknown> | undefined {
    const before = seat.watch;
    seat.watch = watch;
    return this.#forward(seat, ref, { watchPresence: unitedWatch(this.#seats) }, () => {
      if (seat.watch === watch) seat.watch = before;
    });
  }

  /** A tab that had a say has left. */
  #say(): void {
    const { lastSeenVisibility: _, ...strongest } = strongestPresence(this.#presences.values()) ?? {
      status: "PRESENCE_STATUS_ONLINE" as const,
    };
    this.#session.post({ setPresence: strongest });
  }

  /** Who got no answer is not told: the tab knows its deadline, and whether it is connected. */
  #refuseAsk(seat: Seat, ref: number, error: unknown, details: Readonly<Record<string, string>> = {}): void {
    if (!(error instanceof RefusedError)) return;
    const said = { ...error, message: error.message, details: { ...error.details, ...details } };
    seat.send({ ...(ref !== 0 && { replyTo: ref }), error: said });
  }

  #room(id: string): SharedRoom {
    let room = this.#rooms.get(id);
    if (room === undefined) {
      room = new SharedRoom(id, {
        platform: this.#options.platform,
        request: (frame, answered) => this.#session.request(frame, answered),
        refuse: (seat, ref, roomId, error) => this.#refuseAsk(seat, ref, error, { room_id: roomId }),
        empty: (room) => {
          if (this.#rooms.get(id) === room) this.#rooms.delete(id);
        },
      });
      this.#rooms.set(id, room);
    }
    return room;
  }

  // — the connection —

  #changed(state: ConnectionState): void {
    if (this.#ended) return;
    if (state.status === "connecting") this.#options.come();
    else if (state.status === "waiting") this.#dismiss(codeFor(state.reason), this.#waitMs(state.untilMs));
    else if (state.status === "closed") {
      const nowMs = this.#options.platform.monotonic();
      const once = state.reason === "replaced" && nowMs - this.#replacedAtMs > REPLACED_AGAIN_MS;
      if (state.reason === "replaced") this.#replacedAtMs = nowMs;
      this.#dismiss(once ? ABNORMAL : codeFor(state.reason));
    }
  }

  #state(most: number): readonly RoomPosition[] {
    const lowest = new Map<string, Position | undefined>();
    for (const { hello } of this.#seats) {
      for (const { roomId = "", after } of hello?.hello.rooms ?? []) {
        const other = lowest.get(roomId);
        const lower = after !== undefined && (other === undefined || (after.seq ?? 0) < (other.seq ?? 0));
        if (lower || !lowest.has(roomId)) lowest.set(roomId, after);
      }
    }
    this.#stated = [...lowest].slice(0, most).map(([roomId, after]) => ({ roomId, ...(after && { after }) }));
    return this.#stated;
  }

  #welcomed(welcome: Welcome): void {
    this.#lanes.restart(welcome.limits?.maxInFlight ?? 1);
    for (const { roomId = "", after } of this.#stated) this.#room(roomId).state(after);
    const seats = [...this.#seats].filter(({ hello }) => hello !== undefined);
    for (const seat of seats) this.#admit(seat).catch(() => this.#refuse(seat, ABNORMAL));
    if (this.#seats.size === 0) this.#session.close();
  }

  #pushed(frame: ServerFrame): void {
    const { subscribed, unsubscribed, error, roomEvents } = frame;
    const roomId = (subscribed ?? unsubscribed ?? roomEvents)?.roomId ?? error?.details?.room_id;
    const room = this.#rooms.get(roomId ?? "");
    if (roomEvents !== undefined) {
      room?.events(roomEvents, frame);
      this.#tops.moved(roomEvents, () => this.#live.filter((seat) => !room?.reads(seat)));
    } else if (subscribed !== undefined) room?.subscribed(subscribed);
    else if (unsubscribed !== undefined) room?.unsubscribed(frame);
    else if (error !== undefined) room?.refused(frame);
    else sendAll(this.#live, frame);
  }
}
