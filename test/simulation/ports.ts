// The memory engine's ports as a core gets them here: what they answer is delayed, refused, lost and repeated as the weather has it.

import type {
  BurstDocument,
  DeadLetterDocument,
  ParkedDocument,
} from "../../src/gen/trunkline/store/v1/documents_pb.js";
import type {
  Archive,
  ArchiveChanges,
  EventRange,
  IdleLook,
  MarkerChange,
  MessageRange,
  Page,
} from "../../src/ports/archive.js";
import type { EncodedEvent } from "../../src/ports/encoded-event.js";
import type { EncodedFrame } from "../../src/ports/encoded-frame.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { AppendBatch, AppendOutcome, EventLog, LogRecord, OpenedShard } from "../../src/ports/event-log.js";
import type {
  Fanout,
  FanoutListener,
  FanoutSubscription,
  GapListener,
  SignalListener,
} from "../../src/ports/fanout.js";
import type { OutletStore } from "../../src/ports/outlet-store.js";
import type { Awaitable, RoomRef } from "../../src/ports/room-ref.js";
import type { Identity, Revocation, TokenVerifier } from "../../src/ports/token-verifier.js";
import type { DeviceChange, LastSeenChange } from "../../src/ports/user-archive.js";
import type { Chance } from "./chance.js";
import type { Coverage } from "./coverage.js";
import type { Gates } from "./gates.js";
import type { SimulatedTime } from "./time.js";

/** How often things go wrong, each 0 to 1. */
export interface Weather {
  appendFault: number;
  applyFails: number;
  openFails: number;
  readHeld: number;
  announcementLost: number;
  announcementRepeated: number;
  announcementDelayed: number;
  subscribeFails: number;
  verifyFails: number;
  targetFails: number;
  hookFails: number;
  peerFails: number;
  peerHeld: number;
}

export const FAIR: Readonly<Weather> = {
  appendFault: 0,
  applyFails: 0,
  openFails: 0,
  readHeld: 0,
  announcementLost: 0,
  announcementRepeated: 0,
  announcementDelayed: 0,
  subscribeFails: 0,
  verifyFails: 0,
  targetFails: 0,
  hookFails: 0,
  peerFails: 0,
  peerHeld: 0,
};

export interface Conditions {
  readonly weather: Weather;
  readonly chance: Chance;
  readonly gates: Gates;
  readonly coverage: Coverage;
}

export function away(what: string): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, `${what} is away`, { retryAfterMs: 200 });
}

/** What a crash in the middle of a write leaves: rooms first, of the rest some. */
function partOf(changes: ArchiveChanges, chance: Chance): ArchiveChanges {
  const some = <T>(part: readonly T[]): readonly T[] => part.filter(() => chance.of(0.5));
  const none = { events: [], rooms: [], members: [], messages: [], scrubs: [], hidden: [], idleLooks: [] };
  if (chance.of(0.5)) return { ...none, rooms: some(changes.rooms) };
  const { events, rooms, members, messages, idleLooks } = changes;
  return {
    ...none,
    rooms,
    events: some(events),
    members: some(members),
    messages: some(messages),
    idleLooks: some(idleLooks),
  };
}

export class WeatheredLog implements EventLog {
  readonly #inner: EventLog;
  readonly #conditions: Conditions;

  constructor(inner: EventLog, conditions: Conditions) {
    this.#inner = inner;
    this.#conditions = conditions;
  }

  get shards(): number {
    return this.#inner.shards;
  }

  get archivesOnAppend(): boolean {
    return this.#inner.archivesOnAppend;
  }

  get era(): string {
    return this.#inner.era;
  }

  continues(era: string, offsets: readonly number[]): Awaitable<boolean> {
    return this.#inner.continues(era, offsets);
  }

  get maxBatchBytes(): number {
    return this.#inner.maxBatchBytes;
  }

  async open(shard: number, signal?: AbortSignal): Promise<OpenedShard> {
    const { chance, weather, coverage } = this.#conditions;
    if (chance.of(weather.openFails)) {
      coverage.count("shards not opened");
      throw away("the log");
    }
    return await this.#inner.open(shard, signal);
  }

  append(shard: number, at: number, batch: AppendBatch): Promise<AppendOutcome> {
    return this.#inner.append(shard, at, batch);
  }

  ends(): Promise<readonly number[]> {
    return this.#inner.ends();
  }

  begins(): Promise<readonly number[]> {
    return this.#inner.begins();
  }

