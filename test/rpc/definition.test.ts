// How generated services become grpc-js definitions.

import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  AuthService,
  TokenRefusalSchema,
  ValidateTokenRequestSchema,
  ValidateTokenResponseSchema,
} from "../../src/gen/trunkline/v1/auth_pb.js";
import { serviceDefinition, Undecodable } from "../../src/rpc/definition.js";

const definition = serviceDefinition(AuthService);

/** A field that the contract does not have: two bytes long, after its length. */
const BEYOND = { no: 1_000, wireType: 2, data: Uint8Array.of(2, 7, 7) };

describe("serviceDefinition", () => {
  it("names each method's path and says which side streams", () => {
    expect(definition.validateToken.path).toBe("/trunkline.v1.AuthService/ValidateToken");
    expect(definition.validateToken.responseStream).toBe(false);
    expect(definition.watchRevocations.requestStream).toBe(false);
    expect(definition.watchRevocations.responseStream).toBe(true);
  });

  it("brings a message through bytes and back", () => {
    const request = create(ValidateTokenRequestSchema, { token: "t" });
    const bytes = definition.validateToken.requestSerialize(request);
    expect(Buffer.isBuffer(bytes)).toBe(true);
    expect(definition.validateToken.requestDeserialize(bytes)).toEqual(request);
  });

  it("drops what a request holds beyond the contract: nothing of it may be kept or sent on", () => {
    const request = create(ValidateTokenRequestSchema, { token: "t" });
    const bytes = definition.validateToken.requestSerialize({ ...request, $unknown: [BEYOND] });
    expect(bytes.length).toBeGreaterThan(BEYOND.data.length);
    expect(definition.validateToken.requestDeserialize(bytes)).toEqual(request);
  });

  it("sends bytes that are encoded already untouched", () => {
    const buffer = Buffer.from([1, 2, 3]);
    expect(definition.validateToken.responseSerialize(buffer)).toBe(buffer);
    const array = new Uint8Array([0, 1, 2, 3]).subarray(1);
    const view = definition.validateToken.responseSerialize(array);
    expect(view.buffer).toBe(array.buffer);
    expect([...view]).toEqual([1, 2, 3]);
  });

  it("marks a request that is not protobuf instead of throwing", () => {
    const request = definition.validateToken.requestDeserialize(Buffer.from([0x0a, 0xff]));
    expect(request).toBeInstanceOf(Undecodable);
  });

  it("throws on a response that is not protobuf", () => {
    expect(() => definition.validateToken.responseDeserialize(Buffer.from([0x0a, 0xff]))).toThrow();
    const refusal = create(TokenRefusalSchema, { message: "no" });
    const response = create(ValidateTokenResponseSchema, { outcome: { case: "refusal", value: refusal } });
    const bytes = Buffer.from(toBinary(ValidateTokenResponseSchema, response));
    expect(definition.validateToken.responseDeserialize(bytes)).toEqual(response);
  });
});
