// What whoever watches the node is told of sessions.

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { hello, settle, text, useCore } from "../use-core.js";

describe("telemetry", () => {
  it("tells of each session once that it is live and once that it has ended, and why", async () => {
    const core = await useCore();
    const opened = core.record("session.opened");
    const closed = core.record("session.closed");
    const refused = core.record("session.refused");
    const cut = await core.connect("anna");
    const left = await core.connect("bert");
    const revoked = await core.connect("cleo");
    const who = (client: typeof cut) => {
      const { sessionId, tenantId, userId } = client.last("welcome");
      return { sessionId, tenantId, userId };
    };
    cut.connection.gone(false);
    left.connection.gone(true);
    core.verifier.revoke({ tenantId: "acme", subject: { userId: "cleo" }, atMs: core.clock.now() });
    // The transport tells of the end as well: it was known.
    revoked.connection.gone(false);
    const all = [cut, left, revoked];
    expect(opened).toEqual(all.map((client) => ({ ...who(client), transport: "in-process" })));
    expect(closed).toEqual([
      { ...who(cut), code: 1006, reason: "the connection was lost" },
      { ...who(left), code: 1000, reason: "closed by the client" },
      { ...who(revoked), code: CloseCode.REVOKED, reason: "access was revoked" },
    ]);
    expect(refused).toEqual([]);
  });

  it("tells of a connection that became no session, with the code it ended with", async () => {
    const core = await useCore();
    const refused = core.record("session.refused");
    const opened = core.record("session.opened");
    const closed = core.record("session.closed");
    const bad = core.dial({ transport: "websocket" });
    bad.send(hello("nobody", "phone"));
    const gone = core.dial({ transport: "grpc" });
    gone.connection.gone(true);
    await settle();
    bad.connection.gone(true);
    expect(refused).toEqual([
      { transport: "grpc", code: 1000, reason: "closed by the client" },
      { transport: "websocket", code: CloseCode.UNAUTHENTICATED, reason: "the token does not verify" },
    ]);
    expect([opened, closed]).toEqual([[], []]);
  });

  it("tells of each refused request its operation, code and message", async () => {
    const core = await useCore();
    const refused = core.record("request.refused");
    const anna = await core.connect("anna", { rooms: [{ roomId: "nowhere" }] });
    await anna.ask(text("nowhere", "k"));
    await anna.ask({ case: "call", value: { rpc: { case: "getRoom", value: { roomId: "nowhere" } } } });
    expect(refused.map(({ operation, code }) => [operation, code])).toEqual([
      ["hello.rooms", ErrorCode.NOT_FOUND],
      ["publish", ErrorCode.NOT_FOUND],
      ["call", ErrorCode.NOT_FOUND],
    ]);
    expect(refused.every(({ message }) => message.length > 0)).toBe(true);
  });
});
