// Rooms with their publishers and receivers, and the judgement of what happened to them.

import { type Endpoints, Schema, TestClient, TRANSPORTS, type Transport } from "../client/index.js";
import { checkHistory, type Finding } from "../history/history.js";
import { signToken, type TokenIssuer } from "../token.js";
import { Publisher } from "./publisher.js";
import type { Random } from "./random.js";
import { call, readEvents, readHistory } from "./read-room.js";
import { Receiver } from "./receiver.js";

export interface CastOptions {
  readonly endpoints: Endpoints;
  readonly issuer: TokenIssuer;
  readonly random: Random;
  readonly roomIds: readonly string[];
  /** One publisher and one receiver per room over each. */
  readonly transports?: readonly Transport[];
  readonly window: number;
  readonly everyMs?: number;
}

export class Cast {
  readonly publishers: readonly Publisher[];
  readonly receivers: readonly Receiver[];
  /** Come only at the end, to the whole of the room. */
  readonly latecomers: readonly Receiver[];
  readonly #options: CastOptions;
  readonly #schema = new Schema();

  constructor(options: CastOptions) {
    this.#options = options;
    const { random, roomIds, transports = TRANSPORTS, window, everyMs = 0 } = options;
    const places = roomIds.flatMap((roomId) => transports.map((transport) => ({ roomId, transport })));
    this.publishers = places.map(({ roomId, transport }) => {
      const name = `publisher-${roomId}-${transport}`;
      return new Publisher({ ...this.#client(transport, name), name, random, roomId, window, everyMs });
    });
    this.receivers = places.map(({ roomId, transport }) => this.#receiver(`receiver-${roomId}`, transport, roomId));
    this.latecomers = places.map(({ roomId, transport }) => this.#receiver(`latecomer-${roomId}`, transport, roomId));
  }

  /** Creates the rooms with everybody as member. */
  async createRooms(): Promise<void> {
    const members = this.#everybody();
    for (const roomId of this.#options.roomIds) {
      const { client, token } = this.#client("grpc", "owner");
      const users = members.filter((member) => member.roomId === roomId).map((member) => ({ userId: member.name }));
      await call(client, token, "CreateRoom", { roomId, key: "create", attempt: 1, members: users });
    }
  }

  start(): void {
    for (const member of [...this.receivers, ...this.publishers]) member.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#everybody().map((member) => member.stop()));
  }

  get acknowledged(): number {
    return this.publishers.reduce((sum, publisher) => sum + publisher.acknowledged.length, 0);
  }

  /** Waits until every publisher is answered and every receiver has all, then judges. Call after the last disturbance. */
  async judge(withinMs: number): Promise<Verdict> {
    await Promise.all(this.publishers.map((publisher) => publisher.finish(withinMs)));
    for (const latecomer of this.latecomers) latecomer.start();
    const findings: Finding[] = [];
    let events = 0;
    for (const roomId of this.#options.roomIds) {
      const { client, token } = this.#client("grpc", "owner");
      const stored = await readEvents(client, token, roomId);
      events += stored.length;
      const receivers = [...this.receivers, ...this.latecomers].filter((receiver) => receiver.roomId === roomId);
      await Promise.all(receivers.map((receiver) => receiver.reached(stored.length, withinMs)));
      const publishers = this.publishers.filter((publisher) => publisher.roomId === roomId);
      findings.push(
        ...checkHistory({
          stored,
          acknowledged: publishers.flatMap((publisher) => publisher.acknowledged),
          published: new Set(publishers.flatMap((publisher) => [...publisher.published])),
          receivers: receivers.map(({ name, events }) => ({ name, from: 0, events })),
        }),
      );
      const messages = stored.filter((event) => event.clientMessageId !== "");
      const history = await readHistory(client, token, roomId);
      if (JSON.stringify(history) !== JSON.stringify(messages)) {
        findings.push({
          kind: "different",
          seq: 0,
          what: `${roomId}: GetHistory and GetEvents tell different messages`,
        });
      }
    }
    const violations = this.#everybody().flatMap((member) => member.violations);
    return { findings, violations, events };
  }

  #everybody(): readonly (Publisher | Receiver)[] {
    return [...this.publishers, ...this.receivers, ...this.latecomers];
  }

  #receiver(role: string, transport: Transport, roomId: string): Receiver {
    const name = `${role}-${transport}`;
    return new Receiver({ ...this.#client(transport, name), name, random: this.#options.random, roomId });
  }

  #client(transport: Transport, user: string): { readonly client: TestClient; readonly token: string } {
    const client = new TestClient(transport, this.#options.endpoints, this.#schema);
    return { client, token: signToken(this.#options.issuer, { user }) };
  }
}

export interface Verdict {
  readonly findings: readonly Finding[];
  /** What no server of the contract does, whatever happened to it. */
  readonly violations: readonly string[];
  /** How many events the rooms hold. */
  readonly events: number;
}
