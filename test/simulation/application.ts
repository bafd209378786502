// The application that a tenant's rooms belong to: it has a say in what is published, keeps who may be in channels by itself, answers late or not at
// all, and holds the log against what it has said.

import { create } from "@bufbuild/protobuf";
import { BodySchema, Permission, Role, type RoomEvent, RoomKind } from "../../src/gen/trunkline/v1/message_pb.js";
import type { AccessAnswer, AccessHook, AccessQuestion } from "../../src/ports/access-hook.js";
import type { Clock } from "../../src/ports/clock.js";
import type { Publication, PublishHook, PublishVerdict } from "../../src/ports/publish-hook.js";
import type { Checker } from "./checker.js";
import { textOf, timeOf } from "./message-record.js";
import { away, type Conditions } from "./ports.js";
import { changedWords, GOVERNED_TENANT, type RoomRecord } from "./room-record.js";
import { Violation } from "./violation.js";

/** Rooms in which it has a say in what is said. */
export const SAID_IN = [RoomKind.GROUP, RoomKind.CHANNEL, RoomKind.DIRECT];
/** Longer than this nobody waits for its answer, in milliseconds. */
const DEADLINE_MS = 500;
const REFUSED = 0.06;
const CHANGED = 0.06;
const TTLS_MS = [0, 1_000, 5_000, 20_000];

export interface ApplicationOptions {
  readonly checker: Checker;
  readonly eventId: (tenantId: string, roomId: string, userId: string, key: string) => string;
  /** Users whom it is not asked about. */
  readonly trusted: ReadonlySet<string>;
}

export class Application {
  readonly #options: ApplicationOptions;
  /** By event: what it may say. */
  readonly #approved = new Map<string, Set<string>>();
  /** When somebody first asked for an event, wall clock. */
  readonly #begun = new Map<string, number>();
  /** By room, user and right, where it has decided: whether they have it. Else they do. */
  readonly #minds = new Map<string, boolean>();
  /** By room, user and right: the last allow's end, and when it was asked for, wall clock. */
  readonly #allowed = new Map<string, { readonly untilMs: number; readonly askedAtMs: number }>();

  constructor(options: ApplicationOptions) {
    this.#options = options;
  }

  /** Whether it lets the user read the room, as of now. */
  admits(roomKey: string, userId: string): boolean {
    const room = this.#options.checker.room(roomKey);
    return !room.isGoverned || this.#allows((room.root ?? room).key, userId, Permission.READ);
  }

  /** It decides otherwise than before. */
  changeMind(roomKey: string, userId: string, permission: Permission): void {
    this.#minds.set(`${roomKey} ${userId} ${permission}`, !this.#allows(roomKey, userId, permission));
  }

