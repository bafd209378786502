// Server streams: over gRPC, and as Connect's JSON over HTTP/1.1, where each message is framed by its length.

import { type CallError, connectErrorOf, followGrpc } from "./grpc.js";
import { Inbox } from "./inbox.js";
import { at, isObject, type JsonObject } from "./json-value.js";
import type { Schema } from "./schema.js";

/** What a stream's wire tells of it. */
export interface StreamListener {
  response(response: JsonObject): void;
  ended(error: CallError | undefined): void;
}

export interface StreamTarget {
  readonly schema: Schema;
  readonly token: string | undefined;
  readonly service: string;
  readonly method: string;
  readonly request: JsonObject;
}

/** The responses of one stream, in order. */
export class ResponseStream {
  readonly #inbox: Inbox;
  #error: CallError | undefined;
  /** Gives the stream up. */
  readonly cancel: () => void;

  constructor(label: string, open: (listener: StreamListener) => () => void) {
    this.#inbox = new Inbox(label);
    this.cancel = open({
      response: (response) => this.#inbox.push(response),
      ended: (error) => {
        this.#error = error;
        this.#inbox.end({ code: 0, reason: error === undefined ? "in order" : `${error.status} ${error.message}` });
      },
    });
  }

  /** The oldest response that was not asked for yet. */
  next(patienceMs?: number): Promise<JsonObject> {
    return this.#inbox.take(() => true, "a response", patienceMs);
  }

  /** Resolves with how the stream has ended: undefined, in order. */
  async ended(patienceMs?: number): Promise<CallError | undefined> {
    await this.#inbox.ended(patienceMs);
    return this.#error;
  }
}

export function grpcStream(address: string, target: StreamTarget): ResponseStream {
  return new ResponseStream(`gRPC stream ${target.method}`, (listener) => followGrpc(address, target, listener));
}

const LAST = 0x02;
const HEAD_BYTES = 5;

export function connectStream(baseUrl: string, target: StreamTarget): ResponseStream {
  return new ResponseStream(`Connect stream ${target.method}`, (listener) => {
    const given = new AbortController();
    readConnect(baseUrl, target, listener, given.signal).catch((error: unknown) =>
      listener.ended({ reason: "", status: "", field: "", message: String(error) }),
    );
    return () => given.abort();
  });
}

async function readConnect(
  baseUrl: string,
  { schema, token, service, method, request }: StreamTarget,
  listener: StreamListener,
  signal: AbortSignal,
): Promise<void> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(`${baseUrl}/${service}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/connect+json", "connect-protocol-version": "1", ...authorization },
    body: framed(request),
    signal,
  });
  if (!answer.ok || answer.body === null) throw new Error(`HTTP ${answer.status}`);
  let rest = Buffer.alloc(0);
  for await (const chunk of answer.body) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= HEAD_BYTES && rest.length >= HEAD_BYTES + rest.readUInt32BE(1)) {
      const flags = rest.readUInt8(0);
      const end = HEAD_BYTES + rest.readUInt32BE(1);
      const message: unknown = JSON.parse(rest.toString("utf8", HEAD_BYTES, end));
      rest = rest.subarray(end);
      if (!isObject(message)) throw new Error("a message that is no object");
      if ((flags & LAST) === 0) listener.response(message);
      else listener.ended(isObject(message.error) ? connectErrorOf(schema, at(message, "error")) : undefined);
    }
  }
  throw new Error("the connection ended within the stream");
}

function framed(request: JsonObject): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(request));
  const bytes = new Uint8Array(HEAD_BYTES + json.length);
  new DataView(bytes.buffer).setUint32(1, json.length);
  bytes.set(json, HEAD_BYTES);
  return bytes;
}
