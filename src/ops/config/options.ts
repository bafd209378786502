// Every option there is, in the order in which help and documentation show them.

import { CLUSTER_OPTIONS } from "./cluster-options.js";
import { HOOK_OPTIONS } from "./hook-options.js";
import { LIMIT_OPTIONS } from "./limit-options.js";
import { LINK_OPTIONS } from "./link-options.js";
import {
  duration,
  integer,
  list,
  type Option,
  oneOf,
  optionalPort,
  optionalText,
  port,
  secret,
  text,
  toggle,
  type ValueOf,
} from "./option.js";
import { RATE_OPTIONS } from "./rate-options.js";

const GENERAL = {
  config: optionalText(
    "FILE",
    'A JSON file of options, in camel case: {"grpcPort": 9090}. It weighs less than variables and flags.',
  ),
  logLevel: oneOf(
    ["trace", "debug", "info", "warn", "error", "silent"],
    "info",
    "The least important lines that are logged.",
  ),
  logFormat: oneOf(["auto", "pretty", "json"], "auto", "How log lines look. auto: pretty on a terminal, else json."),
};

const LISTENING = {
  host: text("HOST", "127.0.0.1", "The address to listen on, for gRPC and the bridge. 0.0.0.0: every interface."),
  grpcHost: optionalText("HOST", "The address to listen on for gRPC, where it differs from host."),
  grpcPort: port(9090, "The port for gRPC. 0: any free one."),
  grpcTlsCert: optionalText("FILE", "The gRPC server's certificate chain, PEM. Turns TLS on, together with its key."),
  grpcTlsKey: optionalText("FILE", "The private key of that certificate, PEM."),
  grpcTlsClientCa: optionalText("FILE", "Only clients with a certificate of this authority may connect (mTLS). PEM."),
  grpcServices: optionalText(
    "FILE",
    "Backend services that are known by their client certificate and need no token: a JSON file, see below. Needs grpcTlsClientCa.",
  ),
  bridgeHost: optionalText("HOST", "The address to listen on for the bridge, where it differs from host."),
  bridgePort: port(
    8080,
    "The port for browsers: WebSocket and its fallback, Connect, gRPC-Web, JSON and health. 0: any free one.",
  ),
  bridgeTlsCert: optionalText("FILE", "The bridge's certificate chain, PEM. Turns TLS on, together with its key."),
  bridgeTlsKey: optionalText("FILE", "The private key of that certificate, PEM."),
  allowedOrigins: list(
    "ORIGIN",
    [],
    "Web origins whose pages may connect, e.g. https://app.example. *: any. None: the bridge's own.",
  ),
  maxConnections: integer(
    "N",
    15_000,
    1,
    1_000_000,
    "WebSockets open at once; a session of the fallback counts as two. Below what the process may have open.",
  ),
  page: toggle(false, "Serve the demo page at the bridge's root."),
};

/** A hundred years. */
const LONGEST_RETENTION_MS = 36_500 * 86_400_000;

const STORE = {
  engine: oneOf(
    ["embedded", "cluster"],
    "embedded",
    "Where everything is kept. embedded: in the data directory of this one process. cluster: in Kafka, MongoDB and Redis, by any number of nodes.",
  ),
  dataDirectory: text("DIR", "./trunkline-data", "Where everything is stored. One process at a time."),
  shards: integer(
    "N",
    64,
    1,
    4096,
    "Groups of rooms that are stored independently; in a cluster, the topic's partitions. Fixed when the store or topic is created.",
  ),
  retention: duration(0, 0, "How long events are kept. 0: for ever. Embedded only.", LONGEST_RETENTION_MS),
};

const AUTH = {
  authAddress: optionalText(
    "HOST:PORT",
    "The auth service that verifies tokens. `trunkline serve` needs it. TLS, unless it is on this machine.",
  ),
  authInsecure: toggle(
    false,
    "Do without TLS although the auth service is on another machine. Tokens can be read on the way.",
  ),
  authCa: optionalText(
    "FILE",
    "Who may have signed the auth service's certificate, PEM. Not set: the machine's authorities.",
  ),
  authClientCert: optionalText(
    "FILE",
    "This process's certificate towards the auth service (mTLS), PEM. Needs its key too.",
  ),
  authClientKey: optionalText("FILE", "The private key of that certificate, PEM."),
};