  read(shard: number, from: number, limit: number): Promise<readonly LogRecord[]> {
    return this.#inner.read(shard, from, limit);
  }
}

export class WeatheredArchive implements Archive {
  readonly #inner: Archive;
  readonly #conditions: Conditions;
  readonly #loaded = new Set<string>();

  constructor(inner: Archive, conditions: Conditions) {
    this.#inner = inner;
    this.#conditions = conditions;
  }

  room(room: RoomRef) {
    if (this.#loaded.has(room.key)) this.#conditions.coverage.count("actors loaded anew");
    this.#loaded.add(room.key);
    return this.#answer(() => this.#inner.room(room));
  }

  member(room: RoomRef, userId: string) {
    return this.#answer(() => this.#inner.member(room, userId));
  }

  members(room: RoomRef, page: Page) {
    return this.#answer(() => this.#inner.members(room, page));
  }

  subRooms(root: RoomRef, page: Page) {
    return this.#answer(() => this.#inner.subRooms(root, page));
  }

  countRooms(tenantId: string) {
    return this.#answer(() => this.#inner.countRooms(tenantId));
  }

  roomsOf(tenantId: string, userId: string, page: Page) {
    return this.#answer(() => this.#inner.roomsOf(tenantId, userId, page));
  }

  events(room: RoomRef, range: EventRange) {
    return this.#answer(() => this.#inner.events(room, range));
  }

  seqOf(room: RoomRef, eventId: string) {
    return this.#answer(() => this.#inner.seqOf(room, eventId));
  }

  messages(room: RoomRef, range: MessageRange) {
    return this.#answer(() => this.#inner.messages(room, range));
  }

  message(room: RoomRef, messageId: string) {
    return this.#answer(() => this.#inner.message(room, messageId));
  }

  expired(...asked: Parameters<Archive["expired"]>) {
    return this.#answer(() => this.#inner.expired(...asked));
  }

  idleLooks(...asked: Parameters<Archive["idleLooks"]>) {
    return this.#answer(() => this.#inner.idleLooks(...asked));
  }

  moveIdleLooks(from: readonly IdleLook[], to: readonly IdleLook[]) {
    return this.#inner.moveIdleLooks(from, to);
  }

  rooms(page: Page) {
    return this.#answer(() => this.#inner.rooms(page));
  }

  hidden(inbox: RoomRef, roomId: string, from: number, to: number) {
    return this.#answer(() => this.#inner.hidden(inbox, roomId, from, to));
  }

  devices(tenantId: string, userId: string) {
    return this.#answer(() => this.#inner.devices(tenantId, userId));
  }

  putDevices(changes: readonly DeviceChange[]) {
    return this.#inner.putDevices(changes);
  }

  lastSeen(tenantId: string, userIds: readonly string[]) {
    return this.#answer(() => this.#inner.lastSeen(tenantId, userIds));
  }

  putLastSeen(changes: readonly LastSeenChange[]) {
    return this.#inner.putLastSeen(changes);
  }

  /** Written late, or not, or in part, or without an answer: then it comes again. */
  async apply(shard: number, end: number, changes: ArchiveChanges) {
    const { chance, weather, gates } = this.#conditions;
    if (chance.of(weather.readHeld)) await gates.hold();
    if (!chance.of(weather.applyFails)) {
      await this.#inner.apply(shard, end, changes);
      return;
    }
    const fault = chance.pick(["in part", "without an answer", "not at all"]);
    if (fault === "in part") await this.#inner.apply(shard, 0, partOf(changes, chance));
    if (fault === "without an answer") await this.#inner.apply(shard, end, changes);
    throw away("the archive");
  }

  archived(shard: number) {
    return this.#answer(() => this.#inner.archived(shard));
  }

  followed(follower: string, shard: number) {
    return this.#answer(() => this.#inner.followed(follower, shard));
  }

  async beginTerm(follower: string, shard: number, end: number) {
    return await this.#answer(() => this.#inner.beginTerm(follower, shard, end));
  }

  follow(follower: string, shard: number, offset: number, term?: number) {
    return this.#inner.follow(follower, shard, offset, term);
  }

  marker(room: RoomRef, userId: string) {
    return this.#answer(() => this.#inner.marker(room, userId));
  }

  markedBy(room: RoomRef, page: Page) {
    return this.#answer(() => this.#inner.markedBy(room, page));
  }

  putMarkers(markers: readonly MarkerChange[]) {
    return this.#inner.putMarkers(markers);
  }

  sentBy(room: RoomRef, userId: string, afterIndex: number, throughIndex: number) {
    return this.#answer(() => this.#inner.sentBy(room, userId, afterIndex, throughIndex));
  }

  readingHidden(tenantId: string, userId: string) {
    return this.#answer(() => this.#inner.readingHidden(tenantId, userId));
  }

  hideReading(tenantId: string, userId: string, hidden: boolean) {
    return this.#inner.hideReading(tenantId, userId, hidden);
  }

  purge(room: RoomRef, through: number) {
    return this.#inner.purge(room, through);
  }

  dismiss(room: RoomRef) {
    return this.#inner.dismiss(room);
  }

  /** An answer may be read at the call and arrive late, or be read late: the contract allows both. */
  #answer<T>(read: () => Awaitable<T>): Awaitable<T> {
    const { chance, weather, gates, coverage } = this.#conditions;
    if (!chance.of(weather.readHeld)) return this.#counted(read);
    coverage.count("archive reads held");
    if (chance.of(0.5)) return gates.hold().then(() => this.#counted(read));
    const early = new Promise<T>((resolve) => resolve(this.#counted(read)));
    // Whoever waits is told when the gate opens; until then nobody looks.
    early.catch(() => {});
    return gates.hold().then(() => early);
  }

  #counted<T>(read: () => Awaitable<T>): Awaitable<T> {
    try {
      return read();
    } catch (error) {
      this.#conditions.coverage.count("archive reads refused");
      throw error;
    }
  }
}

export class WeatheredOutletStore implements OutletStore {
  readonly #inner: OutletStore;
  readonly #conditions: Conditions;

  constructor(inner: OutletStore, conditions: Conditions) {
    this.#inner = inner;
    this.#conditions = conditions;
  }

  parked(outlet: string, shards: readonly number[]) {
    return this.#answer(() => this.#inner.parked(outlet, shards));
  }

  async takeUp(outlet: string, shard: number, term: number) {
    return await this.#answer(() => this.#inner.takeUp(outlet, shard, term));
  }

  park(outlet: string, document: ParkedDocument, term: number) {
    return this.#inner.park(outlet, document, term);
  }

  unpark(outlet: string, document: ParkedDocument, term: number) {
    return this.#inner.unpark(outlet, document, term);
  }

  bury(outlet: string, letter: DeadLetterDocument) {
    return this.#inner.bury(outlet, letter);
  }

  deadLetters(outlet: string, page: Page) {
    return this.#answer(() => this.#inner.deadLetters(outlet, page));
  }

  deadLetter(outlet: string, letterId: string) {
    return this.#answer(() => this.#inner.deadLetter(outlet, letterId));
  }

  forget(outlet: string, letterId: string) {
    return this.#inner.forget(outlet, letterId);
  }

  retry(outlet: string, letterId: string) {
    return this.#inner.retry(outlet, letterId);
  }

  retries(outlet: string, shards: readonly number[], limit: number) {
    return this.#answer(() => this.#inner.retries(outlet, shards, limit));
  }

  retried(outlet: string, letterId: string) {
    return this.#inner.retried(outlet, letterId);
  }

  burst(room: RoomRef, userId: string) {
    return this.#answer(() => this.#inner.burst(room, userId));
  }

  putBurst(room: RoomRef, userId: string, document: BurstDocument) {
    return this.#inner.putBurst(room, userId, document);
  }

  forgetBursts(room: RoomRef) {
    return this.#inner.forgetBursts(room);
  }

  #answer<T>(read: () => Awaitable<T>): Awaitable<T> {
    const { chance, weather, gates } = this.#conditions;
    return chance.of(weather.readHeld) ? gates.hold().then(read) : read();
  }
}

export class WeatheredFanout implements Fanout {
  readonly #lost = new Map<string, RoomRef>();
  readonly #inner: Fanout;
  readonly #conditions: Conditions;
  readonly #delayed = new Map<string, { readonly room: RoomRef; readonly batches: (readonly EncodedEvent[])[] }>();
  #subscriptions = 0;

