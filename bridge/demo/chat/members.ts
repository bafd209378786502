// Who is in a room: read when it is first asked for, and again when somebody has come or gone.

import type { Client } from "../../client/client.js";
import type { Member, RoomEvent } from "../../client/gen/types.js";

/** Members that are shown of a room. */
const MOST = 500;

interface Known {
  members: readonly Member[];
  loading: boolean;
  /** Something has changed since it was asked for. */
  stale: boolean;
}

export class Members {
  readonly #client: Client;
  readonly #rooms = new Map<string, Known>();
  readonly #listeners = new Set<() => void>();
  readonly #unlisten: () => void;

  constructor(client: Client) {
    this.#client = client;
    this.#unlisten = client.on("state", ({ status }) => {
      if (status !== "live") return;
      for (const roomId of this.#rooms.keys()) this.refresh(roomId);
    });
  }

  /** Empty until they are known. */
  of(roomId: string): readonly Member[] {
    const known = this.#rooms.get(roomId);
    if (known !== undefined) return known.members;
    this.#rooms.set(roomId, { members: [], loading: false, stale: true });
    this.refresh(roomId);
    return [];
  }

  happened(roomId: string, { memberJoined, memberLeft, memberChanged }: RoomEvent): void {
    if ((memberJoined ?? memberLeft ?? memberChanged) !== undefined) this.refresh(roomId);
  }

  refresh(roomId: string): void {
    const known = this.#rooms.get(roomId);
    if (known === undefined) return;
    known.stale = true;
    if (!known.loading) void this.#load(roomId, known);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  close(): void {
    this.#unlisten();
  }

  /** Never rejects: what was known is shown until there is a connection again. */
  async #load(roomId: string, known: Known): Promise<void> {
    known.loading = true;
    try {
      while (known.stale) {
        known.stale = false;
        const { listMembers } = await this.#client.call({ listMembers: { roomId, pageSize: MOST } });
        known.members = listMembers?.members ?? [];
        for (const listener of this.#listeners) listener();
      }
    } catch {
      known.stale = true;
    } finally {
      known.loading = false;
    }
  }
}
