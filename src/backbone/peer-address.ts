// Where other nodes reach this one.

import { isIP } from "node:net";
import { isLoopback } from "../rpc/tls.js";

export interface PeerPlace {
  /** As bound. */
  readonly host: string;
  readonly port: number;
  /** As stated, `host:port`; undefined: as bound. */
  readonly stated: string | undefined;
  /** Hosts of the services that the cluster shares. */
  readonly services: readonly string[];
}

/** `host:port`. Throws an Error where other nodes could not reach this one by it. */
export function peerAddress({ host, port, stated, services }: PeerPlace): string {
  const address = stated ?? joined(host, port);
  const at = hostOf(address);
  if (at === undefined) throw new Error(`${address} is no address for other nodes: it is to be host:port`);
  if (isUnspecified(at)) {
    throw new Error(`other nodes cannot reach this one at ${address}: say where they can (peerAddress)`);
  }
  const far = services.find((service) => !isLoopback(service));
  if (far !== undefined && isLoopback(at)) {
    throw new Error(
      `other nodes cannot reach this one at ${address}, and ${far} is on another machine: say where they can (peerAddress)`,
    );
  }
  return address;
}

function joined(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Of `host:port`; undefined: it is none. */
export function hostOf(address: string): string | undefined {
  const match = /^(?:\[([^\]\s]+)\]|([^:\s]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  return port > 0 && port < 65_536 ? (match?.[1] ?? match?.[2]) : undefined;
}

function isUnspecified(host: string): boolean {
  return host === "0.0.0.0" || /^[0:]+$/.test(host);
}
