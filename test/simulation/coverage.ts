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
  "replies compared",
  "messages pinned",
  "rooms created",
  "rooms under others created",
  "direct rooms made",
  "users blocked",
  "refused behind a block",
  "rooms updated",
  "settings changed",
  "messages hidden",
  "inboxes read",
  "mentions told, as of a calm",
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
  "events relayed",
  "sessions let go by a relay",
  "wires that took no more",
  "access lost while subscribed",
  "rooms deleted while subscribed",
  "rooms refused in a hello",
  "unsubscribed",
  "unsubscribed without an answer of a hook",
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
  "presence watched",
  "changes of presence told",
  "watches compared",
  "marks counted",
  "marks told",
  "unread counts compared",
  "hooks without an answer",
  "messages refused by a hook",
  "messages changed by a hook",
  "rights allowed by a hook",
  "rights denied by a hook",
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
  "leases with two masters",
  "stores of leases rolled back",
  "shards with two owners",
  "events of a shard with two owners",
  "stale answers of a shard with two owners",
  "nodes asked beyond their leases",
  "appends not waited for",
  "appends given up, and stored",
  "appends given up, and void",
  "appends overtaken by another owner",
  "appends between a barrier and its owner's first event",
  "announcements lost with a connection",
  "tops lost",
  "rooms told of by a top alone",
  "devices on another node than before",
] as const;

export type State = (typeof STATES)[number] | (typeof CLUSTER_STATES)[number];

/** How often several nodes are to have been where, over the runs of them that `npm test` makes: far less than they are, so that a change of what a seed does is none of it. */
export const REACHED_BY_SEVERAL = {
  "shards moved": 3,
  "stores of leases emptied": 1,
  "nodes died": 4,
  "nodes left": 2,
  "nodes paused": 10,
  "nodes paused beyond their leases": 50,
  "rounds without the leases": 50,
  "peers held": 50,
  "peers not reached": 100,
  "leases with two masters": 3,
  "stores of leases rolled back": 1,
  "shards with two owners": 5,
  "events of a shard with two owners": 3,
  "nodes asked beyond their leases": 5,
  "appends not waited for": 5,
  "appends given up, and stored": 1,
  "appends given up, and void": 1,
  "appends overtaken by another owner": 10,
  "appends between a barrier and its owner's first event": 5,
  "announcements lost with a connection": 100,
  "tops lost": 20,
  "rooms told of by a top alone": 10,
  "devices on another node than before": 50,
  "mentions told, as of a calm": 10,
} as const satisfies Partial<Record<State, number>>;

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

  /** The states that were reached less often than they are to be, with how often they were. */
  short(least: Partial<Record<State, number>>): readonly string[] {
    return [...this.#states(least)].flatMap(([state, count]) => {
      return this.of(state) < count ? [`${state}: ${this.of(state)} of ${count}`] : [];
    });
  }

  *#states(least: Partial<Record<State, number>>): Iterable<[State, number]> {
    for (const state of [...STATES, ...CLUSTER_STATES]) {
      const count = least[state];
      if (count !== undefined) yield [state, count];
    }
  }

  table(states: readonly State[]): string {
    return states.map((state) => `${String(this.of(state)).padStart(8)}  ${state}`).join("\n");
  }
}
