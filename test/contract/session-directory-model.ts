// Whatever happens to a user's sessions, a session directory in stopped time shows what a plain model of it does.

import fc from "fast-check";
import { expect, it } from "vitest";
import { AddressClass, DeviceKind } from "../../src/gen/trunkline/v1/message_pb.js";
import { PresenceStatus } from "../../src/gen/trunkline/v1/session_pb.js";
import type { Clock } from "../../src/ports/clock.js";
import {
  type LocalSession,
  PRESENCE_GRACE_MS,
  type SessionDirectory,
  strength,
} from "../../src/ports/session-directory.js";
import { StoppedClock } from "../support/stopped-clock.js";

const { ONLINE, OFFLINE, AWAY, DO_NOT_DISTURB, INVISIBLE } = PresenceStatus;
const DEVICES = ["desk", "phone", "pad"];

/** What a session, or one that was lost, shows. */
interface Entry {
  readonly session: LocalSession;
  readonly node: SessionDirectory;
  status: PresenceStatus;
  text: string;
  untilMs: number | undefined;
  /** When it was set; 0: it never was. */
  order: number;
  /** Undefined: it is live. */
  goneAtMs: number | undefined;
}

type Step =
  | { readonly do: "open"; readonly device: number; readonly node: number }
  | { readonly do: "close" | "crash"; readonly device: number }
  | { readonly do: "set"; readonly device: number; readonly status: PresenceStatus; readonly forMs: number | undefined }
  | { readonly do: "setAll"; readonly status: PresenceStatus }
  | { readonly do: "pass"; readonly ms: number };

const device = fc.nat({ max: DEVICES.length - 1 });
const status = fc.constantFrom(ONLINE, AWAY, DO_NOT_DISTURB, INVISIBLE);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("open" as const), device, node: fc.nat({ max: 1 }) }),
  fc.record({ do: fc.constantFrom("close" as const, "crash" as const), device }),
  fc.record({
    do: fc.constant("set" as const),
    device,
    status,
    forMs: fc.option(fc.integer({ min: 1, max: 8_000 }), { nil: undefined }),
  }),
  fc.record({ do: fc.constant("setAll" as const), status }),
  fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(1, 999, 2_500, PRESENCE_GRACE_MS) }),
);

/** `open` gives the directories of two nodes, or the same twice. */
export function describeSessionDirectoryModel(
  name: string,
  open: (clock: Clock) => readonly [SessionDirectory, SessionDirectory],
): void {
  it(`the session directory of ${name} shows the strongest of the live sessions and of those within their grace`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
        const clock = new StoppedClock();
        const nodes = open(clock);
        const model = new Model(clock, nodes);
        let told = 0;
        const look = async () => {
          const [presence] = await nodes[1].presences("acme", ["ann"]);
          return { status: presence?.status, text: presence?.text };
        };
        const watch = await nodes[0].watch("acme", "ann", () => told++);
        let before = await look();
        for (const each of steps) {
          const toldBefore = told;
          await model.take(each);
          const expected = model.shown();
          const now = await look();
          expect(now).toEqual(expected);
          const online = expected.status === OFFLINE ? 0 : 1;
          for (const node of nodes) {
            expect(await node.countOnline("acme", ["ann"])).toBe(online);
            expect(await node.online("acme", "", 10)).toHaveLength(online);
            expect(await node.sessions("acme", "ann")).toHaveLength(model.live.length);
          }
          if (now.status !== before.status || now.text !== before.text) expect(told).toBeGreaterThan(toldBefore);
          before = now;
        }
        watch.close();
        for (const node of new Set(nodes)) await node.stop();
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 300 },
    );
  }, 60_000);
}

class Model {
  readonly #clock: StoppedClock;
  readonly #nodes: readonly [SessionDirectory, SessionDirectory];
  #entries: Entry[] = [];
  #sessions = 0;
  #order = 0;

  constructor(clock: StoppedClock, nodes: readonly [SessionDirectory, SessionDirectory]) {
    this.#clock = clock;
    this.#nodes = nodes;
  }

  get live(): readonly Entry[] {
    return this.#entries.filter(({ goneAtMs }) => goneAtMs === undefined);
  }

  async take(each: Step): Promise<void> {
    if (each.do === "pass") {
      // In small steps, as timers see it.
      for (let left = each.ms; left > 0; left -= 500) this.#clock.advance(Math.min(left, 500));
    } else if (each.do === "setAll") {
      const choice = { status: each.status, text: `${++this.#order}`, untilMs: undefined };
      expect(await this.#nodes[1].chooseAll("acme", "ann", choice)).toBe(this.live.length);
      for (const entry of this.live) Object.assign(entry, choice, { order: this.#order });
    } else this.#device(each, DEVICES[each.device] ?? "");
    this.#entries = this.#entries.filter(({ goneAtMs }) => goneAtMs === undefined || goneAtMs > this.#clock.now());
  }

  #device(each: Exclude<Step, { do: "pass" | "setAll" }>, deviceId: string): void {
    const live = this.live.find(({ session }) => session.device.deviceId === deviceId);
    switch (each.do) {
      case "open":
        this.#open(deviceId, this.#nodes[each.node] ?? this.#nodes[0]);
        return;
      case "set":
        if (live === undefined) return;
        live.status = each.status;
        live.order = ++this.#order;
        live.text = `${live.order}`;
        live.untilMs = each.forMs === undefined ? undefined : this.#clock.now() + each.forMs;
        live.node.choose(live.session, { status: live.status, text: live.text, untilMs: live.untilMs });
        return;
      case "crash":
        if (live === undefined) return;
        live.goneAtMs = this.#clock.now() + PRESENCE_GRACE_MS;
        live.node.disconnect(live.session, true);
        return;
      case "close":
        if (live === undefined) return;
        this.#entries = this.#entries.filter((entry) => entry !== live);
        live.node.disconnect(live.session, false);
    }
  }

  #open(deviceId: string, node: SessionDirectory): void {
    const session: LocalSession = {
      sessionId: `session-${++this.#sessions}`,
      tenantId: "acme",
      userId: "ann",
      device: { deviceId, kind: DeviceKind.WEB, name: "", appVersion: "" },
      addressClass: AddressClass.LOOPBACK,
      connectedAtMs: this.#clock.now(),
      attempt: this.#sessions,
      // As the core does: whoever is told to close has ended.
      close: () => node.disconnect(session, false),
    };
    // What it replaces, live or lost, goes: there is at most one.
    const before = this.#entries.find((entry) => entry.session.device.deviceId === deviceId);
    this.#entries = this.#entries.filter((entry) => entry !== before);
    const { status: kept = ONLINE, text = "", untilMs, order = 0 } = before ?? {};
    this.#entries.push({ session, node, status: kept, text, untilMs, order, goneAtMs: undefined });
    node.connect(session);
  }

  shown(): { readonly status: PresenceStatus; readonly text: string } {
    let strongest = { status: OFFLINE, text: "", order: -1 };
    for (const { status: set, text, order, untilMs } of this.#entries) {
      const over = untilMs !== undefined && untilMs <= this.#clock.now();
      const shows = over ? { status: ONLINE, text: "", order: 0 } : { status: set, text, order };
      const more = strength(shows.status) - strength(strongest.status);
      if (more > 0 || (more === 0 && shows.order > strongest.order)) strongest = shows;
    }
    if (strongest.status === INVISIBLE) return { status: OFFLINE, text: "" };
    return { status: strongest.status, text: strongest.text };
  }
}
