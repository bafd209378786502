// Bytes that are no valid frame, as the transport reports them.

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { settle, useCore } from "../use-core.js";

const BAD = TrunklineError.invalid("publish.body", "is no object");

describe("a malformed frame", () => {
  it("is answered with the field and the reason, under its ref where that could be read", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    anna.connection.malformed(BAD, false, 41);
    anna.connection.malformed(BAD, false);
    await settle();
    expect(anna.all("error")).toMatchObject(
      [41, 0].map((replyTo) => ({
        replyTo,
        value: { code: ErrorCode.INVALID_ARGUMENT, field: "publish.body", message: BAD.message },
      })),
    );
    expect(anna.endedWith).toBeUndefined();
  });

  it("ends the connection when it is the third in a row", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    for (let count = 0; count < 3; count++) anna.connection.malformed(BAD, false, 50 + count);
    await settle();
    expect(anna.cases).toEqual(["welcome", "error", "error", "error", "goodbye"]);
    expect(anna.last("goodbye")).toMatchObject({
      reason: CloseCode.PROTOCOL_ERROR,
      error: { field: "publish.body" },
    });
    expect(anna.endedWith).toBe(CloseCode.PROTOCOL_ERROR);
  });

  it("is forgiven once a good frame has come, even one that is refused", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    for (let round = 0; round < 5; round++) {
      anna.connection.malformed(BAD, false);
      anna.connection.malformed(BAD, false);
      anna.send({ case: "subscribe", value: { roomId: "" } });
    }
    await settle();
    expect(anna.endedWith).toBeUndefined();
  });

  it("that cannot be decoded at all ends the connection at once", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    anna.connection.malformed(TrunklineError.invalid("frame", "cannot be decoded"), true);
    await settle();
    expect(anna.cases).toEqual(["welcome", "error", "goodbye"]);
    expect(anna.endedWith).toBe(CloseCode.PROTOCOL_ERROR);
  });

  it("counts before the hello too", async () => {
    const core = await useCore();
    const client = core.dial();
    for (let count = 0; count < 3; count++) client.connection.malformed(BAD, false);
    await settle();
    expect(client.endedWith).toBe(CloseCode.PROTOCOL_ERROR);
  });

  it("is not answered once the connection has ended", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    anna.connection.gone(true);
    anna.connection.malformed(BAD, false);
    anna.connection.malformed(BAD, true);
    await settle();
    expect([anna.cases, anna.sink.late]).toEqual([["welcome"], 0]);
  });

  it("is told to whoever watches the node", async () => {
    const core = await useCore();
    const refused = core.record("request.refused");
    const anna = await core.connect("anna");
    anna.connection.malformed(BAD, false);
    expect(refused).toMatchObject([{ operation: "malformed", code: ErrorCode.INVALID_ARGUMENT }]);
  });
});
