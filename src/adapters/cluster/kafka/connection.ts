// One connection to one broker. It is given up as a whole: after a request without an answer nothing more is sent on it.

import { connect as connectPlain, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { SASLOptions } from "kafkajs";
import type { Clock } from "../../../ports/clock.js";
import { ByteReader } from "./bytes.js";
import { KafkajsConnection, SILENT } from "./internals.js";
import { CONNECT_DEADLINE_MS } from "./options.js";
import type { BrokerAddress, KafkaRequest } from "./requests.js";

export interface ConnectionSettings {
  readonly clientId: string;
  /** Undefined: plain. */
  readonly tls: ConnectionOptions | undefined;
  readonly sasl: SASLOptions | undefined;
  readonly clock: Clock;
}

/** The versions of SaslHandshake and SaslAuthenticate: by their means the connection proves who it is. */
const SASL_VERSIONS = { 17: { minVersion: 0, maxVersion: 1 }, 36: { minVersion: 0, maxVersion: 1 } };
/** From the last byte to the first probe whether the peer is still there, in milliseconds. */
const KEEP_ALIVE_MS = 30_000;
/** One that was not used for so long is made anew, in milliseconds: brokers hang up after ten minutes, maybe under the next request. */
const IDLE_MS = 5 * 60_000;
const BY_US = new Error("the connection was given up");

export class BrokerConnection {
  readonly #settings: ConnectionSettings;
  readonly #address: BrokerAddress;
  readonly #inner: KafkajsConnection;
  #socket: Socket | undefined;
  #ready: Promise<void> | undefined;
  #connected = false;
  #usedAtMs: number;
  #ended = false;

  constructor(address: BrokerAddress, settings: ConnectionSettings) {
    this.#address = address;
    this.#settings = settings;
    this.#usedAtMs = settings.clock.monotonic();
    this.#inner = new KafkajsConnection({
      host: address.host,
      port: address.port,
      clientId: settings.clientId,
      ssl: settings.tls ?? null,
      sasl: settings.sasl ?? null,
      connectionTimeout: CONNECT_DEADLINE_MS,
      // Deadlines are kept here.
      requestTimeout: 60_000,
      enforceRequestTimeout: false,
      socketFactory: ({ onConnect }) => this.#dial(onConnect),
      logger: SILENT,
    });
    this.#inner.setVersions(SASL_VERSIONS);
    this.#inner.setSupportAuthenticationProtocol(true);
  }

  /** Whether it may be used, or used again. */
  get usable(): boolean {
    if (this.#ended || this.#settings.clock.monotonic() - this.#usedAtMs > IDLE_MS) return false;
    return !this.#connected || this.#inner.isConnected();
  }

  /** Sends a request, on a connection made first where there is none. After a rejection the connection is not usable. */
  async request<T>(request: KafkaRequest<T>, deadlineMs: number): Promise<T> {
    if (this.#ended) throw BY_US;
    this.#usedAtMs = this.#settings.clock.monotonic();
    const late = Promise.withResolvers<never>();
    const { host, port } = this.#address;
    const timer = this.#settings.clock.after(deadlineMs, () => {
      late.reject(new Error(`${request.apiName}: no answer from ${host}:${port} within ${deadlineMs} ms`));
    });
    try {
      return await Promise.race([this.#send(request), late.promise]);
    } catch (error) {
      this.end();
      throw error;
    } finally {
      timer.cancel();
    }
  }

  /** Gives the connection up at once. What was sent may still be carried out. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#inner.rejectRequests(BY_US);
    this.#socket?.destroy();
    this.#inner.disconnect().catch(() => {});
  }

  async #send<T>({ apiKey, apiVersion, apiName, body, decode }: KafkaRequest<T>): Promise<T> {
    if (this.#ready === undefined) {
      this.#ready = this.#connect();
      // Whoever sends is told; a second one asks the same promise.
      this.#ready.catch(() => {});
    }
    await this.#ready;
    const encoded = { buf: body, buffer: body };
    return await this.#inner.send({
      request: { apiKey, apiVersion, apiName, encode: async () => encoded },
      response: {
        decode: async (payload) => ({ value: decode(new ByteReader(payload)) }),
        parse: async ({ value }) => value,
      },
      logResponseError: false,
    });
  }

  async #connect(): Promise<void> {
    await this.#inner.connect();
    if (this.#settings.sasl !== undefined) await this.#inner.authenticate();
    this.#connected = true;
  }

  #dial(onConnect: () => void): Socket {
    const { host, port } = this.#address;
    const { tls } = this.#settings;
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket =
      tls === undefined
        ? connectPlain({ host, port }, onConnect)
        : connectTls({ host, port, ...name, ...tls }, onConnect);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#socket = socket;
    return socket;
  }
}
