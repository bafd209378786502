// A ready auth service: validates JSON Web Tokens and tells whoever watches what was revoked.

import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  Metadata,
  Server,
  type ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import {
  AuthService,
  TokenRefusalReason,
  TokenRefusalSchema,
  type ValidateTokenRequest,
  type ValidateTokenResponse,
  ValidateTokenResponseSchema,
  type WatchRevocationsRequest,
  type WatchRevocationsResponse,
} from "../../gen/trunkline/v1/auth_pb.js";
import type { Clock } from "../../ports/clock.js";
import { serviceDefinition, Undecodable } from "../../rpc/definition.js";
import { isLoopback, type ServerTls, serverCredentials } from "../../rpc/tls.js";
import { isId, MAX_TOKEN_BYTES } from "./identity.js";
import { createJwtValidator, type JwtOptions, type JwtValidator } from "./jwt-validator.js";
import { KeysUnavailable } from "./published-keys.js";
import { RevocationList, type RevokeRequest } from "./revocation-list.js";

/** The longest request, in bytes: a token with room to refuse a longer one properly. */
const MAX_REQUEST_BYTES = 64 * 1024;
/** Calls at once on one connection: a verifier makes 256. */
const MAX_STREAMS = 1_024;
/** Revocations kept. */
const MAX_REVOCATIONS = 100_000;
/** How long calls under way may take when it stops, in milliseconds. */
const STOP_MS = 2_000;

export interface AuthServiceOptions {
  /** Default 127.0.0.1. Other than loopback it needs `tls`. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  readonly tls?: ServerTls;
  readonly clock: Clock;
  /** With development keys the address must be loopback. */
  readonly jwt: JwtOptions;
  /** Told of what is wrong on this side (keys that cannot be fetched, bugs). Must not throw. */
  readonly report?: (event: AuthServiceEvent) => void;
}

export type AuthServiceEvent =
  | { readonly kind: "keys.unavailable"; readonly cause: unknown }
  | { readonly kind: "fault"; readonly cause: unknown };

export interface RunningAuthService {
  /** host:port, as a client dials it. */
  readonly address: string;
  /** From now on the token, or the user's tokens issued before now, do not verify. Kept in memory: a restart forgets it. */
  revoke(request: RevokeRequest): void;
  /** Ends streams, lets calls under way finish. */
  close(): Promise<void>;
}

/** Rejects with a plain error where an option is wrong, a key cannot be read or the address is taken. */
export async function startAuthService(options: AuthServiceOptions): Promise<RunningAuthService> {
  const { host = "127.0.0.1", port = 0, clock, jwt, report = () => {} } = options;
  if (jwt.keys.development !== undefined && !isLoopback(host)) {
    throw new Error(`development tokens are for anybody who asks: not on ${host}, only on loopback`);
  }
  const credentials = serverCredentials(host, options.tls);
  const validator = await createJwtValidator(jwt, clock);
  const revocations = new RevocationList({ clock, epoch: randomBytes(8).toString("hex"), capacity: MAX_REVOCATIONS });
  const watchers = new Set<WatchCall>();
  let judging = 0;
  const server = new Server({
    "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
    "grpc.max_concurrent_streams": MAX_STREAMS,
    "grpc.enable_channelz": 0,
  });
  server.addService(serviceDefinition(AuthService), {
    validateToken: (call: ValidateCall, reply: sendUnaryData<ValidateTokenResponse>) => {
      judging += 1;
      judge(call.request, validator, revocations).then(
        (response) => {
          judging -= 1;
          reply(null, response);
        },
        (cause: unknown) => {
          judging -= 1;
          const noKeys = cause instanceof KeysUnavailable;
          report({ kind: noKeys ? "keys.unavailable" : "fault", cause });
          // Not UNAVAILABLE: this service is well, and other tokens' keys may be at hand.
          reply({
            code: noKeys ? status.FAILED_PRECONDITION : status.INTERNAL,
            details: "the token could not be judged",
          });
        },
      );
    },
    watchRevocations: (call: WatchCall) => watch(call, revocations, watchers),
  });
  const boundPort = await bind(server, join(host, port), credentials);
  return {
    address: join(host, boundPort),
    revoke: (request) => {
      const id = "tokenId" in request ? request.tokenId : request.userId;
      if (!isId(request.tenantId) || !isId(id)) throw new Error("what to revoke is not a legal id");
      revocations.add(request);
    },
    close: async () => {
      for (const call of watchers) call.end();
      // Nobody waits for an answer: whatever is still connected may be cut off.
      if (judging === 0) server.forceShutdown();
      else await finish(server, clock);
    },
  };
}

type ValidateCall = ServerUnaryCall<ValidateTokenRequest | Undecodable, ValidateTokenResponse>;
type WatchCall = ServerWritableStream<WatchRevocationsRequest | Undecodable, WatchRevocationsResponse>;

/** Rejects where nothing can be said. */
async function judge(
  request: ValidateTokenRequest | Undecodable,
  validator: JwtValidator,
  revocations: RevocationList,
): Promise<ValidateTokenResponse> {
  const { INVALID, REVOKED } = TokenRefusalReason;
  if (request instanceof Undecodable) return refuse(INVALID, "the request is malformed");
  if (Buffer.byteLength(request.token) > MAX_TOKEN_BYTES) return refuse(INVALID, "the token is too long");
  const verdict = await validator.validate(request.token);
  if (!verdict.valid) return refuse(verdict.reason, verdict.message);
  const { identity, issuedAtMs } = verdict;
  if (revocations.covers(identity, issuedAtMs)) return refuse(REVOKED, "the token has been revoked");
  return create(ValidateTokenResponseSchema, { outcome: { case: "identity", value: identity } });
}

function refuse(reason: TokenRefusalReason, message: string): ValidateTokenResponse {
  const value = create(TokenRefusalSchema, { reason, message });
  return create(ValidateTokenResponseSchema, { outcome: { case: "refusal", value } });
}

/** Each watcher has a place in the list, not a queue: one that reads slowly costs nothing. */
function watch(call: WatchCall, revocations: RevocationList, watchers: Set<WatchCall>): void {
  let place = revocations.startFor(call.request instanceof Undecodable ? "" : call.request.cursor);
  let blocked = false;
  const send = () => {
    while (!blocked) {
      const entry = revocations.next(place);
      if (entry === undefined) return;
      place = entry.after;
      blocked = !call.write(entry.message);
    }
  };
  const forget = revocations.onAdded(send);
  watchers.add(call);
  const over = () => {
    blocked = true;
    forget();
    watchers.delete(call);
  };
  call.on("drain", () => {
    blocked = false;
    send();
  });
  call.on("cancelled", over);
  call.on("close", over);
  call.on("error", over);
  call.on("finish", over);
  // Tells the watcher that it is heard, also while there is nothing to say.
  call.sendMetadata(new Metadata());
  send();
}

function join(host: string, port: number): string {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare.includes(":") ? `[${bare}]:${port}` : `${bare}:${port}`;
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(address, credentials, (error, port) => (error === null ? resolve(port) : reject(error)));
  return promise;
}

/** Lets calls under way have their answers. */
function finish(server: Server, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.after(STOP_MS, () => server.forceShutdown());
  server.tryShutdown(() => {
    timer.cancel();
    resolve();
  });
  return promise;
}
