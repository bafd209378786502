// Auth services and verifiers for tests, over loopback gRPC, gone after the test.

import { create } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import {
  createTokenVerifier,
  type TokenVerifierEvent,
  type TokenVerifierOptions,
} from "../../../src/adapters/auth/token-verifier.js";
import {
  AuthService,
  TokenIdentitySchema,
  type ValidateTokenRequest,
  type ValidateTokenResponse,
  ValidateTokenResponseSchema,
  type WatchRevocationsRequest,
  type WatchRevocationsResponse,
} from "../../../src/gen/trunkline/v1/auth_pb.js";
import type { TokenVerifier } from "../../../src/ports/token-verifier.js";
import { serviceDefinition } from "../../../src/rpc/definition.js";
import { StoppedClock } from "../../support/stopped-clock.js";

/** A stopped clock that shows a year in which tokens are thinkable. */
export function clockOf2026(): StoppedClock {
  const clock = new StoppedClock();
  clock.advance(Date.UTC(2026, 0, 1));
  return clock;
}

export type WatchCall = ServerWritableStream<WatchRevocationsRequest, WatchRevocationsResponse>;

/** What a scripted service says; it may reject with `{code, details}`. */
export interface Script {
  validate?(token: string): Promise<ValidateTokenResponse>;
  watch?(call: WatchCall): void;
}

export interface ScriptedService {
  readonly address: string;
  readonly port: number;
  stop(): void;
}

/** An AuthService that says what the test wants. */
export async function startScripted(script: Script, port = 0): Promise<ScriptedService> {
  const server = new Server();
  const validate = script.validate ?? (async () => identity({}));
  const watch = script.watch;
  server.addService(serviceDefinition(AuthService), {
    validateToken: (
      call: ServerUnaryCall<ValidateTokenRequest, ValidateTokenResponse>,
      reply: sendUnaryData<ValidateTokenResponse>,
    ) => {
      validate(call.request.token).then(
        (response) => reply(null, response),
        (error) => reply(error),
      );
    },
    ...(watch === undefined ? {} : { watchRevocations: watch }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
    error === null ? resolve(bound) : reject(error),
  );
  const bound = await promise;
  onTestFinished(() => server.forceShutdown());
  return { address: `127.0.0.1:${bound}`, port: bound, stop: () => server.forceShutdown() };
}

export interface IdentityFields {
  readonly tenantId?: string;
  readonly userId?: string;
  readonly displayName?: string;
  readonly grants?: string[];
  readonly tokenId?: string;
  readonly expiresAt?: { seconds: bigint; nanos: number };
}

/** A valid answer, but for what is given. */
export function identity(fields: IdentityFields): ValidateTokenResponse {
  const value = create(TokenIdentitySchema, { tenantId: "acme", userId: "u1", tokenId: "t1", ...fields });
  return create(ValidateTokenResponseSchema, { outcome: { case: "identity", value } });
}

export interface UsedVerifier {
  readonly verifier: TokenVerifier;
  readonly clock: StoppedClock;
  readonly events: TokenVerifierEvent[];
  /** The first event of a kind, past or to come. */
  event(kind: TokenVerifierEvent["kind"]): Promise<TokenVerifierEvent>;
}

export function useVerifier(
  options: Partial<TokenVerifierOptions> & { address: string; clock?: StoppedClock },
): UsedVerifier {
  const clock = options.clock ?? clockOf2026();
  const events: TokenVerifierEvent[] = [];
  const waiting = new Set<() => void>();
  const verifier = createTokenVerifier({
    random: () => 0.5,
    ...options,
    clock,
    report: (event) => {
      events.push(event);
      options.report?.(event);
      for (const wake of waiting) wake();
    },
  });
  onTestFinished(() => verifier.close());
  const event = (kind: TokenVerifierEvent["kind"]) => {
    const { promise, resolve } = Promise.withResolvers<TokenVerifierEvent>();
    const look = () => {
      const found = events.find((each) => each.kind === kind);
      if (found === undefined) return;
      waiting.delete(look);
      resolve(found);
    };
    waiting.add(look);
    look();
    return promise;
  };
  return { verifier, clock, events, event };
}

/** Counts calls and lets a test hold their answers back. */
export class Gate {
  #open = Promise.withResolvers<void>();
  #arrived = Promise.withResolvers<void>();
  #wanted = 1;
  calls = 0;

  async pass(): Promise<void> {
    this.calls += 1;
    if (this.calls >= this.#wanted) this.#arrived.resolve();
    await this.#open.promise;
  }

  /** Resolves once so many have come. */
  arrived(count = 1): Promise<void> {
    this.#wanted = count;
    if (this.calls >= count) this.#arrived.resolve();
    return this.#arrived.promise;
  }

  open(): void {
    this.#open.resolve();
  }
}
