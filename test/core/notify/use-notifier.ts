// A core with a notifier that remembers, and people who come, go and read.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect } from "vitest";
import type { NotifierOptions } from "../../../src/core/outlet/options.js";
import type { Caller } from "../../../src/core/room/calls.js";
import { SendToRoomRequestSchema, SendToUsersRequestSchema } from "../../../src/gen/trunkline/v1/delivery_pb.js";
import type { Notification } from "../../../src/gen/trunkline/v1/outlet_pb.js";
import { CreateRoomRequestSchema, SetSettingsRequestSchema } from "../../../src/gen/trunkline/v1/room_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { Notifier } from "../../../src/ports/notifier.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { identity, settle, type TestClient, TestCore } from "../use-core.js";

export const GRACE_MS = 10_000;
const BOT: Caller = { identity: identity("bot", { grants: new Set(["service"]) }), deviceId: "" };

export class RecordingNotifier implements Notifier {
  readonly taken: Notification[] = [];
  down = false;
  /** Whether what is taken is not answered. */
  losesAnswer = false;

  async notify(notification: Notification): Promise<void> {
    if (this.down) throw new TrunklineError(ErrorCode.UNAVAILABLE, "nobody answers");
    this.taken.push(notification);
    if (this.losesAnswer) throw new TrunklineError(ErrorCode.UNAVAILABLE, "the answer was lost");
  }

  /** Who was told of which room, up to which seq, in order. */
  get told(): string[] {
    return this.taken.map(({ userId, roomId, first, last }) => `${userId} ${roomId} ${first?.seq}-${last?.seq}`);
  }
}

type Differing = Partial<Omit<NotifierOptions, "notifier">>;
type SendInit = Partial<Exclude<MessageInitShape<typeof SendToRoomRequestSchema>, { $typeName: string }>>;

export class Town {
  readonly engine: MemoryEngine;
  readonly clock = new StoppedClock();
  readonly notifier = new RecordingNotifier();
  readonly #differing: Differing;
  #test: TestCore | undefined;
  #keys = 0;
  #attempts = 0;

  constructor(differing: Differing = {}, engine = new MemoryEngine()) {
    this.#differing = differing;
    this.engine = engine;
  }

  get test(): TestCore {
    if (this.#test === undefined) throw new Error("nothing runs");
    return this.#test;
  }

  async start(): Promise<void> {
    const notifier = { notifier: this.notifier, graceMs: GRACE_MS, ...this.#differing };
    const { engine, clock } = this;
    this.#test = new TestCore({ engine, clock, outlets: { store: engine.outlets, notifier } });
    await this.#test.core.start();
    await settle();
  }

  async stop(): Promise<void> {
    await this.#test?.core.stop();
    this.#test = undefined;
  }

  /** The process dies, and another comes up. */
  async crash(): Promise<void> {
    this.engine.crash();
    // What is left of the old one finds its ports dead.
    this.#test?.core.stop().catch(() => {});
    await this.start();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async room(roomId: string, ...members: readonly string[]): Promise<void> {
    const [owner = "", ...others] = members;
    const value = create(CreateRoomRequestSchema, {
      roomId,
      key: `make-${roomId}`,
      members: others.map((userId) => ({ userId })),
    });
    await this.test.core.rooms.call(this.#caller(owner), { case: "createRoom", value });
  }

  /** Says something as a user, whether they are there or not. Answers its seq. */
  async says(userId: string, roomId: string, more: SendInit = {}): Promise<number> {
    const request = create(SendToRoomRequestSchema, {
      roomId,
      key: `key-${++this.#keys}`,
      asUserId: userId,
      body: { kind: { case: "text", value: `words ${this.#keys}` } },
      ...more,
    });
    const { position } = await this.test.core.delivery.sendToRoom(BOT, request);
    await settle(5);
    return position?.seq ?? 0;
  }

  /** A service's message for a user's inbox. */
  async tells(userId: string): Promise<void> {
    const body = { kind: { case: "text" as const, value: "for you" } };
    const request = create(SendToUsersRequestSchema, { userIds: [userId], key: `key-${++this.#keys}`, body });
    const { results } = await this.test.core.delivery.sendToUsers(BOT, request);
    expect(results[0]?.errorReason).toBe("");
  }

  comes(userId: string, deviceId = `device-of-${userId}`): Promise<TestClient> {
    return this.test.connect(userId, { device: { deviceId, name: deviceId }, attempt: ++this.#attempts });
  }

  /** Marks the room as read up to its end, as its user. */
  async reads(client: TestClient, roomId: string, what: "read" | "delivered" = "read"): Promise<void> {
    const answer = await client.ask({ case: "subscribe", value: { roomId } });
    if (answer.case !== "subscribed") throw new Error(`not subscribed: ${JSON.stringify(answer.value)}`);
    const { seq = 0, tag = 0 } = answer.value.top ?? {};
    const marked = await client.ask({ case: "mark", value: { roomId, [what]: { seq, tag } } });
    expect(marked.case).toBe("done");
  }

  async sets(userId: string, key: string, level: string): Promise<void> {
    const settings = [{ key, value: new TextEncoder().encode(level) }];
    const value = create(SetSettingsRequestSchema, { settings, key: `key-${++this.#keys}` });
    await this.test.core.rooms.call(this.#caller(userId), { case: "setSettings", value });
  }

  /** Time passes. */
  async elapse(milliseconds: number): Promise<void> {
    await this.test.elapse(milliseconds);
  }

  #caller(userId: string): Caller {
    return { identity: identity(userId), deviceId: "" };
  }
}
