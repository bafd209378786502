// Which of the interesting states a simulation has reached: one that reaches none proves nothing.

export const STATES = [
  "appends durable",
  "appends of several events",
  "appends refused",
  "appends stored but not answered",
  "appends displaced by nobody",
  "appends displaced by a foreign event",
  "appends held",
  "appends held, then displaced, with commands waiting",
  "shards not opened",
  "archive reads held",
  "archive reads refused",
  "announcements lost",
  "announcements repeated",
  "announcements delayed",
  "fan-out subscriptions refused",
  "actors loaded anew",
  "crashes with requests unanswered",
  "backups restored",
  "drains",
  "connections cut with requests unanswered",
  "connections not admitted",
  "verifications refused for now",
  "batches not taken",
  "batches taken without an answer",
  "rooms set aside",
  "publishes acknowledged",
  "publishes sent again",
  "duplicates answered",
  "refused for good",
  "refused for now",
  "refused: log behind",
  "rate limited",
  "limit exceeded",
  "messages edited",
  "messages deleted",
  "messages expired",
  "reactions set",
  "messages pinned",
  "rooms created",
  "rooms updated",
  "settings changed",
  "messages hidden",
  "inboxes read",
  "rooms deleted",
  "joins",
  "leaves",
  "members added",
  "members removed",
  "members changed",
  "caught up",
  "replaying",
  "gaps named",
  "gaps paged",
  "reset: beyond end",
  "reset: other history",
  "reset: expired",
  "reset while live",
  "histories loaded",
  "sessions lagging",
  "sinks that refused",
  "access lost while subscribed",
  "rooms deleted while subscribed",
  "rooms refused in a hello",
  "unsubscribed",
  "unsubscribing refused",
  "slow consumers closed",
  "heartbeats lost",
  "tokens expired",
  "tokens refreshed",
  "tokens revoked",
  "devices replaced",
  "too many sessions",
  "goodbyes of a leaving node",
  "presence set",
  "presence compared",
  "marks counted",
  "marks told",
  "unread counts compared",
  "services sent to rooms",
  "services sent to users",
  "services sent again",
  "services refused for good",
  "tails told",
  "tails told again",
  "tails resumed",
  "tails refused after a restore",
  "calms",
] as const;

/** Those that only several nodes can reach. */
export const CLUSTER_STATES = [
  "shards moved",
  "stores of leases emptied",
  "nodes died",
  "nodes left",
  "nodes paused",
  "nodes paused beyond their leases",
  "rounds without the leases",
  "peers held",
  "peers not reached",
  "appends of dead nodes arrived",
  "announcements lost with a connection",
  "devices on another node than before",
] as const;

export type State = (typeof STATES)[number] | (typeof CLUSTER_STATES)[number];

export class Coverage {
  readonly #counts = new Map<State, number>();

  count(state: State): void {
    this.#counts.set(state, this.of(state) + 1);
  }

  of(state: State): number {
    return this.#counts.get(state) ?? 0;
  }

  add(other: Coverage): void {
    for (const [state, count] of other.#counts) this.#counts.set(state, this.of(state) + count);
  }

  missed(states: readonly State[]): readonly State[] {
    return states.filter((state) => this.of(state) === 0);
  }

  table(states: readonly State[]): string {
    return states.map((state) => `${String(this.of(state)).padStart(8)}  ${state}`).join("\n");
  }
}
