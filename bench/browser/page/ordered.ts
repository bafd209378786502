// Runs in the page. Counts the messages of its rooms, which are numbered over all of them: message n goes to room n modulo their number.

/** One in so many is looked at for how late it is. */
const LOOKED_AT = 97;
const NUMBER_FROM = 2;
const NUMBER_TO = 10;

/** When message n is due: `startAt` + n × `intervalMs`, in milliseconds since 1970. */
export interface Due {
  readonly startAt: number;
  readonly intervalMs: number;
}

export class Ordered {
  received = 0;
  /** Come again, or after one that follows it in its room. */
  doubled = 0;
  #latencies: number[] = [];
  #due: Due | undefined;
  readonly #next: number[];

  constructor(rooms: number) {
    this.#next = Array.from({ length: rooms }, (_, room) => room);
  }

  /** A message with a text as bench/wire/message-text.ts writes it. */
  take(text: string): void {
    const n = Number(text.slice(NUMBER_FROM, NUMBER_TO));
    const rooms = this.#next.length;
    const room = n % rooms;
    const expected = this.#next[room] ?? 0;
    this.received++;
    if (n < expected) {
      this.doubled++;
      return;
    }
    this.#next[room] = n + rooms;
    if (this.#due === undefined || n % LOOKED_AT !== 0) return;
    this.#latencies.push(performance.timeOrigin + performance.now() - this.#due.startAt - n * this.#due.intervalMs);
  }

  /** How late messages are is looked at from now on. */
  begin(due: Due): void {
    this.#due = due;
    this.#latencies = [];
  }

  /** In milliseconds. */
  get latencies(): readonly number[] {
    return this.#latencies;
  }
}
