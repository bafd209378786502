// Runs in the page, before the program: what goes over its WebSockets, and when.

/** One connection, as the page had it. Times in milliseconds, of the page's clock. */
export interface TappedConnection {
  readonly dialledAt: number;
  openedAt: number;
  readonly frames: TappedFrame[];
}

export interface TappedFrame {
  readonly at: number;
  readonly up: boolean;
  readonly bytes: number;
}

/** From now on, all that are opened. */
export function tapWebSockets(): readonly TappedConnection[] {
  const connections: TappedConnection[] = [];
  class Tapped extends WebSocket {
    readonly #connection: TappedConnection = { dialledAt: performance.now(), openedAt: Number.NaN, frames: [] };

    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args);
      connections.push(this.#connection);
      this.addEventListener("open", () => {
        this.#connection.openedAt = performance.now();
      });
      this.addEventListener("message", ({ data }) => this.#note(false, data));
    }

    override send(data: Parameters<WebSocket["send"]>[0]): void {
      this.#note(true, data);
      super.send(data);
    }

    #note(up: boolean, data: unknown): void {
      this.#connection.frames.push({ at: performance.now(), up, bytes: sizeOf(data) });
    }
  }
  globalThis.WebSocket = Tapped;
  return connections;
}

function sizeOf(data: unknown): number {
  if (typeof data === "string") return new TextEncoder().encode(data).length;
  return data instanceof ArrayBuffer || ArrayBuffer.isView(data) ? data.byteLength : Number.NaN;
}
