// A session as Redis keeps it, and what others see of a user who has some. The scripts in lua/ judge by the same rules.

import type { AddressClass, DeviceKind } from "../../../gen/trunkline/v1/message_pb.js";
import { PresenceStatus } from "../../../gen/trunkline/v1/session_pb.js";
import { type PresenceChoice, type SessionEntry, strength } from "../../../ports/session-directory.js";

/** Short names: Redis keeps one per session. */
export interface Entry {
  /** Its node. */
  readonly n: string;
  /** Its id. */
  readonly s: string;
  /** Its device. */
  readonly d: string;
  /** The attempt of its hello. */
  readonly a: number;
  /** When it connected, in milliseconds since 1970. */
  readonly c: number;
  /** What else is told of it: kind, name and version of the device, and from where. */
  readonly i: readonly [DeviceKind, string, string, AddressClass];
  readonly st: PresenceStatus;
  readonly tx: string;
  /** Until when, in milliseconds since 1970; 0: until changed. */
  readonly un: number;
  /** Rises with what is set; 0: nothing was. */
  readonly o: number;
  /** Of a lost one: when that was, and when its grace is over, in milliseconds since 1970. */
  readonly at?: number;
  readonly due?: number;
}

const GONE: PresenceChoice = { status: PresenceStatus.OFFLINE, text: "", untilMs: undefined };
const HERE: PresenceChoice = { status: PresenceStatus.ONLINE, text: "", untilMs: undefined };

export function entryOf(
  nodeId: string,
  session: SessionEntry,
  choice: PresenceChoice | undefined,
  order: number,
): Entry {
  const { sessionId, device, attempt, connectedAtMs, addressClass } = session;
  return {
    n: nodeId,
    s: sessionId,
    d: device.deviceId,
    a: attempt,
    c: connectedAtMs,
    i: [device.kind, device.name, device.appVersion, addressClass],
    st: choice?.status ?? PresenceStatus.ONLINE,
    tx: choice?.text ?? "",
    un: Math.floor(choice?.untilMs ?? 0),
    o: choice === undefined ? 0 : Math.max(order, 1),
  };
}

/** What a field of a user's hash holds; nothing for what is no entry. */
export function readEntry(field: string, text: string): readonly Entry[] {
  return field.startsWith("s:") || field.startsWith("l:") ? [JSON.parse(text) as Entry] : [];
}

export function sessionOf(tenantId: string, userId: string, { s, d, a, c, i }: Entry): SessionEntry {
  const [kind, name, appVersion, addressClass] = i;
  return {
    sessionId: s,
    tenantId,
    userId,
    device: { deviceId: d, kind, name, appVersion },
    addressClass,
    connectedAtMs: c,
    attempt: a,
  };
}

/** What others see of who has these entries. */
export function shownBy(entries: readonly Entry[], nowMs: number): PresenceChoice {
  let strongest = GONE;
  let order = -1;
  for (const { st, tx, un, o, due } of entries) {
    if (due !== undefined && due <= nowMs) continue;
    const isOver = un > 0 && un <= nowMs;
    const choice = isOver ? HERE : { status: st, text: tx, untilMs: un === 0 ? undefined : un };
    const at = isOver ? 0 : o;
    const more = strength(choice.status) - strength(strongest.status);
    if (more < 0 || (more === 0 && at <= order)) continue;
    strongest = choice;
    order = at;
  }
  return strongest.status === PresenceStatus.INVISIBLE ? GONE : strongest;
}
