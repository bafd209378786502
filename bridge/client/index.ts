// `trunkline/client`: for browsers, workers and Node 22 or later.

import type { Client, ClientOptions } from "./client.js";
import { createWith } from "./create.js";
import { binaryCodec } from "./wire/binary.js";

export * from "./exports.js";

/** A client that speaks the binary encoding. */
export function createClient(options: ClientOptions): Client {
  return createWith(binaryCodec, options);
}
