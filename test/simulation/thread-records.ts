// The threads of a room as the checker has them from the log: which message is in which, and how many replies each had when.

import type { RoomEvent } from "../../src/gen/trunkline/v1/message_pb.js";

interface Counted {
  readonly seq: number;
  readonly by: 1 | -1;
}

export class ThreadRecords {
  /** By message: the thread that it is in; empty: none. */
  readonly #threads = new Map<string, string>();
  /** By a thread's first message. */
  readonly #replies = new Map<string, Counted[]>();

  /** Messages that have, or have had, replies. */
  get roots(): Iterable<string> {
    return this.#replies.keys();
  }

  /** What is wrong with where a message is said, if anything. */
  judge({ kind }: RoomEvent): string | undefined {
    if (kind.case !== "messageCreated") return undefined;
    const { replyTo, threadRoot } = kind.value;
    if (replyTo !== "" && !this.#threads.has(replyTo)) return `answers ${replyTo}, which is not there`;
    if (threadRoot === "" || this.#threads.get(threadRoot) === "") return undefined;
    return `in the thread of ${threadRoot}, which begins none`;
  }

  fold({ kind, eventId, position }: RoomEvent): void {
    const seq = position?.seq ?? 0;
    if (kind.case === "messageCreated") {
      this.#threads.set(eventId, kind.value.threadRoot);
      this.#count(kind.value.threadRoot, { seq, by: 1 });
    } else if (kind.case === "messageDeleted") {
      this.#count(this.#threads.get(kind.value.messageId) ?? "", { seq, by: -1 });
    }
  }

  /** How many replies a message had, deleted ones not counted, when the room was at `seq`. */
  repliesAt(messageId: string, seq: number): number {
    const counted = this.#replies.get(messageId)?.filter((each) => each.seq <= seq) ?? [];
    return counted.reduce((sum, { by }) => sum + by, 0);
  }

  #count(root: string, counted: Counted): void {
    if (root === "") return;
    const replies = this.#replies.get(root) ?? [];
    this.#replies.set(root, replies);
    replies.push(counted);
  }
}
