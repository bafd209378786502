// Errors to gRPC statuses and back.

import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, status } from "@grpc/grpc-js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.js";
import { CloseCode, CloseCodeSchema, ErrorCodeSchema } from "../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { closeStatus, DETAILS_TRAILER, fromStatus, toStatus } from "../../src/rpc/status.js";

const anyCode = fc.constantFrom(...ErrorCodeSchema.values.map((value) => value.number as ErrorCode));

function detailsOf(error: TrunklineError) {
  const bytes = toStatus(error).metadata.get(DETAILS_TRAILER)[0];
  if (!Buffer.isBuffer(bytes)) throw new Error("no details");
  const rich = fromBinary(StatusSchema, bytes);
  const info = rich.details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((each) => each !== undefined);
  const retry = rich.details.map((any) => anyUnpack(any, RetryInfoSchema)).find((each) => each !== undefined);
  const bad = rich.details.map((any) => anyUnpack(any, BadRequestSchema)).find((each) => each !== undefined);
  return { rich, info, retry, bad };
}

describe("toStatus", () => {
  it("maps each code as error.proto states it", () => {
    for (const { number, localName } of ErrorCodeSchema.values) {
      if (number === ErrorCode.UNSPECIFIED) continue;
      const { code } = toStatus(new TrunklineError(number, "x"));
      const stated: Partial<Record<string, status>> = {
        TOKEN_EXPIRED: status.UNAUTHENTICATED,
        NOT_A_MEMBER: status.PERMISSION_DENIED,
        BLOCKED: status.PERMISSION_DENIED,
        TOO_LARGE: status.INVALID_ARGUMENT,
        CONFLICT: status.ABORTED,
        RATE_LIMITED: status.RESOURCE_EXHAUSTED,
        LIMIT_EXCEEDED: status.RESOURCE_EXHAUSTED,
        DEADLINE: status.DEADLINE_EXCEEDED,
        UNSUPPORTED: status.UNIMPLEMENTED,
      };
      expect(status[code], localName).toBe(status[stated[localName] ?? status[localName as keyof typeof status]]);
    }
  });

  it("carries reason, domain, facts, retry delay and field violation in the details trailer", () => {
    const { rich, info, retry, bad } = detailsOf(
      new TrunklineError(ErrorCode.TOO_LARGE, "publish.body.text: at most 5 bytes", {
        field: "publish.body.text",
        retryAfterMs: 1_250,
        details: { limit: "5" },
      }),
    );
    expect(rich.code).toBe(status.INVALID_ARGUMENT);
    expect(info).toMatchObject({
      reason: "TOO_LARGE",
      domain: "trunkline",
      metadata: { limit: "5", field: "publish.body.text" },
    });
    expect(retry?.retryDelay).toMatchObject({ seconds: 1n, nanos: 250_000_000 });
    expect(bad?.fieldViolations).toMatchObject([{ field: "publish.body.text" }]);
  });

  it("never carries the cause", () => {
    const secret = new Error("password=hunter2");
    const told = toStatus(TrunklineError.from(secret));
    expect(told.details).toBe("internal error");
    expect(JSON.stringify(told.metadata.toHttp2Headers())).not.toContain("hunter2");
  });

  it("makes a message sendable that grpc-js could not encode", () => {
    const { details } = toStatus(new TrunklineError(ErrorCode.INVALID_ARGUMENT, `\ud800${"x".repeat(100_000)}`));
    expect(() => encodeURI(details)).not.toThrow();
    expect(details.length).toBeLessThanOrEqual(512);
  });
});

describe("fromStatus", () => {
  it("gives the error that was sent", () => {
    fc.assert(
      fc.property(
        anyCode,
        fc.string({ unit: "grapheme", maxLength: 80 }),
        fc.option(fc.nat({ max: 1_000_000 }), { nil: undefined }),
        fc.string({ unit: "grapheme-ascii", maxLength: 20 }),
        (code, message, retryAfterMs, field) => {
          const sent = new TrunklineError(code, message, {
            ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
            field,
            details: { limit: "7" },
          });
          const got = fromStatus(toStatus(sent));
          expect({ ...got, message: got.message }).toEqual({ ...sent, message: sent.message });
        },
      ),
    );
  });

  it("gives the nearest code for a status without our details", () => {
    expect(fromStatus({ code: status.UNAVAILABLE, details: "connection refused" })).toMatchObject({
      code: ErrorCode.UNAVAILABLE,
      message: "connection refused",
    });
    expect(fromStatus({ code: status.DATA_LOSS }).code).toBe(ErrorCode.INTERNAL);
  });

  it("survives details that are no protobuf", () => {
    const metadata = new Metadata();
    metadata.set(DETAILS_TRAILER, Buffer.from("\xff\xff\xff", "latin1"));
    expect(fromStatus({ code: status.NOT_FOUND, details: "x", metadata }).code).toBe(ErrorCode.NOT_FOUND);
  });
});

describe("closeStatus", () => {
  it("is OK for a node that leaves, and tells the close code of every other end", () => {
    expect(closeStatus(CloseCode.GOING_AWAY, "leaving")).toBeUndefined();
    for (const { number } of CloseCodeSchema.values) {
      if (number === CloseCode.UNSPECIFIED || number === CloseCode.GOING_AWAY) continue;
      const ended = closeStatus(number, "why");
      if (ended === undefined) throw new Error(`close code ${number} has no status`);
      expect(fromStatus(ended).details).toMatchObject({ close_code: String(number) });
    }
  });
});
