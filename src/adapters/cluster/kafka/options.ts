// How a node reaches Kafka.

import type { ConnectionOptions } from "node:tls";
import type { SASLOptions } from "kafkajs";
import { type ClientTls, isLoopback } from "../../../rpc/tls.js";

export interface KafkaConnectionOptions {
  /** `host:port` of some brokers; the others are learned from them. */
  readonly brokers: readonly string[];
  /** How the connections are protected. Default: plain where all brokers named are on loopback, else TLS with the system's roots. */
  readonly tls?: ClientTls;
  /** Who the node is. Default: nobody in particular, or whoever the certificate of `tls` names. */
  readonly sasl?: KafkaSasl;
  /** How the node is called in Kafka's logs and quotas. Default "trunkline". */
  readonly clientId?: string;
}

export interface KafkaSasl {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly username: string;
  readonly password: string;
}

export const DEFAULT_CLIENT_ID = "trunkline";
/** From dialling to a connection, TLS included, in milliseconds. */
export const CONNECT_DEADLINE_MS = 1_500;

/** `host:port`, with an IPv6 host in brackets. Throws RangeError for what is none. */
export function parseBroker(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port > 0 && port < 65_536)) throw new RangeError(`${address}: a broker is host:port`);
  return { host, port };
}

/** What kafkajs takes for `tls`: undefined for plain connections. Throws RangeError where a password would travel in the clear. */
export function kafkaTls({ brokers, tls, sasl }: KafkaConnectionOptions): ConnectionOptions | undefined {
  if (brokers.length === 0) throw new RangeError("name at least one broker");
  const local = brokers.every((broker) => isLoopback(parseBroker(broker).host));
  if (tls === "plain" || (tls === undefined && local)) {
    if (sasl?.mechanism === "plain" && !local) {
      throw new RangeError("SASL PLAIN sends the password as it is: use TLS, or SCRAM");
    }
    return undefined;
  }
  const { ca, identity, serverName } = tls ?? {};
  return {
    ...(ca === undefined ? {} : { ca: Buffer.from(ca) }),
    ...(identity === undefined ? {} : { cert: Buffer.from(identity.certificate), key: Buffer.from(identity.key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** What kafkajs takes for `sasl`; it keeps things of its own in it. */
export function kafkaSasl({ sasl }: KafkaConnectionOptions): SASLOptions | undefined {
  if (sasl === undefined) return undefined;
  const { username, password } = sasl;
  switch (sasl.mechanism) {
    case "plain":
      return { mechanism: "plain", username, password };
    case "scram-sha-256":
      return { mechanism: "scram-sha-256", username, password };
    case "scram-sha-512":
      return { mechanism: "scram-sha-512", username, password };
  }
}
