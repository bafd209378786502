// `trunkline/client/json`: as `trunkline/client`, without the binary encoding: smaller, and its frames can be read.

import type { Client, ClientOptions } from "./client.js";
import { createWith } from "./create.js";
import { jsonCodec } from "./wire/codec.js";

export * from "./exports.js";

/** A client that speaks JSON. */
export function createClient(options: ClientOptions): Client {
  return createWith(jsonCodec, options);
}