  constructor(inner: Fanout, conditions: Conditions) {
    this.#inner = inner;
    this.#conditions = conditions;
  }

  /** Rooms whose subscribers may not have been told of the last event. */
  get lost(): ReadonlyMap<string, RoomRef> {
    return this.#lost;
  }

  /** What was lost until now is nobody's business any more. */
  forget(): void {
    this.#lost.clear();
  }

  /** How many are subscribed. */
  get subscriptions(): number {
    return this.#subscriptions;
  }

  announce(room: RoomRef, events: readonly EncodedEvent[]): void {
    const { chance, weather, coverage } = this.#conditions;
    if (chance.of(weather.announcementLost)) {
      coverage.count("announcements lost");
      this.#lost.set(room.key, room);
      return;
    }
    const waiting = this.#delayed.get(room.key);
    if (waiting !== undefined || chance.of(weather.announcementDelayed)) {
      coverage.count("announcements delayed");
      const delayed = waiting ?? { room, batches: [] };
      this.#delayed.set(room.key, delayed);
      delayed.batches.push(events);
      return;
    }
    this.#deliver(room, events);
  }

  /** One room's delayed announcements arrive, in their order. Returns whether there were any. */
  arrive(): boolean {
    for (const [key, { room, batches }] of this.#delayed) {
      this.#delayed.delete(key);
      for (const events of batches) this.#deliver(room, events);
      return true;
    }
    return false;
  }

