// The embedded session directory shows the strongest of a user's sessions, whatever happens to them.

import fc from "fast-check";
import { expect, it } from "vitest";
import { EmbeddedSessionDirectory } from "../../../src/adapters/embedded/session-directory.js";
import { addressClassOf } from "../../../src/core/presence/address.js";
import { AddressClass, DeviceKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { PresenceStatus } from "../../../src/gen/trunkline/v1/session_pb.js";
import { type LocalSession, PRESENCE_GRACE_MS, strength } from "../../../src/ports/session-directory.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";

const { ONLINE, OFFLINE, AWAY, DO_NOT_DISTURB, INVISIBLE } = PresenceStatus;
const DEVICES = ["desk", "phone"];

/** What a session, or one that was lost, shows. */
interface Entry {
  readonly session: LocalSession;
  status: PresenceStatus;
  untilMs: number | undefined;
  /** Undefined: it is live. */
  goneAtMs: number | undefined;
}

type Step =
  | { readonly do: "open" | "close" | "crash"; readonly device: number }
  | { readonly do: "set"; readonly device: number; readonly status: PresenceStatus; readonly forMs: number | undefined }
  | { readonly do: "pass"; readonly ms: number };

const device = fc.nat({ max: DEVICES.length - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom("open" as const, "close" as const, "crash" as const), device }),
  fc.record({
    do: fc.constant("set" as const),
    device,
    status: fc.constantFrom(ONLINE, AWAY, DO_NOT_DISTURB, INVISIBLE),
    forMs: fc.option(fc.integer({ min: 1, max: 8_000 }), { nil: undefined }),
  }),
  fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(1, 999, 2_500, PRESENCE_GRACE_MS) }),
);

it("shows the strongest of the live sessions and of those within their grace, and never the invisible", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      const clock = new StoppedClock();
      const directory = new EmbeddedSessionDirectory({ archive: new MemoryEngine().archive, clock });
      let entries: Entry[] = [];
      let sessions = 0;
      let told = 0;
      directory.watch("acme", "ann", () => told++);
      const status = async () => (await directory.presences("acme", ["ann"]))[0]?.status;
      const liveOf = (at: number) =>
        entries.find(({ session, goneAtMs }) => goneAtMs === undefined && session.device.deviceId === DEVICES[at]);
      let before = await status();
      for (const each of steps) {
        const toldBefore = told;
        if (each.do === "pass") {
          // In small steps, as timers see it.
          for (let left = each.ms; left > 0; left -= 500) clock.advance(Math.min(left, 500));
        } else {
          const deviceId = DEVICES[each.device] ?? "";
          const live = liveOf(each.device);
          if (each.do === "open" && live === undefined) {
            const session: LocalSession = {
              sessionId: `session-${++sessions}`,
              tenantId: "acme",
              userId: "ann",
              device: { deviceId, kind: DeviceKind.WEB, name: "", appVersion: "" },
              addressClass: AddressClass.LOOPBACK,
              connectedAtMs: clock.now(),
              close: () => {},
            };
            const lost = entries.find((entry) => entry.session.device.deviceId === deviceId);
            entries = entries.filter((entry) => entry !== lost);
            const { status: kept = ONLINE, untilMs } = lost ?? {};
            entries.push({ session, status: kept, untilMs, goneAtMs: undefined });
            directory.connect(session);
          } else if (live !== undefined && each.do === "set") {
            live.status = each.status;
            live.untilMs = each.forMs === undefined ? undefined : clock.now() + each.forMs;
            directory.choose(live.session, { status: live.status, text: "", untilMs: live.untilMs });
          } else if (live !== undefined && each.do !== "open") {
            if (each.do === "crash") live.goneAtMs = clock.now() + PRESENCE_GRACE_MS;
            else entries = entries.filter((entry) => entry !== live);
            directory.disconnect(live.session, each.do === "crash");
          }
        }
        entries = entries.filter(({ goneAtMs }) => goneAtMs === undefined || goneAtMs > clock.now());
        const shown = entries.map((entry) =>
          entry.untilMs !== undefined && entry.untilMs <= clock.now() ? ONLINE : entry.status,
        );
        const strongest = shown.reduce((a, b) => (strength(b) > strength(a) ? b : a), OFFLINE);
        const expected = strongest === INVISIBLE ? OFFLINE : strongest;
        const now = await status();
        expect(now).toBe(expected);
        expect(await directory.countOnline("acme", ["ann"])).toBe(expected === OFFLINE ? 0 : 1);
        expect((await directory.online("acme", "", 10)).length).toBe(expected === OFFLINE ? 0 : 1);
        if (now !== before) expect(told).toBeGreaterThan(toldBefore);
        before = now;
      }
      await directory.stop();
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 300 },
  );
});

it("keeps when a user was last online over a restart", async () => {
  const engine = new MemoryEngine();
  const clock = new StoppedClock();
  clock.advance(1_000);
  const open = () => new EmbeddedSessionDirectory({ archive: engine.archive, clock });
  const directory = open();
  const session: LocalSession = {
    sessionId: "s",
    tenantId: "acme",
    userId: "ann",
    device: { deviceId: "desk", kind: DeviceKind.WEB, name: "", appVersion: "" },
    addressClass: AddressClass.LOOPBACK,
    connectedAtMs: clock.now(),
    close: () => {},
  };
  directory.connect(session);
  directory.disconnect(session, true);
  await directory.stop();
  expect(await open().presences("acme", ["ann", "bob"])).toMatchObject([
    { userId: "ann", status: OFFLINE, lastSeenMs: 1_000 },
    { userId: "bob", status: OFFLINE, lastSeenMs: undefined },
  ]);
});

it.each([
  ["127.0.0.1", AddressClass.LOOPBACK],
  ["127.0.0.1:51234", AddressClass.LOOPBACK],
  ["::ffff:127.0.0.1", AddressClass.LOOPBACK],
  ["::1", AddressClass.LOOPBACK],
  ["[::1]:51234", AddressClass.LOOPBACK],
  ["10.1.2.3:80", AddressClass.PRIVATE],
  ["172.31.0.1", AddressClass.PRIVATE],
  ["172.32.0.1", AddressClass.PUBLIC],
  ["192.168.1.1", AddressClass.PRIVATE],
  ["fe80::1", AddressClass.PRIVATE],
  ["[fd00::1]:443", AddressClass.PRIVATE],
  ["2001:db8::1", AddressClass.PUBLIC],
  ["8.8.8.8:53", AddressClass.PUBLIC],
  ["", AddressClass.UNSPECIFIED],
])("takes %s for an address of its class", (address, expected) => {
  expect(addressClassOf(address)).toBe(expected);
});