const AUTH_SERVICE = {
  authHost: text("HOST", "127.0.0.1", "The address the auth service listens on. Beyond this machine it needs TLS."),
  authPort: port(9091, "The port the auth service listens on. 0: any free one, as `trunkline dev` does."),
  authServeInsecure: toggle(
    false,
    "Let the auth service listen beyond this machine without TLS. Tokens can be read on the way.",
  ),
  authTlsCert: optionalText("FILE", "The auth service's certificate chain, PEM. Turns TLS on, together with its key."),
  authTlsKey: optionalText("FILE", "The private key of that certificate, PEM."),
  authTlsClientCa: optionalText("FILE", "Only backbones with a certificate of this authority may ask (mTLS). PEM."),
  jwtSecret: secret("SECRET", "The shared secret of HS256, HS384 and HS512 tokens, at least 32 bytes."),
  jwtKeys: list("FILE", [], "Public keys that tokens are signed with: PEM, JWK or JWKS files."),
  jwksUrl: optionalText("URL", "Where the issuer publishes its keys (JWKS); https, http only on this machine."),
  jwtAlgorithms: list("ALG", [], "Signature algorithms to accept. None stated: those that fit the keys."),
  jwtIssuer: list(
    "TEXT",
    [],
    "Accept only tokens of one of these issuers (`iss`). None stated: any, as the keys are theirs.",
  ),
  jwtAudience: list("TEXT", [], "Accept only tokens for one of these audiences (`aud`). None stated: any."),
  jwtClockSkew: duration(5_000, 0, "How far clocks may differ when a token's times are judged."),
  jwtAllowNoExpiry: toggle(false, "Accept tokens that never expire."),
  jwtTenant: optionalText(
    "TENANT",
    "The tenant of every token, where the issuer has one tenant. The tenant claim is not read then.",
  ),
  jwtTenantClaim: text("CLAIM", "tenant", "The claim that names the tenant. Dots: a path into objects."),
  jwtUserClaim: text("CLAIM", "sub", "The claim that names the user."),
  jwtNameClaim: text("CLAIM", "name", "The claim with the user's name for people."),
  jwtGrantsClaim: text(
    "CLAIM",
    "grants",
    "The claim that lists grants (`service`, `admin`), as a list or with spaces between.",
  ),
};

const OPERATION = {
  metricsHost: text("HOST", "127.0.0.1", "The address /metrics is served on."),
  metricsPort: optionalPort("The port /metrics is served on, for Prometheus. Not set: off. 0: any free one."),
  drainSpread: duration(3_000, 0, "When stopping: the time over which clients are told to reconnect elsewhere."),
  shutdownDeadline: duration(15_000, 1, "When stopping: what has not ended by then is cut off."),
};

const OUTLETS = {
  outlets: optionalText(
    "FILE",
    "What leaves the server by itself: webhooks, and notifications for users who are away. JSON; see below.",
  ),
};

const TENANTS = {
  tenantsFile: optionalText(
    "FILE",
    "A JSON file of limits and rates of single tenants, by tenant id. Read again on SIGHUP.",
  ),
};

/** The groups, by title. */
export const OPTION_GROUPS = {
  General: GENERAL,
  Listening: LISTENING,
  "Remote bridges": LINK_OPTIONS,
  Store: STORE,
  Cluster: CLUSTER_OPTIONS,
  "Verifying tokens": AUTH,
  "The auth service": AUTH_SERVICE,
  Hooks: HOOK_OPTIONS,
  Outlets: OUTLETS,
  Operation: OPERATION,
  Limits: { ...LIMIT_OPTIONS, ...TENANTS },
  Rates: RATE_OPTIONS,
} satisfies Readonly<Record<string, Readonly<Record<string, Option<unknown>>>>>;

/** Every option, by key. */
export const OPTIONS = {
  ...GENERAL,
  ...LISTENING,
  ...LINK_OPTIONS,
  ...STORE,
  ...CLUSTER_OPTIONS,
  ...AUTH,
  ...AUTH_SERVICE,
  ...HOOK_OPTIONS,
  ...OUTLETS,
  ...OPERATION,
  ...LIMIT_OPTIONS,
  ...TENANTS,
  ...RATE_OPTIONS,
};

export type OptionKey = keyof typeof OPTIONS;
export type OptionGroup = keyof typeof OPTION_GROUPS;

/** The whole configuration, resolved: each option has a value. */
export type Config = { readonly [K in OptionKey]: ValueOf<(typeof OPTIONS)[K]> };

/** Every option's key, in order. */
export const OPTION_KEYS: readonly OptionKey[] = Object.keys(OPTIONS).filter(isOptionKey);

export function isOptionKey(name: string): name is OptionKey {
  return Object.hasOwn(OPTIONS, name);
}
