// Mistakes that are planted to see whether the simulation finds them: each takes away one thing that a promise rests on.

export interface Planted {
  /** From the root of the repository. */
  readonly file: string;
  /** What stands there, exactly once. */
  readonly from: string;
  readonly to: string;
}

export interface Mutant {
  readonly name: string;
  /** What goes wrong, as a sentence. */
  readonly what: string;
  readonly planted: readonly Planted[];
}

const SHARD = "src/core/room/shard.ts";
const FINDING = "src/core/cluster/finding.ts";
const INBOX = "src/core/follow/inbox-effects.ts";
const RELAY = "src/core/subscription/relay.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    name: "tail",
    what: "whoever opens a shard does not fold what is not archived",
    planted: [{ file: "src/core/room/take-over.ts", from: "tail.length === 0 ? []", to: "tail.length >= 0 ? []" }],
  },
  {
    name: "compare-and-append",
    what: "an append is stored wherever the log ends, whoever sends it",
    planted: [
      {
        file: "test/support/memory-engine-log.ts",
        from: "const stored = !isOvertaken && state.end === at;",
        to: "const stored = true;",
      },
    ],
  },
  {
    name: "lease",
    what: "an owner answers without looking whether its lease still holds",
    planted: [
      {
        file: FINDING,
        from: "if (this.#isHere(shard) && placement.holds(shard)) return",
        to: "if (this.#isHere(shard)) return",
      },
      { file: SHARD, from: "if (this.#holds?.() === false) throw notTheOwner();", to: "" },
    ],
  },
  {
    name: "told-again",
    what: "how far rooms have come is not said again",
    planted: [
      {
        file: "src/core/fanout/told-again.ts",
        from: "if (!this.#deps.fanout.lossy || this.#stopped) return;",
        to: "if (records.length >= 0) return;",
      },
    ],
  },
  {
    name: "top",
    what: "whoever is told how far a room has come does nothing about it",
    planted: [
      { file: "src/core/fanout/feed.ts", from: "if (seq <= this.#announced) return;", to: "if (seq >= 0) return;" },
    ],
  },
  {
    name: "told-twice",
    what: "what is followed again is told again in users' inboxes",
    planted: [{ file: INBOX, from: "const key = `~f.", to: "const key = this.#deps.ids.random() + `" }],
  },
  {
    name: "told-never",
    what: "what could not be told in a user's inbox is not tried again",
    planted: [
      { file: INBOX, from: "if (TrunklineError.from(error).code === ErrorCode.UNAVAILABLE) throw error;", to: "" },
    ],
  },
  {
    name: "relay-skips",
    what: "a relay begins one event later than the session that it is made for",
    planted: [
      { file: RELAY, from: "this.#subscription.begin(sent, 0);", to: "this.#subscription.begin(sent + 1, 0);" },
      {
        file: RELAY,
        from: 'if (subscription.sent !== sent || this.#subscription.status !== "live") return false;',
        to: 'if (this.#subscription.status !== "live") return false;',
      },
    ],
  },
  {
    name: "relay-let-go",
    what: "a session that its relay has let go is told on from where the relay is",
    planted: [
      {
        file: RELAY,
        from: "this.#subscription.tellByFeed(sent);",
        to: "this.#subscription.tellByFeed(this.#relay.sent);",
      },
    ],
  },
  {
    name: "relay-keeps",
    what: "a session that has left a room stays at the room's relay",
    planted: [
      {
        file: "src/core/subscription/subscription.ts",
        from: "this.feed.leave(this);\n    this.#relay?.leave();",
        to: "this.feed.leave(this);",
      },
    ],
  },
  {
    name: "relay-detach",
    what: "the wire is not told that a session leaves its relay",
    planted: [{ file: RELAY, from: "this.#wire.detach(attachment);", to: "void attachment;" }],
  },
  {
    name: "replies-deleted",
    what: "a reply that is deleted is still counted",
    planted: [
      {
        file: "src/core/message/room-messages.ts",
        from: "[...changed, ...this.#count(root, -1, seq)]",
        to: "changed",
      },
    ],
  },
  {
    name: "replies-later",
    what: "a page of history counts replies that came after the place that it shows",
    planted: [
      {
        file: "src/core/message/replies-at.ts",
        from: "if (last <= seq) return stored;",
        to: "if (last >= 0) return stored;",
      },
    ],
  },
  {
    name: "block-unsaid",
    what: "other nodes are not told that somebody has blocked somebody",
    planted: [
      {
        file: "src/core/room/user-service.ts",
        from: "await this.#owner.notices.changed(caller.identity.tenantId, caller.identity.userId);",
        to: "",
      },
    ],
  },
  {
    name: "block-named",
    what: "who is blocked is heard of in the inbox of whom they name",
    planted: [
      {
        file: INBOX,
        from: "readers.filter((_, index) => blocked[index] === false)",
        to: "readers.filter((_, index) => blocked[index] !== undefined)",
      },
    ],
  },
  {
    name: "block-seen",
    what: "who is blocked goes on seeing whether the other is there",
    planted: [
      {
        file: "src/core/presence/session-presence.ts",
        from: "return this.heedsBlocks && this.#services.hub.hides(",
        to: "return !this.heedsBlocks && this.#services.hub.hides(",
      },
    ],
  },
  {
    name: "hook-refused",
    what: "what the application refuses is published",
    planted: [
      {
        file: "src/core/hook/publish-gate.ts",
        from: 'case "refuse":\n        throw refused(verdict);',
        to: 'case "refuse":\n        return command;',
      },
    ],
  },
  {
    name: "hook-longer",
    what: "what the application allows is allowed for a minute, however short it is to be",
    planted: [
      {
        file: "src/core/hook/access-gate.ts",
        from: "const ttlMs = Math.min(answer.ttlMs, MAX_TTL_MS);",
        to: "const ttlMs = MAX_TTL_MS;",
      },
    ],
  },
];
