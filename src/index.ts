// The public door: run a backbone inside your own process.
//
//   const backbone = await startBackbone({ dataDirectory: "./data", auth: { address: "127.0.0.1:9091" } });
//   …
//   await backbone.stop();

export type { ClusterOptions, PeerOptions } from "./backbone/cluster-options.js";
export type { Backbone, BackboneOptions, ListenAddress, StopOptions } from "./backbone/options.js";
export { startBackbone } from "./backbone.js";

// To verify tokens in your own process.

export { ErrorCode, type ErrorOptions, TrunklineError } from "./ports/error.js";
export type { Identity, Revocation, TokenVerifier } from "./ports/token-verifier.js";

// To ask an auth service, or to run one.

export { type AuthServiceOptions, type RunningAuthService, startAuthService } from "./adapters/auth/auth-service.js";
export type { JwtOptions } from "./adapters/auth/jwt-validator.js";
export type { ClientTls, ServerTls } from "./rpc/tls.js";

// To have a say in your own process.

export type { AccessHookOptions, PublishHookOptions } from "./backbone/options.js";
export type { AccessAnswer, AccessHook, AccessQuestion } from "./ports/access-hook.js";
export type { Publication, PublishHook, PublishVerdict } from "./ports/publish-hook.js";

// To tell others what happens.

export type { NotifierTarget, OutletTargets, WebhookOptions, WebhookTarget } from "./backbone/outlets.js";

// To act on rooms without a connection.

export type { Core } from "./core/core.js";
export type { Caller, RoomCalls, RoomRequest, RoomResponse } from "./core/room/calls.js";

// To bound it, to watch it, to stop its time.

export { DEFAULT_LIMITS, type Limits, type Rate } from "./core/limit/limits.js";
export { DEFAULT_RATES, type RateDifferences, type Rates, ratesWith } from "./core/limit/rates.js";
export type { TenantDifferences } from "./core/limit/tenants.js";
export type { Telemetry, TelemetryEvents, TelemetryName } from "./core/telemetry.js";
export { createSystemClock } from "./ops/clock.js";
export { createLog, type Log, type Logger, type LogOptions } from "./ops/log.js";
export type { Clock, Timer } from "./ports/clock.js";

// To copy a store that another process uses.

export { backupFromOutside } from "./adapters/embedded/backup-from-outside.js";
