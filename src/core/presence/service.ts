// PresenceService: what backend services may ask of their tenant's users.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import * as rpc from "../../gen/trunkline/v1/presence_pb.js";
import { LastSeenVisibility } from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { SessionEntry } from "../../ports/session-directory.js";
import type { Revocation } from "../../ports/token-verifier.js";
import type { CoreDependencies } from "../core.js";
import type { Caller } from "../room/calls.js";
import { isService } from "../room/permissions.js";
import type { ServiceCalls } from "../service-calls.js";
import { validateId, validateOptionalId } from "../validate.js";
import type { PresenceHub } from "./hub.js";
import { ServiceStream } from "./stream.js";
import { choiceOf, wirePresence } from "./wire.js";

const MAX_USERS = 1_000;
const ONLINE_PAGE = { usual: 100, most: 1_000 };
const KICKED = "closed by a service";

export class PresenceService implements ServiceCalls<typeof rpc.PresenceService> {
  readonly #deps: CoreDependencies;
  readonly #hub: PresenceHub;
  readonly #streams = new Set<ServiceStream>();
  #endRevocations: (() => void) | undefined;

  constructor(deps: CoreDependencies, hub: PresenceHub) {
    this.#deps = deps;
    this.#hub = hub;
  }

  start(): void {
    this.#endRevocations = this.#deps.verifier.onRevoked((revocation) => this.#revoke(revocation));
  }

  /** Ends the streams: the node leaves. */
  stop(): void {
    this.#endRevocations?.();
    const leaving = new TrunklineError(ErrorCode.UNAVAILABLE, "the node is leaving", { retryAfterMs: 1_000 });
    for (const stream of [...this.#streams]) stream.end(leaving);
  }

  async getPresence(caller: Caller, { userIds }: rpc.GetPresenceRequest): Promise<rpc.GetPresenceResponse> {
    const tenantId = requireService(caller);
    validateUsers(userIds);
    const presences = await this.#deps.directory.presences(tenantId, userIds);
    return create(rpc.GetPresenceResponseSchema, { presences: presences.map(wirePresence) });
  }

  async *watchPresence(
    caller: Caller,
    { userIds }: rpc.WatchPresenceRequest,
    signal: AbortSignal,
  ): AsyncGenerator<rpc.WatchPresenceResponse, void, undefined> {
    const tenantId = requireService(caller);
    validateUsers(userIds);
    const { clock, limits, directory } = this.#deps;
    const users = new Set(userIds);
    const closed = (stream: ServiceStream): void => void this.#streams.delete(stream);
    const stream = new ServiceStream(caller.identity, users, this.#hub, clock, limits.stallDeadlineMs, closed);
    this.#streams.add(stream);
    const abort = (): void => stream.end(signal.reason instanceof TrunklineError ? signal.reason : undefined);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      await stream.open();
      stream.begin((await directory.presences(tenantId, [...users])).map(wirePresence));
      for (let response = await stream.next(); response !== undefined; response = await stream.next()) yield response;
    } finally {
      signal.removeEventListener("abort", abort);
      stream.end(undefined);
    }
  }

  async setPresence(caller: Caller, request: rpc.SetPresenceRequest): Promise<rpc.SetPresenceResponse> {
    const tenantId = requireService(caller);
    validateId("user_id", request.userId);
    const choice = choiceOf("", request);
    const { lastSeenVisibility, userId } = request;
    const { directory } = this.#deps;
    if (lastSeenVisibility !== LastSeenVisibility.UNSPECIFIED) {
      await directory.setLastSeenVisibility(tenantId, userId, lastSeenVisibility);
    }
    return create(rpc.SetPresenceResponseSchema, { sessions: await directory.chooseAll(tenantId, userId, choice) });
  }

  async listOnline(caller: Caller, request: rpc.ListOnlineRequest): Promise<rpc.ListOnlineResponse> {
    const tenantId = requireService(caller);
    validateOptionalId("page_token", request.pageToken);
    const { usual, most } = ONLINE_PAGE;
    if (request.pageSize > most) throw TrunklineError.tooLarge("page_size", most, "entries");
    const limit = request.pageSize === 0 ? usual : request.pageSize;
    const online = await this.#deps.directory.online(tenantId, request.pageToken, limit);
    return create(rpc.ListOnlineResponseSchema, {
      presences: online.map(wirePresence),
      nextPageToken: online.length < limit ? "" : (online.at(-1)?.userId ?? ""),
    });
  }

  async listSessions(caller: Caller, { userId }: rpc.ListSessionsRequest): Promise<rpc.ListSessionsResponse> {
    const tenantId = requireService(caller);
    validateId("user_id", userId);
    const sessions = await this.#deps.directory.sessions(tenantId, userId);
    return create(rpc.ListSessionsResponseSchema, { sessions: sessions.map(sessionInfo) });
  }

  async closeSession(caller: Caller, { sessionId }: rpc.CloseSessionRequest): Promise<rpc.CloseSessionResponse> {
    const tenantId = requireService(caller);
    validateId("session_id", sessionId);
    const closed = await this.#deps.directory.close(tenantId, { sessionId }, CloseCode.KICKED, KICKED);
    return create(rpc.CloseSessionResponseSchema, { closed: closed > 0 });
  }

  async closeUser(caller: Caller, { userId }: rpc.CloseUserRequest): Promise<rpc.CloseUserResponse> {
    const tenantId = requireService(caller);
    validateId("user_id", userId);
    const closed = await this.#deps.directory.close(tenantId, { userId }, CloseCode.KICKED, KICKED);
    return create(rpc.CloseUserResponseSchema, { closed });
  }

  #revoke({ tenantId, subject }: Revocation): void {
    const revoked = new TrunklineError(ErrorCode.UNAUTHENTICATED, "access was revoked");
    for (const stream of [...this.#streams]) {
      const { identity } = stream;
      if (identity.tenantId !== tenantId) continue;
      const covered =
        "userId" in subject
          ? identity.userId === subject.userId
          : identity.tokenId !== "" && identity.tokenId === subject.tokenId;
      if (covered) stream.end(revoked);
    }
  }
}

/** The caller's tenant. */
function requireService({ identity }: Caller): string {
  if (isService(identity)) return identity.tenantId;
  throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "the token lacks the grant service");
}

function validateUsers(userIds: readonly string[]): void {
  if (userIds.length === 0) throw TrunklineError.invalid("user_ids", "is required");
  if (userIds.length > MAX_USERS) throw TrunklineError.tooLarge("user_ids", MAX_USERS, "users");
  for (const userId of userIds) validateId("user_ids", userId);
}

function sessionInfo({ sessionId, userId, device, connectedAtMs, addressClass }: SessionEntry): rpc.SessionInfo {
  const { deviceId, kind, name, appVersion } = device;
  return create(rpc.SessionInfoSchema, {
    sessionId,
    userId,
    device: { deviceId, kind, name, appVersion },
    connectedAt: timestampFromMs(connectedAtMs),
    addressClass,
  });
}
