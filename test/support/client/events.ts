// The test client where no WebSocket gets through: server-sent events down, requests up.

import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { Connection, type ConnectOptions, receiver } from "./connection.js";
import { Inbox, type JsonObject } from "./inbox.js";
import { at, isObject, number, text } from "./json-value.js";

export interface EventsOptions extends ConnectOptions {
  readonly headers?: { readonly [name: string]: string };
  /** Where frames are sent to; default: where the stream comes from. */
  readonly framesUrl?: string | undefined;
}

/** What nobody could answer is sent again under its number after so long, in milliseconds, and so often. */
const AGAIN_MS = 100;
const REPEATS = 30;

/** @param url Of the HTTP server. */
export async function connectEvents(url: string, options: EventsOptions = {}): Promise<Connection> {
  const inbox = new Inbox(options.label ?? "events client");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const stream = await open(new URL("/v1/events", url), options.headers);
  const target = new URL("/v1/frames", options.framesUrl ?? url);
  const waiting: Buffer[] = [];
  let key = "";
  let maxBytes = 0;
  let batch = 0;
  let busy = false;
  let over = false;

  const post = (): void => {
    if (busy || key === "" || waiting.length === 0) return;
    let bytes = 0;
    const count = waiting.findIndex((line, index) => {
      bytes += line.length + 1;
      return index > 0 && bytes > maxBytes;
    });
    const lines = waiting.splice(0, count < 0 ? waiting.length : count);
    busy = true;
    const body = Buffer.concat(lines.flatMap((line, index) => (index === 0 ? [line] : [Buffer.from("\n"), line])));
    batch += 1;
    void insist({ "trunkline-session": key, "trunkline-batch": String(batch) }, body).then(() => {
      busy = false;
      post();
    });
  };
  /** What was refused for good shows in the stream. */
  const insist = async (headers: { readonly [name: string]: string }, body: Buffer): Promise<void> => {
    for (let repeats = 0; repeats <= REPEATS && !over; repeats++) {
      const status = await send(target, agent, headers, body);
      if (status !== 0 && status < 500) return;
      await pause(AGAIN_MS);
    }
  };
  const write = (line: Buffer): void => {
    waiting.push(line);
    post();
  };
  const sendFrame = (frame: JsonObject): void => write(Buffer.from(JSON.stringify(frame)));
  const receive = receiver(inbox, options, sendFrame);
  const opened = Promise.withResolvers<void>();
  readEvents(
    stream,
    (name, data) => {
      const value: unknown = JSON.parse(data);
      if (!isObject(value)) return;
      if (name === "session") {
        key = text(at(value, "session"));
        maxBytes = number(at(value, "maxBytes"));
        opened.resolve();
      } else if (name === "end") {
        inbox.end({ code: number(at(value, "code")), reason: text(at(value, "reason")) });
      } else receive(value);
    },
    () => {
      over = true;
      agent.destroy();
      inbox.end({ code: 1006, reason: "" });
      opened.reject(new Error("the stream has ended before it began"));
    },
  );
  await opened.promise;
  return new Connection(
    {
      send: sendFrame,
      sendRaw: (data) => write(Buffer.from(data)),
      close: () => {
        const headers = { "trunkline-session": key, "trunkline-batch": String(batch + 1), "trunkline-close": "1000" };
        void send(target, agent, headers, Buffer.alloc(0));
      },
      destroy: () => stream.destroy(),
      pause: () => stream.pause(),
      resume: () => stream.resume(),
    },
    inbox,
  );
}

function open(url: URL, headers: { readonly [name: string]: string } = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers: { ...headers }, agent: false });
    request.on("error", reject);
    request.once("response", (response) => {
      if (response.statusCode === 200) resolve(response);
      else {
        response.destroy();
        reject(new Error(`events: ${response.statusCode}`));
      }
    });
    request.end();
  });
}

/** The answer's status; 0: there was none. */
function send(url: URL, agent: Agent, headers: { readonly [name: string]: string }, body: Buffer): Promise<number> {
  return new Promise((resolve) => {
    const request = httpRequest(url, { method: "POST", agent, headers: { ...headers, "content-length": body.length } });
    request.on("error", () => resolve(0));
    request.once("response", (response) => {
      response.resume();
      response.once("close", () => resolve(response.statusCode ?? 0));
    });
    request.end(body);
  });
}

/** Reads a stream of events as its specification says, as far as a server of ours goes. */
function readEvents(stream: IncomingMessage, onEvent: (name: string, data: string) => void, onEnd: () => void): void {
  let unread = "";
  stream.setEncoding("utf8");
  stream.on("error", () => {});
  stream.on("data", (chunk: string) => {
    const blocks = (unread + chunk).split("\n\n");
    unread = blocks.pop() ?? "";
    for (const block of blocks) {
      let name = "";
      const data: string[] = [];
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) name = line.slice("event: ".length);
        else if (line.startsWith("data: ")) data.push(line.slice("data: ".length));
      }
      if (data.length > 0) onEvent(name, data.join("\n"));
    }
  });
  stream.once("close", onEnd);
}
