// Pages of one user's browser, one after the other or at once, which share what is kept; and rooms of messages at a scripted server.

import { Client, type ClientOptions } from "../../../../bridge/client/client.js";
import type { Sending } from "../../../../bridge/client/outbox/sending.js";
import { MemoryStorage, type OutboxStorage } from "../../../../bridge/client/outbox/storage.js";
import { jsonCodec } from "../../../../bridge/client/wire/codec.js";
import { MessageRoom } from "../support/message-room.js";
import { Page } from "../support/page.js";
import { useServer } from "../support/use-client.js";
import type { World } from "../support/world.js";

const AN_HOUR_MS = 3_600_000;

export function usePages(roomIds: readonly string[] = ["tea"]) {
  const { world, server, run } = useServer();
  const storage = new SlowStorage(world);
  const rooms = new Map(roomIds.map((id) => [id, new MessageRoom(server, id)]));
  let ids = 0;
  let pages = 0;
  return {
    world,
    server,
    storage,
    run,
    room(id = "tea"): MessageRoom {
      const room = rooms.get(id);
      if (room === undefined) throw new Error(`there is no room ${id}`);
      return room;
    },
    /** Another page. */
    open({ outbox, ...options }: Partial<ClientOptions> = {}) {
      const page = Object.assign(new Page(server.network), { id: () => `id-${++ids}` });
      const client = new Client(
        {
          url: "http://one",
          token: () => server.issue(AN_HOUR_MS),
          device: { deviceId: `device-${++pages}` },
          outbox: { storage, owner: { userId: "ada" }, ...outbox },
          ...options,
        },
        { codec: jsonCodec, platform: page },
      );
      const unsent: Sending[] = [];
      const storageErrors: unknown[] = [];
      client.on("unsent", (sending) => unsent.push(sending));
      client.on("storageFailed", (error) => storageErrors.push(error));
      return { page, client, unsent, storageErrors };
    },
  };
}

/** Takes its time, and may fail. */
export class SlowStorage extends MemoryStorage {
  readonly #world: World;
  delayMs = 0;
  broken = false;

  constructor(world: World) {
    super();
    this.#world = world;
  }

  override load(...args: Parameters<OutboxStorage["load"]>): ReturnType<OutboxStorage["load"]> {
    return this.#late(() => super.load(...args));
  }

  override put(...args: Parameters<OutboxStorage["put"]>): ReturnType<OutboxStorage["put"]> {
    return this.#late(() => super.put(...args));
  }

  override remove(...args: Parameters<OutboxStorage["remove"]>): ReturnType<OutboxStorage["remove"]> {
    return this.#late(() => super.remove(...args));
  }

  override get(...args: Parameters<OutboxStorage["get"]>): ReturnType<OutboxStorage["get"]> {
    return this.#late(() => super.get(...args));
  }

  #late<T>(run: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#world.after(this.delayMs, () => {
        if (this.broken) reject(new Error("the disk is full"));
        else run().then(resolve, reject);
      });
    });
  }
}
