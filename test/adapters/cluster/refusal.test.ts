// What a service says to whom it does not take.

import { ReplyError } from "ioredis";
import { expect, test } from "vitest";
import { refusalOf } from "../../../src/adapters/cluster/refusal.js";

const ALERT =
  "4040:error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:rec_layer_s3.c:918:alert number 48";

test.each([
  ["Redis's", new ReplyError("NOAUTH Authentication required."), "NOAUTH Authentication required."],
  ["Kafka's", named("KafkaJSSASLAuthenticationError", "SASL failed"), "SASL failed"],
  ["MongoDB's", named("MongoServerError", "Authentication failed.", 18), "Authentication failed."],
  ["an alert", new Error(ALERT), "it does not take this node's certificate: unknown ca"],
  [
    "a certificate that this node does not take",
    named("KafkaJSConnectionError", "Connection error: certificate has expired", "CERT_HAS_EXPIRED"),
    "its certificate is not trusted: certificate has expired",
  ],
])("is told in one line: %s", (_, error, told) => {
  expect(refusalOf(error)).toBe(told);
  expect(refusalOf(new Error("outer", { cause: new AggregateError([new Error("other"), error]) }))).toBe(told);
});

test("is not what goes by", () => {
  for (const error of [
    new ReplyError("LOADING Redis is loading the dataset in memory"),
    named("Error", "connect ECONNREFUSED 127.0.0.1:6379", "ECONNREFUSED"),
    named("MongoServerError", "not primary", 10_107),
    "text",
  ]) {
    expect(refusalOf(error)).toBeUndefined();
  }
});

function named(name: string, message: string, code?: string | number): Error {
  return Object.assign(new Error(message), { name, ...(code !== undefined && { code }) });
}
