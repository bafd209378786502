// The parts of kafkajs 2.2.4 that are used and are not in its public types.
//
// Its producer and consumer do not fit a log that compares and appends: a producer gives no answer per partition once one of them
// has failed, and there is no reading without a consumer group. Its connection does: dialling, TLS, SASL and its renewal, framing.
// The version is pinned, and test/adapters/cluster/kafka/ says what is relied on.

import { createRequire } from "node:module";
import type { ConnectionOptions } from "node:tls";
import type { ISocketFactory, SASLOptions } from "kafkajs";

export interface KafkajsRequest<T> {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    /** Of what is returned, `buf` is checked for being a buffer and `buffer` is sent. */
    encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
  };
  readonly response: {
    /** May tell how long the broker wants no more requests; it need not, since the broker reads none meanwhile. */
    decode(payload: Buffer): Promise<{ readonly value: T }>;
    parse(decoded: { readonly value: T }): Promise<T>;
  };
  readonly logResponseError: boolean;
}

/** One socket to one broker. */
export interface KafkajsConnection {
  isConnected(): boolean;
  setVersions(versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>>): void;
  setSupportAuthenticationProtocol(supported: boolean): void;
  connect(): Promise<unknown>;
  authenticate(): Promise<void>;
  send<T>(request: KafkajsRequest<T>): Promise<T>;
  rejectRequests(error: Error): void;
  disconnect(): Promise<unknown>;
}

export interface KafkajsConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly clientId: string;
  readonly ssl: ConnectionOptions | null;
  readonly sasl: SASLOptions | null;
  readonly connectionTimeout: number;
  readonly requestTimeout: number;
  readonly enforceRequestTimeout: boolean;
  readonly socketFactory: ISocketFactory;
  readonly logger: KafkajsLogger;
}

export interface KafkajsLogger {
  namespace(name: string): KafkajsLogger;
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** A connection's queue of requests, as far as it is mended: see idle-timer.ts. */
export interface KafkajsRequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  scheduleCheckPendingRequests(): void;
}

interface RequestQueueClass {
  readonly prototype: KafkajsRequestQueue;
  new (options: {
    readonly maxInFlightRequests: number | null;
    readonly requestTimeout: number;
    readonly enforceRequestTimeout: boolean;
    readonly clientId: string;
    readonly broker: string;
    readonly logger: KafkajsLogger;
  }): KafkajsRequestQueue;
}

const require = createRequire(import.meta.url);

export const KafkajsConnection: new (
  options: KafkajsConnectionOptions,
) => KafkajsConnection = require("kafkajs/src/network/connection.js");

export const KafkajsRequestQueue: RequestQueueClass = require("kafkajs/src/network/requestQueue/index.js");

/** Says nothing: what goes wrong is thrown to whoever asked. */
export const SILENT: KafkajsLogger = {
  namespace: () => SILENT,
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};
