// A server stream: pulled from the core at the pace of whoever reads it.

import { once } from "node:events";
import type { ServerWritableStream, StatusObject } from "@grpc/grpc-js";
import { TrunklineError } from "../../ports/error.js";

export type StreamCall = ServerWritableStream<unknown, unknown>;

/**
 * Writes the responses, and waits while the peer does not read. `abort` is aborted once nobody reads any more; whoever aborts it with a
 * TrunklineError ends the stream with that. Resolves when all of it is over; never rejects. `refuse` makes the status of an error.
 */
export async function pour(
  call: StreamCall,
  abort: AbortController,
  responses: AsyncIterable<unknown>,
  refuse: (error: unknown) => StatusObject,
): Promise<void> {
  const { signal } = abort;
  // After a cancel, writes are taken and never sent.
  const gone = () => abort.abort();
  call.once("cancelled", gone).once("close", gone).once("error", gone);
  try {
    for await (const response of responses) {
      signal.throwIfAborted();
      if (!call.write(response)) await once(call, "drain", { signal });
    }
    signal.throwIfAborted();
    call.end();
  } catch (error) {
    const cause: unknown = signal.aborted ? signal.reason : error;
    if (!call.cancelled && (!signal.aborted || cause instanceof TrunklineError)) call.emit("error", refuse(cause));
  }
}
