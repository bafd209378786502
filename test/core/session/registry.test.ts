// What a node remembers of users who have left: no more than their rate needs, no longer than it needs it.

import { describe, expect, it } from "vitest";
import { ratesWith } from "../../../src/core/limit/rates.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { settle, text, useCore } from "../use-core.js";

describe("a user who has left", () => {
  it("has all messages again that the time away has given", async () => {
    const core = await useCore({ limits: { rates: ratesWith({ publish: { user: { perSecond: 1, burst: 40 } } }) } });
    const before = await core.connect("anna");
    await core.room(before, "r1");
    for (let key = 0; key < 40; key++) before.post(text("r1", `k${key}`));
    await settle();
    before.connection.gone(true);
    // Longer than the timer wheel reaches, and not long enough.
    await core.elapse(35_000);
    const after = await core.connect("anna", { attempt: 2 });
    const refs = Array.from({ length: 40 }, (_, key) => after.send(text("r1", `l${key}`)));
    await settle();
    const refused = refs.filter((ref) => after.reply(ref).case === "error");
    expect(refused).toHaveLength(5);
    expect(after.last("error").code).toBe(ErrorCode.RATE_LIMITED);
  });

  it("is not forgotten while a new session is there", async () => {
    const core = await useCore({ limits: { rates: ratesWith({ publish: { user: { perSecond: 1, burst: 3 } } }) } });
    const before = await core.connect("anna");
    await core.room(before, "r1");
    before.connection.gone(true);
    const first = await core.connect("anna", { attempt: 2 });
    await core.elapse(10_000);
    const second = await core.connect("anna", { device: { deviceId: "other" } });
    for (let key = 0; key < 3; key++) first.post(text("r1", `k${key}`));
    expect(await second.ask(text("r1", "k3"))).toMatchObject({ value: { code: ErrorCode.RATE_LIMITED } });
    // And a revocation finds both.
    core.verifier.revoke({ tenantId: "acme", subject: { userId: "anna" }, atMs: core.clock.now() });
    expect([first.endedWith, second.endedWith]).not.toContain(undefined);
  });
});