  #allows(roomKey: string, userId: string, permission: Permission): boolean {
    return this.#minds.get(`${roomKey} ${userId} ${permission}`) ?? true;
  }

  // — what it is asked —

  publishHook(conditions: Conditions, clock: Clock): PublishHook {
    return {
      beforePublish: (publication) => this.#answer(conditions, clock, () => this.#judge(publication, conditions)),
    };
  }

  accessHook(conditions: Conditions, clock: Clock): AccessHook {
    return {
      authorize: async (question) => {
        const askedAtMs = clock.now();
        const answer = await this.#answer(conditions, clock, () => this.#authorize(question, conditions));
        if (answer.allowed) this.#noteAllow(question, askedAtMs, Math.max(askedAtMs + answer.ttlMs, clock.now()));
        return answer;
      },
    };
  }

  /** Answered at once, or late, or not in time. */
  async #answer<T>({ chance, weather, gates, coverage }: Conditions, clock: Clock, judge: () => T): Promise<T> {
    if (chance.of(weather.hookFails)) {
      coverage.count("hooks without an answer");
      throw away("the application");
    }
    if (!chance.of(weather.readHeld)) return judge();
    const late = Promise.withResolvers<never>();
    const timer = clock.after(DEADLINE_MS, () => late.reject(away("the application")));
    await Promise.race([gates.hold(), late.promise]).finally(() => timer.cancel());
    return judge();
  }

  #judge({ tenantId, roomId, sender, key, message }: Publication, { chance, coverage }: Conditions): PublishVerdict {
    const { kind } = message.body ?? { kind: { case: undefined } };
    const text = kind.case === "text" ? kind.value : "";
    if (chance.of(REFUSED)) {
      coverage.count("messages refused by a hook");
      return { decision: "refuse", reason: "not said here", code: "" };
    }
    const id = `${tenantId}/${this.#options.eventId(tenantId, roomId, sender.userId, key)}`;
    const approved = this.#approved.get(id) ?? new Set<string>();
    this.#approved.set(id, approved);
    if (!chance.of(CHANGED)) {
      approved.add(text);
      return { decision: "allow" };
    }
    coverage.count("messages changed by a hook");
    approved.add(changedWords(text));
    const body = create(BodySchema, { kind: { case: "text", value: changedWords(text) } });
    return { decision: "change", body, mentions: undefined, metadata: undefined };
  }

  #authorize({ tenantId, roomId, userId, permission }: AccessQuestion, { chance, coverage }: Conditions): AccessAnswer {
    const allowed = this.#allows(`${tenantId}/${roomId}`, userId, permission);
    coverage.count(allowed ? "rights allowed by a hook" : "rights denied by a hook");
    // With a role of its own for somebody it would go on changing rooms in a calm.
    return { allowed, ttlMs: chance.pick(TTLS_MS), role: Role.UNSPECIFIED };
  }

  #noteAllow({ tenantId, roomId, userId, permission }: AccessQuestion, askedAtMs: number, untilMs: number): void {
    const id = `${tenantId}/${roomId} ${userId} ${permission}`;
    const before = this.#allowed.get(id);
    this.#allowed.set(id, {
      untilMs: Math.max(untilMs, before?.untilMs ?? 0),
      askedAtMs: Math.max(askedAtMs, before?.askedAtMs ?? 0),
    });
  }

  // — what came of it —

  /** Somebody asks for an event for the first time. */
  begins(tenantId: string, eventId: string, atMs: number): void {
    if (tenantId === GOVERNED_TENANT) this.#begun.set(eventId, atMs);
  }

  /** The log is about to have this event in a room that has come to the one before it. */
  logged(room: RoomRecord, event: RoomEvent): void {
    if (!room.key.startsWith(`${GOVERNED_TENANT}/`) || room.kind === RoomKind.INBOX) return;
    const { kind, actor } = event;
    const userId = actor?.userId ?? "";
    if (userId === "" || actor?.serviceId !== "" || this.#options.trusted.has(userId)) return;
    if (kind.case === "messageCreated" || kind.case === "messageEdited") this.#requireApproved(room, event);
    if (!room.isGoverned) return;
    if (kind.case === "messageCreated") this.#requireAllowed(room, userId, Permission.PUBLISH, event);
    if (kind.case === "memberJoined" && kind.value.member?.userId === userId)
      this.#requireAdmitted(room, userId, event);
  }

  #requireApproved({ key, kind }: RoomRecord, event: RoomEvent): void {
    if (!SAID_IN.includes(kind)) return;
    const approved = this.#approved.get(`${GOVERNED_TENANT}/${event.eventId}`);
    if (approved?.has(textOf(event)) === true) return;
    throw new Violation(
      "not permitted",
      `${key}: the application has not allowed "${textOf(event)}" (${event.eventId})`,
    );
  }

  /** Since it was asked for, or at that time, an allow held. */
  #requireAllowed(room: RoomRecord, userId: string, permission: Permission, { eventId }: RoomEvent): void {
    const begunAtMs = this.#begun.get(eventId);
    const { untilMs = 0 } = this.#allowed.get(`${(room.root ?? room).key} ${userId} ${permission}`) ?? {};
    if (begunAtMs === undefined || untilMs >= begunAtMs) return;
    const named = `${room.key}: ${eventId} of ${userId}, begun at ${begunAtMs}`;
    throw new Violation(
      "not permitted",
      `${named}, though ${Permission[permission]} was allowed until ${untilMs} at most`,
    );
  }

  /** Whoever comes in has been let in since they were out. */
  #requireAdmitted({ key, events }: RoomRecord, userId: string, { eventId }: RoomEvent): void {
    const left = events.findLast(({ kind }) => kind.case === "memberLeft" && kind.value.userId === userId);
    const { askedAtMs = Number.NEGATIVE_INFINITY } = this.#allowed.get(`${key} ${userId} ${Permission.READ}`) ?? {};
    if (askedAtMs >= (left === undefined ? 0 : timeOf(left))) return;
    throw new Violation(
      "not permitted",
      `${key}: ${userId} came in by ${eventId}, let in at ${askedAtMs} before they were out`,
    );
  }

  /** Somebody was shown a room for which they had asked at `sinceMs`. */
  requireShown(roomKey: string, userId: string, sinceMs: number): void {
    const room = this.#options.checker.room(roomKey);
    if (!room.isGoverned) return;
    const { untilMs = 0 } = this.#allowed.get(`${(room.root ?? room).key} ${userId} ${Permission.READ}`) ?? {};
    if (untilMs >= sinceMs) return;
    throw new Violation(
      "not permitted",
      `${roomKey}: shown to ${userId}, who was let read until ${untilMs} and asked at ${sinceMs}`,
    );
  }
}