  #deliver(room: RoomRef, events: readonly EncodedEvent[]): void {
    const { chance, weather, coverage } = this.#conditions;
    this.#inner.announce(room, events);
    if (!chance.of(weather.announcementRepeated)) return;
    coverage.count("announcements repeated");
    this.#inner.announce(room, events.slice(chance.below(events.length)));
  }

  signal(room: RoomRef, frame: EncodedFrame): void {
    this.#inner.signal(room, frame);
  }

  get lossy(): boolean {
    return this.#inner.lossy;
  }

  top(room: RoomRef, seq: number) {
    return this.#inner.top(room, seq);
  }

  async subscribe(
    room: RoomRef,
    listener: FanoutListener,
    onSignal?: SignalListener,
    onGap?: GapListener,
  ): Promise<FanoutSubscription> {
    const { chance, weather, coverage, gates } = this.#conditions;
    if (chance.of(weather.readHeld)) await gates.hold();
    if (chance.of(weather.subscribeFails)) {
      coverage.count("fan-out subscriptions refused");
      throw away("the fan-out");
    }
    const subscription = await this.#inner.subscribe(room, listener, onSignal, onGap);
    this.#subscriptions += 1;
    let open = true;
    return {
      close: () => {
        if (open) this.#subscriptions -= 1;
        open = false;
        subscription.close();
      },
    };
  }
}

/** What the simulation's tokens say. */
export interface Token {
  readonly tenantId: string;
  readonly userId: string;
  readonly tokenId: string;
  /** Wall clock; 0: never. */
  readonly expiresAtMs: number;
}

export function tokenText({ tenantId, userId, tokenId, expiresAtMs }: Token): string {
  return [tenantId, userId, tokenId, expiresAtMs].join("/");
}

export class SimulatedVerifier implements TokenVerifier {
  readonly available = true;
  readonly #conditions: Conditions;
  readonly #time: SimulatedTime;
  readonly #revoked: Set<string>;
  readonly #listeners = new Set<(revocation: Revocation) => void>();

  /** `revoked` outlives the process: the auth service knows it. */
  constructor(conditions: Conditions, time: SimulatedTime, revoked: Set<string>) {
    this.#conditions = conditions;
    this.#time = time;
    this.#revoked = revoked;
  }

  async verify(token: string): Promise<Identity> {
    const { chance, weather, gates, coverage } = this.#conditions;
    if (chance.of(weather.readHeld)) await gates.hold();
    if (chance.of(weather.verifyFails)) {
      coverage.count("verifications refused for now");
      throw away("the auth service");
    }
    const [tenantId = "", userId = "", tokenId = "", expires = "0"] = token.split("/");
    if (this.#revoked.has(tokenId)) throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "the token was revoked");
    const expiresAtMs = Number(expires);
    if (expiresAtMs > 0 && expiresAtMs <= this.#time.wallMs) {
      throw new TrunklineError(ErrorCode.TOKEN_EXPIRED, "the token has expired");
    }
    return {
      tenantId,
      userId,
      displayName: userId,
      grants: new Set(),
      expiresAtMs: expiresAtMs > 0 ? expiresAtMs : undefined,
      tokenId,
    };
  }

  revoke(tenantId: string, tokenId: string): void {
    this.#revoked.add(tokenId);
    for (const listener of this.#listeners) listener({ tenantId, subject: { tokenId }, atMs: this.#time.wallMs });
  }

  onRevoked(listener: (revocation: Revocation) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {}
}
