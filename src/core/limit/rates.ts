// How often things may be asked: a token bucket for each class of operations, of each session, user, room and tenant.

/** A token bucket: `perSecond` refills up to `burst`, both whole numbers. `perSecond` 0: no limit. */
export interface Rate {
  readonly perSecond: number;
  /** At least 1, unless there is no limit. */
  readonly burst: number;
}

export const NO_LIMIT: Rate = { perSecond: 0, burst: 0 };

/**
 * What is limited together.
 * - `publish`: new messages.
 * - `edit`: edits, deletions, reactions and pins of messages.
 * - `mark`: markers.
 * - `typing`: typing frames.
 * - `signal`: the application's own signals.
 * - `presence`: what a user shows, and whom they watch.
 * - `read`: subscriptions, history, events, lists, receipts.
 * - `administer`: making, changing and deleting rooms, and who is a member.
 * - `settings`: settings, blocks, hidden messages, devices, receipt privacy, tokens.
 * - `service`: whatever is asked of DeliveryService and PresenceService.
 */
export const OPERATION_CLASSES = [
  "publish",
  "edit",
  "mark",
  "typing",
  "signal",
  "presence",
  "read",
  "administer",
  "settings",
  "service",
] as const;
export type OperationClass = (typeof OPERATION_CLASSES)[number];

export const SCOPES = ["session", "user", "room", "tenant"] as const;
/** Whose bucket: of one session, of one user over all sessions and calls, of one room over all users, of one tenant over all users. */
export type Scope = (typeof SCOPES)[number];

/** The rates of one class. A room's bucket is taken only by who may do what they ask, so that strangers cannot empty it. */
export type ScopedRates = { readonly [S in Scope]: Rate };
export type Rates = { readonly [C in OperationClass]: ScopedRates };

/** Where a class has no bucket of a room: nobody else of the room is told of it, or it is told at a bounded rate in any case. */
const WITH_ROOM: ReadonlySet<OperationClass> = new Set(["publish", "edit", "signal", "administer"]);

/** The scopes that a class has. */
export function scopesOf(of: OperationClass): readonly Scope[] {
  // Services have no session.
  return SCOPES.filter((scope) => (scope !== "room" || WITH_ROOM.has(of)) && (scope !== "session" || of !== "service"));
}

/** The first of a pair is a second's, the other the burst. */
type Pair = readonly [perSecond: number, burst: number];

function rates(session: Pair, user: Pair, room: Pair = [0, 0]): ScopedRates {
  const rate = ([perSecond, burst]: Pair): Rate => ({ perSecond, burst });
  return { session: rate(session), user: rate(user), room: rate(room), tenant: NO_LIMIT };
}

/**
 * A person does none of it as often; a program that comes back subscribes, reads and marks 200 rooms at once. Tenants are not limited:
 * how much one of several may take is for whoever runs the server to say.
 */
export const DEFAULT_RATES: Rates = {
  publish: rates([50, 100], [100, 200], [2_000, 4_000]),
  edit: rates([50, 100], [100, 200], [1_000, 2_000]),
  mark: rates([50, 400], [100, 800]),
  typing: rates([20, 40], [40, 80]),
  signal: rates([25, 50], [50, 100], [1_000, 2_000]),
  presence: rates([10, 50], [20, 100]),
  read: rates([100, 500], [200, 1_000]),
  administer: rates([50, 250], [50, 500], [100, 500]),
  settings: rates([10, 50], [20, 100]),
  service: rates([0, 0], [500, 1_000]),
};

/** Differences from rates, by class and scope. */
export type RateDifferences = { readonly [C in OperationClass]?: Partial<ScopedRates> };

/** Rates with differences. */
export function ratesWith(differences: RateDifferences, from: Rates = DEFAULT_RATES): Rates {
  const of = (name: OperationClass): ScopedRates => ({ ...from[name], ...differences[name] });
  return {
    publish: of("publish"),
    edit: of("edit"),
    mark: of("mark"),
    typing: of("typing"),
    signal: of("signal"),
    presence: of("presence"),
    read: of("read"),
    administer: of("administer"),
    settings: of("settings"),
    service: of("service"),
  };
}

/** Whether it can be kept: a bucket that never holds a token would refuse for ever. */
export function isRate({ perSecond, burst }: Rate): boolean {
  const whole = Number.isSafeInteger(perSecond) && Number.isSafeInteger(burst) && perSecond >= 0 && burst >= 0;
  return whole && (perSecond === 0 || burst > 0);
}
