// What is kept of an address.

import { expect, it } from "vitest";
import { addressClassOf } from "../../../src/core/presence/address.js";
import { AddressClass } from "../../../src/gen/trunkline/v1/message_pb.js";

it.each([
  ["127.0.0.1", AddressClass.LOOPBACK],
  ["127.0.0.1:51234", AddressClass.LOOPBACK],
  ["::ffff:127.0.0.1", AddressClass.LOOPBACK],
  ["::1", AddressClass.LOOPBACK],
  ["[::1]:51234", AddressClass.LOOPBACK],
  ["10.1.2.3:80", AddressClass.PRIVATE],
  ["172.31.0.1", AddressClass.PRIVATE],
  ["172.32.0.1", AddressClass.PUBLIC],
  ["192.168.1.1", AddressClass.PRIVATE],
  ["fe80::1", AddressClass.PRIVATE],
  ["[fd00::1]:443", AddressClass.PRIVATE],
  ["2001:db8::1", AddressClass.PUBLIC],
  ["8.8.8.8:53", AddressClass.PUBLIC],
  ["", AddressClass.UNSPECIFIED],
])("takes %s for an address of its class", (address, expected) => {
  expect(addressClassOf(address)).toBe(expected);
});
