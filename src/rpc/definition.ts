// A protobuf-es service as grpc-js wants it: paths, stream flags, and how messages become bytes and back.

import {
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { MethodDefinition, ServerMethodDefinition } from "@grpc/grpc-js";

/**
 * What a handler gets in place of a request that is not the protobuf it should be. A deserializer that throws makes grpc-js answer
 * INTERNAL and end the stream on its own; this way the handler answers, with its own code and details.
 */
export class Undecodable {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

/** One method. What is given as bytes is sent as it is: encode once, send often. */
export interface RpcMethod<I, O>
  extends Pick<MethodDefinition<I | Uint8Array, O>, "requestSerialize" | "responseDeserialize">,
    ServerMethodDefinition<I | Undecodable, O | Uint8Array> {}

/** A service by its methods' local names (`validateToken`); for `Server.addService` and typed clients alike. */
export type RpcService<S extends DescService> = {
  readonly [K in keyof S["method"]]: RpcMethod<
    MessageShape<S["method"][K]["input"]>,
    MessageShape<S["method"][K]["output"]>
  >;
};

/** What the contract does not know is dropped: within a body it would be stored and sent on, past every limit and every check. */
export const READ_REQUEST = { readUnknownFields: false } as const;

/** The definition of a generated service. */
export function serviceDefinition<S extends DescService>(service: S): RpcService<S> {
  const methods: Record<string, RpcMethod<unknown, unknown>> = {};
  for (const [name, method] of Object.entries(service.method)) methods[name] = methodDefinition(service, method);
  return methods as RpcService<S>;
}

/** The same of one method, whose types the compiler does not know. */
export function methodDefinition(service: DescService, method: DescMethod): RpcMethod<unknown, unknown> {
  return {
    path: `/${service.typeName}/${method.name}`,
    originalName: method.name,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: (message) => encode(method.input, message),
    requestDeserialize: (bytes) => decodeOrMark(method.input, bytes),
    responseSerialize: (message) => encode(method.output, message),
    // Throwing is right here: the client's call then fails with what is wrong.
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

/** grpc-js wants a Buffer and would copy anything else: this is a view, not a copy. */
function encode(schema: DescMessage, message: unknown): Buffer {
  if (Buffer.isBuffer(message)) return message;
  const bytes = message instanceof Uint8Array ? message : toBinary(schema, message as MessageShape<DescMessage>);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decodeOrMark(schema: DescMessage, bytes: Uint8Array): unknown {
  try {
    return fromBinary(schema, bytes, READ_REQUEST);
  } catch (error) {
    return new Undecodable(error);
  }
}
