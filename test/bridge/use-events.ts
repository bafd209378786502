// A client of the fallback that sends what a test wants, and keeps what it receives.

import { onTestFinished } from "vitest";

export interface ServerEvent {
  /** Empty: a frame. */
  readonly name: string;
  readonly data: string;
}

export interface EventsClient {
  readonly key: string;
  readonly maxBytes: number;
  readonly headers: Headers;
  /** The next event, in order; undefined: the stream has ended. */
  next(): Promise<ServerEvent | undefined>;
  /** What a request with these frames, one a line, is answered. */
  post(number: number, frames: string | Uint8Array<ArrayBuffer>, headers?: Record<string, string>): Promise<Response>;
  /** Cuts the stream. */
  cut(): void;
}

/** @param http Where the stream comes from. */
export async function useEvents(http: string, headers: Record<string, string> = {}): Promise<EventsClient> {
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const response = await fetch(`${http}/v1/events`, { headers, signal: abort.signal });
  if (response.body === null || response.status !== 200) throw new Error(`refused: ${response.status}`);
  const events = readEvents(response.body);
  const first = await events.next();
  const { session, maxBytes } = JSON.parse(first.value?.data ?? "{}");
  return {
    key: session,
    maxBytes,
    headers: response.headers,
    next: async () => (await events.next()).value,
    post: (number, frames, more = {}) => post(http, session, number, frames, more),
    cut: () => abort.abort(),
  };
}

export function post(
  http: string,
  key: string,
  number: number,
  frames: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${http}/v1/frames`, {
    method: "POST",
    body: frames,
    headers: { "trunkline-session": key, "trunkline-batch": String(number), ...headers },
  });
}

async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent, undefined> {
  const decoder = new TextDecoder();
  let unread = "";
  try {
    for await (const chunk of body) {
      const blocks = (unread + decoder.decode(chunk, { stream: true })).split("\n\n");
      unread = blocks.pop() ?? "";
      for (const block of blocks) {
        const lines = block.split("\n");
        const value = (field: string): string =>
          lines.find((line) => line.startsWith(`${field}: `))?.slice(field.length + 2) ?? "";
        yield { name: value("event"), data: value("data") };
      }
    }
  } catch {
    // It was cut.
  }
  return undefined;
}
