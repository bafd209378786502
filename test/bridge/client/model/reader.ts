// An application's part that wants a room, by listening or by iterating, and notes whatever it is told that it should not be.

import type { Client } from "../../../../bridge/client/client.js";
import type { Position, RoomEvent } from "../../../../bridge/client/gen/types.js";
import type { Room } from "../../../../bridge/client/room/room.js";
import type { World } from "../support/world.js";

export interface ReaderContext {
  readonly world: World;
  readonly client: Client;
  /** What an event says that was ever at this place of the room, in this history. */
  said(roomId: string, position: Position): string | undefined;
  breach(what: string): void;
}

/** Between two tries to load the history. */
const AGAIN_MS = 1_000;

export class Reader {
  readonly room: Room;
  readonly #context: ReaderContext;
  /** Undefined: it listens. */
  readonly #ahead: number | undefined;
  /** The seq of the last event it was told, or after which the first is to come. Undefined: it is told by the subscription. */
  #seq: number | undefined;
  wanted = false;
  /** How long it thinks about each event that it takes. */
  thinkMs: () => number = () => 0;
  /** Whether an event makes it close the room, just so. */
  whim: () => boolean = () => false;
  #loading = false;
  #iterating: Promise<void> = Promise.resolve();
  /** Counts what is wanted. */
  #wish = 0;

  constructor(roomId: string, context: ReaderContext, ahead?: number) {
    this.room = context.client.room(roomId);
    this.#context = context;
    this.#ahead = ahead;
    this.room.on("subscribed", () => {
      this.#seq ??= this.room.position?.seq ?? 0;
    });
    if (ahead !== undefined) return;
    this.room.on("event", (event) => {
      this.#told(event);
      if (this.whim()) this.close();
    });
    this.room.on("state", ({ status }) => {
      if (status === "reset") void this.#reload(this.#wish);
    });
  }

  /** The last that it was told of. */
  get seq(): number | undefined {
    return this.#seq;
  }

  open(after?: Position): void {
    this.wanted = true;
    this.#wish++;
    if (this.#ahead !== undefined) this.#iterate(this.#wish, after);
    else this.#openAt(after);
  }

  close(): void {
    this.wanted = false;
    this.#wish++;
    this.room.close();
  }

  #openAt(after: Position | undefined): void {
    if (after !== undefined) this.#seq = after.seq ?? 0;
    this.room.open({ after });
  }

  #told(event: RoomEvent): void {
    const { position = {}, messageCreated } = event;
    const { id } = this.room;
    const seq = position.seq ?? 0;
    if (this.#seq === undefined) this.#context.breach(`${id}: ${seq} came before the subscription`);
    else if (seq !== this.#seq + 1) this.#context.breach(`${id}: ${seq} came after ${this.#seq}`);
    if (this.#ahead === undefined && !this.wanted) this.#context.breach(`${id}: ${seq} came to whoever had closed it`);
    if (this.#context.said(id, position) !== messageCreated?.body?.text) {
      this.#context.breach(`${id}: ${seq} says what was never said`);
    }
    this.#seq = seq;
  }

  /** The position cannot be continued from. */
  async #reload(wish: number): Promise<void> {
    if (this.#loading) return;
    this.#loading = true;
    const asOf = await this.#history(() => wish === this.#wish);
    this.#loading = false;
    if (asOf === undefined) {
      if (this.wanted && this.room.state.status === "reset") void this.#reload(this.#wish);
    } else this.#openAt(asOf);
  }

  /** Undefined: it is not wanted any more. */
  async #history(wanted: () => boolean): Promise<Position | undefined> {
    while (wanted()) {
      try {
        const { asOf = {} } = await this.room.history();
        if (wanted()) return asOf;
      } catch {
        await this.#sleep(AGAIN_MS);
      }
    }
    return undefined;
  }

  /** What an earlier iteration was still given is taken first. */
  #iterate(wish: number, after: Position | undefined): void {
    this.#iterating = this.#iterating.then(async () => {
      let from = after;
      while (wish === this.#wish) {
        if (from !== undefined) this.#seq = from.seq ?? 0;
        try {
          for await (const event of this.room.events({ after: from, ahead: this.#ahead })) {
            this.#told(event);
            await this.#sleep(this.thinkMs());
          }
          // Closed, or gone: it is opened again where that is wanted.
          return;
        } catch {
          if (this.room.state.status !== "reset") return;
          from = await this.#history(() => wish === this.#wish);
        }
      }
    });
  }

  #sleep(ms: number): Promise<void> {
    return ms === 0 ? Promise.resolve() : new Promise((resolve) => this.#context.world.after(ms, resolve));
  }
}
