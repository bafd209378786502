// The sessions of one user on several nodes: how many there may be, who goes, and what a device's older connection learns.

import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DeviceLimits, type Limits, limitsWith } from "../../../src/core/limit/limits.js";
import { TenantLimits } from "../../../src/core/limit/tenants.js";
import { SessionsElsewhere } from "../../../src/core/session/elsewhere.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { AddressClass, DeviceKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { DeviceSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import type { LocalSession, SessionDirectory } from "../../../src/ports/session-directory.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { MemoryDirectory } from "../../support/memory-engine-directory.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { settle } from "../use-core.js";

const { WEB, MOBILE } = DeviceKind;

class Session implements LocalSession {
  readonly tenantId = "acme";
  readonly userId = "ann";
  readonly addressClass = AddressClass.UNSPECIFIED;
  readonly device;
  ended: CloseCode | undefined;
  readonly #closed: (session: Session) => void;

  constructor(
    readonly sessionId: string,
    deviceId: string,
    kind: DeviceKind,
    readonly attempt: number,
    readonly connectedAtMs: number,
    closed: (session: Session) => void,
  ) {
    this.device = create(DeviceSchema, { deviceId, kind });
    this.#closed = closed;
  }

  close(code: CloseCode): void {
    this.ended ??= code;
    this.#closed(this);
  }
}

interface Node {
  readonly directory: SessionDirectory;
  readonly elsewhere: SessionsElsewhere;
}

function useNodes(differing: Partial<Limits>, skews: readonly number[] = [0, 0]) {
  const clock = new StoppedClock();
  const engine = new MemoryEngine();
  const shared = new MemoryDirectory({ archive: () => engine.archive, clock, answersLater: true });
  const telemetry = new Telemetry();
  const tenants = new TenantLimits(limitsWith(differing));
  const nodes: Node[] = skews.map(() => {
    const directory = shared.node();
    return {
      directory,
      elsewhere: new SessionsElsewhere({ directory, telemetry, tenants, clock, cluster: undefined }, () => 0),
    };
  });
  const all: Session[] = [];
  /** A session that is live at once, as one is that was judged before. */
  const enter = (at: number, deviceId: string, kind = WEB, attempt = 1): Session => {
    const node = nodes[at];
    if (node === undefined) throw new RangeError(`no node ${at}`);
    const closed = (ended: Session): void => void settle(2).then(() => node.directory.disconnect(ended, false));
    const connectedAtMs = clock.now() + (skews[at] ?? 0);
    const session = new Session(`s${all.length}`, deviceId, kind, attempt, connectedAtMs, closed);
    all.push(session);
    node.directory.connect(session);
    node.elsewhere.settle(session);
    return session;
  };
  const judge = async (at: number, deviceId: string, kind = WEB, attempt = 1): Promise<void> => {
    const device = create(DeviceSchema, { deviceId, kind });
    await nodes[at]?.elsewhere.judge({ tenantId: "acme", userId: "ann", device, attempt });
  };
  const live = (): string[] => all.filter(({ ended }) => ended === undefined).map(({ device }) => device.deviceId);
  return { clock, enter, judge, live, all, nodes, telemetry };
}

describe("sessions of a user on several nodes", () => {
  it("are closed beyond the limit, the oldest first, on whatever node they are", async () => {
    const { clock, enter, live, all } = useNodes({ maxSessionsPerUser: 2 });
    for (const [at, deviceId] of [
      [0, "a"],
      [1, "b"],
      [0, "c"],
      [1, "d"],
    ] as const) {
      clock.advance(10);
      enter(at, deviceId);
      await settle();
    }
    expect(live()).toEqual(["c", "d"]);
    expect(all[0]?.ended).toBe(CloseCode.TOO_MANY_SESSIONS);
  });

  it("are refused beyond the limit where new ones are", async () => {
    const { enter, judge, live } = useNodes({ maxSessionsPerUser: 2, sessionPolicy: "refuse-new" });
    enter(0, "a");
    enter(0, "b");
    const details = { quota: "sessions_per_user", limit: "2", current: "2" };
    await expect(judge(1, "c")).rejects.toMatchObject({ code: ErrorCode.LIMIT_EXCEEDED, details });
    await judge(1, "b", WEB, 2);
    expect(live()).toEqual(["a", "b"]);
  });

  it("are counted by the kind of their devices too", async () => {
    const deviceLimits: DeviceLimits = {
      web: { max: 1, policy: "refuse-new" },
      mobile: { max: 1, policy: "close-oldest" },
    };
    const { clock, enter, judge, live } = useNodes({ deviceLimits });
    enter(0, "web");
    enter(0, "old", MOBILE);
    await expect(judge(1, "other web")).rejects.toMatchObject({ details: { quota: "sessions_per_device_kind" } });
    await judge(1, "young", MOBILE);
    clock.advance(10);
    enter(1, "young", MOBILE);
    await settle();
    expect(live()).toEqual(["web", "young"]);
  });

  it("are not too many for the one that another of the same device replaces", async () => {
    const { clock, enter, live, all } = useNodes({ maxSessionsPerUser: 2 });
    enter(0, "a");
    enter(0, "b");
    clock.advance(10);
    enter(1, "b", WEB, 2);
    await settle();
    expect(live()).toEqual(["a", "b"]);
    expect(all[1]?.ended).toBe(CloseCode.REPLACED);
  });

  it("end with as many as may be when all connect at once, whatever the clocks of the nodes say", async () => {
    const skew = fc.integer({ min: -500, max: 500 });
    const arrival = fc.record({ at: fc.nat(2), device: fc.nat(7), turns: fc.nat(3), afterMs: fc.nat(5) });
    const policy = fc.constantFrom("close-oldest" as const, "refuse-new" as const);
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(skew, skew, skew),
        fc.array(arrival, { maxLength: 10 }),
        policy,
        async (skews, arrivals, sessionPolicy) => {
          const { clock, enter, live } = useNodes({ maxSessionsPerUser: 3, sessionPolicy }, skews);
          for (const [attempt, { at, device, turns, afterMs }] of arrivals.entries()) {
            clock.advance(afterMs);
            enter(at, `device-${device}`, WEB, attempt);
            await settle(turns);
          }
          await settle();
          const left = live();
          expect(new Set(left).size).toBe(left.length);
          expect(left.length).toBeLessThanOrEqual(3);
          const devices = new Set(arrivals.map(({ device }) => device)).size;
          if (devices > 0) expect(left.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("a device that connects to another node", () => {
  it("learns the current attempt where its own is lower", async () => {
    const { enter, judge, live } = useNodes({});
    enter(0, "a", WEB, 7);
    const details = { current_attempt: "7" };
    await expect(judge(1, "a", WEB, 3)).rejects.toMatchObject({ code: ErrorCode.CONFLICT, details });
    await judge(1, "a", WEB, 7);
    expect(live()).toEqual(["a"]);
  });

  it("is let in where nobody can say, which is told to whoever watches the node", async () => {
    const { judge, nodes, telemetry } = useNodes({ maxSessionsPerUser: 1, sessionPolicy: "refuse-new" });
    const faults: unknown[] = [];
    telemetry.on("fault", (fault) => faults.push(fault));
    const [node] = nodes;
    if (node === undefined) throw new Error("no node");
    node.directory.sessions = () => Promise.reject(new Error("away"));
    await judge(0, "a");
    expect(faults).toHaveLength(1);
  });
});
