// The HTTP/2 stream of a call: grpc-js has no public way to reset one, and leaves some of those that the client has reset.

import type { ServerHttp2Stream } from "node:http2";

/** The stream under a call. Undefined: grpc-js keeps it elsewhere than it did. */
export function http2StreamOf(call: object): ServerHttp2Stream | undefined {
  if (!("call" in call) || typeof call.call !== "object" || call.call === null) return undefined;
  const inner = call.call;
  if (!("stream" in inner) || !isHttp2Stream(inner.stream)) return undefined;
  return inner.stream;
}

/**
 * Lets go of a stream that the client resets without an error code while it may still send: Node waits until what was written is read,
 * which nobody does any more, so that it would stay for as long as its connection and count against no limit.
 */
export function letGoOnceReset(http2: ServerHttp2Stream | undefined): void {
  http2?.once("end", () => {
    if (http2.closed) http2.destroy();
  });
}

function isHttp2Stream(value: unknown): value is ServerHttp2Stream {
  return typeof value === "object" && value !== null && "rstCode" in value && "close" in value && "once" in value;
}
