// How far a session has been told of a room. Compared whenever something is handed over, so that live, replay and batch can
// never leave a hole or tell twice, whatever switches when.

export type Verdict =
  /** It joins on: send it. */
  | "send"
  /** All of it was sent before: drop it. */
  | "skip"
  /** It begins too late, or in part too early: what comes after `sent` must be fetched. */
  | "behind";

export class Cursor {
  #sent: number;

  constructor(sent: number) {
    this.#sent = sent;
  }

  /** The last seq handed over. */
  get sent(): number {
    return this.#sent;
  }

  judge(firstSeq: number, lastSeq: number): Verdict {
    if (firstSeq === this.#sent + 1) return "send";
    return lastSeq <= this.#sent ? "skip" : "behind";
  }

  /** What was judged "send" has been handed over up to here. */
  advance(lastSeq: number): void {
    this.#sent = lastSeq;
  }
}
