// Who talks while things fail: in each room some who publish and some who read, each through any node, and always back.

import { type Endpoints, type Schema, TestClient, TRANSPORTS } from "../client/index.js";
import type { RoomHistory, SeenEvent } from "../history/history.js";
import { Publisher } from "../story/publisher.js";
import type { Random } from "../story/random.js";
import { Receiver } from "../story/receiver.js";
import { signToken, type TokenIssuer } from "../token.js";

export interface CrowdOptions {
  /** Tells its rooms and users apart from those of other crowds. */
  readonly name: string;
  /** Nodes and bridges; who comes back goes to any of them. */
  readonly endpoints: readonly Endpoints[];
  readonly issuer: TokenIssuer;
  readonly schema: Schema;
  readonly random: Random;
  readonly rooms: number;
  readonly publishersPerRoom: number;
  readonly receiversPerRoom: number;
  /** Between the answer to one message and the next, in milliseconds. */
  readonly everyMs: number;
}

/** The tenant of the tokens that tests sign. */
const TENANT = "demo";
const OWNER = "owner";
/** A node that stands still is left after this, in milliseconds. */
const PATIENCE_MS = 4_000;
const PAUSE_MS = 100;
const CREATE_MS = 60_000;
const CREATE_AGAIN_MS = 250;

export class Crowd {
  readonly roomIds: readonly string[];
  readonly #options: CrowdOptions;
  readonly #publishers: readonly Publisher[];
  readonly #receivers: readonly Receiver[];
  /** Come only at the end, to the whole of a room. */
  readonly #latecomers: readonly Receiver[];

  constructor(options: CrowdOptions) {
    this.#options = options;
    const { name, rooms, publishersPerRoom, receiversPerRoom, everyMs } = options;
    this.roomIds = Array.from({ length: rooms }, (_, index) => `${name}-${index}`);
    const members = <T>(count: number, role: string, make: (user: string, roomId: string, place: number) => T): T[] =>
      this.roomIds.flatMap((roomId) =>
        Array.from({ length: count }, (_, index) => make(`${role}-${roomId}-${index}`, roomId, index)),
      );
    this.#publishers = members(publishersPerRoom, "publisher", (user, roomId, place) => {
      return new Publisher({ ...this.#comesBack(user, place), roomId, window: 1, everyMs });
    });
    const receiver = (user: string, roomId: string, place: number) =>
      new Receiver({ ...this.#comesBack(user, place), roomId });
    this.#receivers = members(receiversPerRoom, "receiver", receiver);
    this.#latecomers = members(1, "latecomer", receiver);
  }

  /** Creates the rooms with all who are to be in them. */
  async createRooms(): Promise<void> {
    await Promise.all(
      this.roomIds.map((roomId) => {
        const users = this.#everybody().filter((member) => member.roomId === roomId);
        const members = users.map((member) => ({ userId: member.name }));
        return this.#insist("CreateRoom", { roomId, key: "create", attempt: 1, members });
      }),
    );
  }

  start(): void {
    for (const member of [...this.#receivers, ...this.#publishers]) member.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#everybody().map((member) => member.stop()));
  }

  /** Accepted messages: the room, when it was asked for and when it was answered, monotonic. */
  *accepted(): Iterable<{ readonly roomId: string; readonly begun: number; readonly answered: number }> {
    for (const { roomId, acknowledged } of this.#publishers)
      for (const { time } of acknowledged) if (time !== undefined) yield { roomId, ...time };
  }

  get acknowledged(): number {
    return this.#publishers.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
  }

  /** How often each code was the answer. */
  refusals(): ReadonlyMap<string, number> {
    const counted = new Map<string, number>();
    for (const { refused } of this.#publishers)
      for (const { code } of refused) counted.set(code, (counted.get(code) ?? 0) + 1);
    return counted;
  }

  /** Each room's key in the log and in the archive. */
  keyOf(roomId: string): string {
    return `${TENANT}/${roomId}`;
  }

  /** Begins nothing new, and waits until everything that was begun is answered. What is not by then is said. */
  async finish(withinMs: number): Promise<readonly string[]> {
    const late = await Promise.all(
      this.#publishers.map((publisher) =>
        publisher.finish(withinMs).then(
          () => [],
          (error: unknown) => [String(error)],
        ),
      ),
    );
    return late.flat();
  }

  /** Waits, not for longer than this, until everybody who reads has come to the end of their room. */
  async catchUp(stored: ReadonlyMap<string, readonly SeenEvent[]>, withinMs: number): Promise<void> {
    for (const latecomer of this.#latecomers) latecomer.start();
    await Promise.all(
      this.#readers().map((reader) => {
        const top = stored.get(this.keyOf(reader.roomId))?.length ?? 0;
        // Who does not is found by the history.
        return reader.reached(top, withinMs).catch(() => {});
      }),
    );
  }

  /** By room, what happened as far as the crowd knows. */
  history(roomId: string, stored: readonly SeenEvent[], archived: readonly SeenEvent[]): RoomHistory {
    const publishers = this.#publishers.filter((publisher) => publisher.roomId === roomId);
    return {
      stored,
      archived,
      acknowledged: publishers.flatMap(({ acknowledged }) => acknowledged),
      refused: publishers.flatMap(({ refused }) => refused),
      published: new Set(publishers.flatMap(({ published }) => [...published])),
      receivers: this.#readers()
        .filter((reader) => reader.roomId === roomId)
        .map(({ name, events }) => ({ name, from: 0, events })),
    };
  }

  /** What no node of the contract does, whatever happens to it. */
  violations(): readonly string[] {
    const resets = this.#readers().flatMap(({ name, resets }) =>
      resets.map((reason) => `${name} was reset: ${reason}`),
    );
    return [...this.#everybody().flatMap((member) => member.violations), ...resets];
  }

  #readers(): readonly Receiver[] {
    return [...this.#receivers, ...this.#latecomers];
  }

  #everybody(): readonly (Publisher | Receiver)[] {
    return [...this.#publishers, ...this.#readers()];
  }

  /** In turn over each transport. */
  #comesBack(name: string, place: number) {
    const { endpoints, issuer, schema, random } = this.#options;
    const transport = TRANSPORTS[place % TRANSPORTS.length] ?? "grpc";
    const clients = endpoints.map((each) => new TestClient(transport, each, schema));
    const [client] = clients;
    if (client === undefined) throw new Error("a crowd needs a node");
    const token = signToken(issuer, { user: name });
    return { client, clients, name, token, random, patienceMs: PATIENCE_MS, pauseMs: PAUSE_MS };
  }

  /** Calls one node after the other until one does it. */
  async #insist(method: string, request: Parameters<TestClient["call"]>[2]): Promise<void> {
    const { endpoints, issuer, schema } = this.#options;
    const token = signToken(issuer, { user: OWNER });
    const deadline = performance.now() + CREATE_MS;
    for (let attempt = 0; ; attempt++) {
      const there = endpoints[attempt % endpoints.length];
      if (there === undefined) throw new Error("a crowd needs a node");
      const outcome = await new TestClient("grpc", there, schema).call(token, method, request);
      if (!("error" in outcome)) return;
      if (performance.now() > deadline) throw new Error(`${method}: ${JSON.stringify(outcome.error)}`);
      await new Promise((resolve) => setTimeout(resolve, CREATE_AGAIN_MS));
    }
  }
}
