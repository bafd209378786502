// Loading what a command is judged on.

import { expect, it, onTestFinished } from "vitest";
import { EmbeddedSessionDirectory } from "../../../src/adapters/embedded/session-directory.js";
import { createCore } from "../../../src/core/create-core.js";
import { DEFAULT_LIMITS } from "../../../src/core/limit/limits.js";
import { TenantLimits } from "../../../src/core/limit/tenants.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { identity, ScriptedVerifier, settle, useCore } from "../use-core.js";

it("a store that goes away between two members refuses the command and leaves no refusal unheard", async () => {
  const engine = new MemoryEngine();
  const before = await useCore({ engine });
  await before.room(await before.connect("anna"), "r1", "bert");

  const unheard: unknown[] = [];
  const note = (reason: unknown): unknown => unheard.push(reason);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));

  const away = new TrunklineError(ErrorCode.UNAVAILABLE, "the archive is not available");
  const { archive } = engine;
  // The first answer takes its time, the second is a refusal at once; both are allowed at any moment.
  const member = (_room: unknown, userId: string): Promise<undefined> => {
    if (userId !== "anna") throw away;
    return new Promise((_resolve, reject) => setImmediate(() => reject(away)));
  };
  const core = createCore({
    log: engine.log,
    archive: new Proxy(archive, {
      get: (target, name) => {
        if (name === "member") return member;
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    }),
    fanout: engine.fanout,
    directory: new EmbeddedSessionDirectory({ archive, clock: new StoppedClock() }),
    verifier: new ScriptedVerifier(),
    clock: new StoppedClock(),
    ids: { random: () => "id", digest: (of) => `digest of ${of}` },
    telemetry: new Telemetry(),
    limits: DEFAULT_LIMITS,
    tenants: new TenantLimits(DEFAULT_LIMITS),
    load: () => 0,
  });
  await core.start();
  onTestFinished(() => core.stop());

  const caller = { identity: identity("anna"), deviceId: "" };
  const removed = core.rooms.call(caller, {
    case: "removeMember",
    value: {
      $typeName: "trunkline.v1.RemoveMemberRequest",
      roomId: "r1",
      userId: "bert",
      key: "k",
      ban: false,
      attempt: 1,
    },
  });
  await expect(removed).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  await settle();
  expect(unheard).toEqual([]);
});
