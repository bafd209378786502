// How far a session has been told of a room. Compared whenever something is handed over, so that live, replay and batch can
// never leave a hole or tell twice, whatever switches when.

export type Verdict =
  /** It joins on: send it. */
  | "send"
  /** All of it was sent before: drop it. */
  | "skip"
  /** It begins too late, or in part too early: what comes after `sent` must be fetched. */
  | "behind";

/** What to do with the events from `firstSeq` to `lastSeq` where `sent` is the last one handed over. */
export function judge(sent: number, firstSeq: number, lastSeq: number): Verdict {
  if (firstSeq === sent + 1) return "send";
  return lastSeq <= sent ? "skip" : "behind";
}
