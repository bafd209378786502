// A service of the contract without a transport: one function per method, for gRPC and the bridge alike.

import type { DescService, MessageShape } from "@bufbuild/protobuf";
import type { Caller } from "./room/calls.js";

/**
 * A service by its methods' local names (`sendToRoom`). A unary method resolves with its response and rejects with a TrunklineError. Whoever
 * asks waits for `timeoutMs`, in milliseconds, and not once the signal is aborted: for whoever passes the call on, as what has begun goes on.
 * A stream is pulled: what is slow to take is behind, and costs no memory. It ends at once when its signal is aborted.
 */
export type ServiceCalls<S extends DescService> = {
  readonly [M in keyof S["method"]]: S["method"][M]["methodKind"] extends "server_streaming"
    ? (
        caller: Caller,
        request: MessageShape<S["method"][M]["input"]>,
        signal: AbortSignal,
      ) => AsyncIterable<MessageShape<S["method"][M]["output"]>>
    : (
        caller: Caller,
        request: MessageShape<S["method"][M]["input"]>,
        signal?: AbortSignal,
        timeoutMs?: number,
      ) => Promise<MessageShape<S["method"][M]["output"]>>;
};

/** One method, as transports see it that serve any. */
export interface ServiceCall {
  readonly name: string;
  readonly streams: boolean;
  /** The response or the stream of responses. */
  answer(caller: Caller, request: unknown, signal: AbortSignal, timeoutMs?: number): unknown;
}

/** The methods of a service, in the contract's order. Requests must be of the method's own schema. */
export function callsOf<S extends DescService>(service: S, calls: ServiceCalls<S>): readonly ServiceCall[] {
  return service.methods.map(({ localName, methodKind }) => {
    const method: unknown = Reflect.get(calls, localName);
    if (typeof method !== "function") throw new Error(`${service.name} lacks ${localName}`);
    return {
      name: localName,
      streams: methodKind === "server_streaming",
      answer: (...request) => Reflect.apply(method, calls, request),
    };
  });
}

export function isStream(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;
}
