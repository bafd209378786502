// A real HTTP server that takes posts, or does with them what a test wants.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { isArray, isObject, type JsonObject, text } from "../../support/client/index.js";

export interface Post {
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export type Answer = (post: Post, response: ServerResponse) => void;

const OK: Answer = (_post, response) => response.writeHead(204).end();

export class Receiver {
  /** Every post that came, in order. */
  readonly posts: Post[] = [];
  answer: Answer = OK;
  #server: Server | undefined;
  #port = 0;
  #waiting: (() => void)[] = [];

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook`;
  }

  /** On the port it had before, if it had one. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const post = { headers: request.headers, body: Buffer.concat(chunks).toString() };
        this.posts.push(post);
        this.answer(post, response);
        const waiting = this.#waiting;
        this.#waiting = [];
        for (const tell of waiting) tell();
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  /** Resolves once what came fulfils the condition. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Room and seq of the events of a room, in the order in which they came, repeats too. */
  seqs(roomId: string): number[] {
    return this.posts.flatMap((post) => seqsIn(post, roomId));
  }
}

export function seqsIn({ body }: Post, roomId: string): number[] {
  const parsed: unknown = JSON.parse(body);
  const rooms = isObject(parsed) && isArray(parsed.rooms) ? parsed.rooms.filter(isObject) : [];
  return rooms
    .filter((room) => text(room.roomId) === roomId)
    .flatMap(({ events }) => (isArray(events) ? events.filter(isObject) : []))
    .map(({ position }) => Number(isObject(position) ? position.seq : 0));
}

export function contentOf({ body }: Post): JsonObject {
  const parsed: unknown = JSON.parse(body);
  if (!isObject(parsed)) throw new Error("not an object");
  return parsed;
}

export async function useReceiver(): Promise<Receiver> {
  const receiver = new Receiver();
  await receiver.start();
  onTestFinished(() => receiver.stop());
  return receiver;
}
