// From where somebody is connected: all that is kept of an address.

import { AddressClass } from "../../gen/trunkline/v1/message_pb.js";

const IPV4 = /(?:^|:)(\d{1,3})\.(\d{1,3})\.\d{1,3}\.\d{1,3}(?::\d+)?$/;
/** Followed by a port or not, in brackets or not. */
const IPV6_LOOPBACK = /^\[?::1(?:\]?$|\]?:\d+$)/;
const IPV6_PRIVATE = /^\[?(?:f[cd]|fe[89ab])[0-9a-f]*:/i;

/** Of an address as transports tell it, with or without a port. */
export function addressClassOf(address: string): AddressClass {
  const ipv4 = IPV4.exec(address);
  if (ipv4 !== null) return classOfIpv4(Number(ipv4[1]), Number(ipv4[2]));
  if (!address.includes(":")) return AddressClass.UNSPECIFIED;
  if (IPV6_LOOPBACK.test(address)) return AddressClass.LOOPBACK;
  return IPV6_PRIVATE.test(address) ? AddressClass.PRIVATE : AddressClass.PUBLIC;
}

function classOfIpv4(first: number, second: number): AddressClass {
  if (first === 127) return AddressClass.LOOPBACK;
  const local =
    first === 10 ||
    (first === 172 && second >= 16 && second < 32) ||
    (first === 192 && second === 168) ||
    (first === 169 && second === 254);
  return local ? AddressClass.PRIVATE : AddressClass.PUBLIC;
}
