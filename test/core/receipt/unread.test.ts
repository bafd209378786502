// What is unread, held against a model: whatever devices mark in whatever order, over restarts and repeats.

import fc from "fast-check";
import { expect, it } from "vitest";
import { MemoryEngine } from "../../support/memory-engine.js";
import { settle, type TestClient, TestCore } from "../use-core.js";
import { type Place, Receivers } from "./use-receipts.js";

const NAMES = ["ada", "bob", "eve"] as const;

const who = fc.constantFrom(...NAMES);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant("say" as const), who }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("delete" as const), who, which: fc.nat(30) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant("mark" as const),
      who,
      device: fc.constantFrom("phone", "desk"),
      which: fc.nat(30),
      read: fc.boolean(),
      beyond: fc.integer({ min: 1, max: 20 }).map((n) => n === 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("wait" as const), ms: fc.constantFrom(250, 1_250) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("restart" as const) }) },
);

interface Said extends Place {
  readonly sender: string;
  readonly index: number;
}

class World {
  readonly engine = new MemoryEngine();
  core = new TestCore({ engine: this.engine });
  receivers = new Receivers(this.core);
  clients = new Map<string, TestClient>();
  /** Every durable event that can be marked. */
  readonly places: (Place & { readonly index: number })[] = [];
  readonly said: Said[] = [];
  readonly furthest = new Map<string, { delivered: number; read: number; index: number }>();

  constructor(answersLater: boolean) {
    this.engine.answersLater = answersLater;
  }

  async start(): Promise<void> {
    await this.core.core.start();
    this.clients = new Map();
    for (const name of NAMES) {
      for (const deviceId of ["phone", "desk"]) {
        this.clients.set(`${name} ${deviceId}`, await this.core.connect(name, { device: { deviceId } }));
      }
    }
  }

  async restart(): Promise<void> {
    await this.core.core.stop();
    this.engine.crash();
    this.core = new TestCore({ engine: this.engine });
    this.receivers = new Receivers(this.core);
    await this.start();
  }

  client(name: string, device = "phone"): TestClient {
    const client = this.clients.get(`${name} ${device}`);
    if (client === undefined) throw new Error(`${name} is not there`);
    return client;
  }

  async say(name: string): Promise<void> {
    const place = { ...(await this.receivers.say(this.client(name))), sender: name, index: this.said.length + 1 };
    this.said.push(place);
    this.places.push(place);
  }

  async delete(name: string, which: number): Promise<void> {
    const mine = this.said.filter(({ sender }) => sender === name);
    const target = mine[which % Math.max(mine.length, 1)];
    if (target === undefined) return;
    const value = { roomId: "r", messageId: target.messageId, key: `delete-${target.messageId}` };
    const answer = await this.client(name).ask({ case: "deleteMessage", value });
    if (answer.case !== "changed" || answer.value.duplicate) return;
    const { seq = 0, tag = 0 } = answer.value.position ?? {};
    this.places.push({ seq, tag, messageId: "", index: this.said.length });
  }

  async mark(name: string, device: string, which: number, read: boolean, beyond: boolean): Promise<void> {
    const place = this.places[which % Math.max(this.places.length, 1)];
    if (place === undefined) return;
    const { seq, tag, index } = place;
    const stated = beyond ? { seq: this.places.length + 2, tag } : { seq, tag };
    const answer = await this.receivers.mark(
      this.client(name, device),
      read ? { read: stated } : { delivered: stated },
    );
    expect(answer.case).toBe(beyond ? "error" : "done");
    if (beyond) return;
    const before = this.furthest.get(name) ?? { delivered: 0, read: 0, index: 0 };
    this.furthest.set(name, {
      delivered: Math.max(before.delivered, seq),
      read: read ? Math.max(before.read, seq) : before.read,
      index: read ? Math.max(before.index, index) : before.index,
    });
  }

  async check(): Promise<void> {
    for (const name of NAMES) {
      const answer = await this.receivers.call(this.client(name), { case: "listRooms", value: {} });
      if (answer.case !== "callResult" || answer.value.rpc.case !== "listRooms") throw new Error("not answered");
      const [room] = answer.value.rpc.value.rooms;
      const { delivered, read, index } = this.furthest.get(name) ?? { delivered: 0, read: 0, index: 0 };
      const unread = this.said.filter((each) => each.index > index && each.sender !== name).length;
      expect({ unread: room?.unreadCount, read: room?.readSeq, delivered: room?.marker?.deliveredSeq ?? 0 }).toEqual({
        unread,
        read,
        delivered,
      });
    }
  }
}

it.each([false, true])(
  "is what a model says (answers come later: %s)",
  async (answersLater) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const world = new World(answersLater);
        await world.start();
        await world.core.room(world.client("ada"), "r", "bob", "eve");
        for (const each of steps) {
          switch (each.does) {
            case "say":
              await world.say(each.who);
              break;
            case "delete":
              await world.delete(each.who, each.which);
              break;
            case "mark":
              await world.mark(each.who, each.device, each.which, each.read, each.beyond);
              break;
            case "wait":
              await world.core.elapse(each.ms);
              break;
            case "restart":
              await world.restart();
          }
        }
        await world.check();
        await world.core.core.stop();
        await settle();
      }),
      { numRuns: 25 },
    );
  },
  60_000,
);
