// How gRPC connections to and of inner services are protected, on either side.

import { isIP } from "node:net";
import { ChannelCredentials, ServerCredentials } from "@grpc/grpc-js";

/** PEM text. */
export type Pem = string | Uint8Array;

/** Without it: plain on loopback and Unix sockets, TLS with the system's roots elsewhere. */
export type ClientTls =
  /** No encryption: tokens can be read on the way. */
  | "plain"
  | {
      /** Who may have signed the server's certificate. Default: the system's roots. */
      readonly ca?: Pem;
      /** This client's own certificate and key, for mutual TLS. */
      readonly identity?: { readonly certificate: Pem; readonly key: Pem };
      /** The name the server's certificate must carry, where it is not the host of the address. */
      readonly serverName?: string;
    };

/** Without it: plain, on loopback only. */
export type ServerTls =
  /** No encryption, also on other addresses: tokens can be read on the way. */
  | "plain"
  | {
      readonly certificate: Pem;
      readonly key: Pem;
      /** Who must have signed the clients' certificates. Default: clients need none. */
      readonly clientCa?: Pem;
    };

export function clientCredentials(address: string, tls: ClientTls | undefined): ChannelCredentials {
  if (tls === "plain" || (tls === undefined && isLocalTarget(address))) return ChannelCredentials.createInsecure();
  const { ca, identity } = tls ?? {};
  return ChannelCredentials.createSsl(
    ca === undefined ? null : Buffer.from(ca),
    identity === undefined ? null : Buffer.from(identity.key),
    identity === undefined ? null : Buffer.from(identity.certificate),
  );
}

/** Throws where the address is public and nothing was said about its protection. */
export function serverCredentials(host: string, tls: ServerTls | undefined): ServerCredentials {
  if (tls === "plain") return ServerCredentials.createInsecure();
  if (tls === undefined) {
    if (isLoopback(host)) return ServerCredentials.createInsecure();
    throw new Error(`${host} is not a loopback address: give a certificate, or ask for plain connections`);
  }
  const pair = { cert_chain: Buffer.from(tls.certificate), private_key: Buffer.from(tls.key) };
  const clientCa = tls.clientCa === undefined ? null : Buffer.from(tls.clientCa);
  return ServerCredentials.createSsl(clientCa, [pair], clientCa !== null);
}

/** Whether a host reaches this machine only. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  if (bare === "localhost" || bare === "::1") return true;
  return isIP(bare) === 4 && bare.startsWith("127.");
}

function isLocalTarget(address: string): boolean {
  if (address.startsWith("unix:")) return true;
  return isLoopback(address.replace(/^(dns|ipv4|ipv6):(\/\/\/?)?/, "").replace(/:\d+$/, ""));
}
