// The actions of which transcripts consist. transcripts/README.md is their documentation.

import {
  at,
  type Connection,
  contentOf,
  type Frame,
  isArray,
  isObject,
  type JsonObject,
  kindOf,
  number,
  replyTo,
  text,
} from "../../support/client/index.js";
import type { Stage } from "./stage.js";

export type Action = (stage: Stage, input: JsonObject) => Promise<void>;

const clientOf = (stage: Stage, input: JsonObject): Connection => stage.connection(text(input.client));

export const ACTIONS: { readonly [name: string]: Action } = {
  async connect(stage, input) {
    const token = input.token === undefined ? undefined : text(stage.resolve(input.token));
    await stage.connect(text(input.client), token);
  },

  async send(stage, input) {
    clientOf(stage, input).send(stage.resolveObject(input.frame));
  },

  async sendRaw(stage, input) {
    const data = input.text === undefined ? Buffer.from(text(input.hex), "hex") : text(stage.resolve(input.text));
    clientOf(stage, input).sendRaw(data);
  },

  async request(stage, input) {
    const reply = await clientOf(stage, input).request(stage.resolveObject(input.frame), stage.patienceMs);
    stage.match(input.reply ?? {}, reply);
  },

  /** Frames sent at once, the replies taken in any order. */
  async burst(stage, input) {
    const connection = clientOf(stage, input);
    const refs = new Set<unknown>();
    for (let index = 1; index <= number(input.times); index++) {
      stage.capture(typeof input.as === "string" ? input.as : "i", index);
      const ref = connection.nextRef();
      refs.add(ref);
      connection.send({ ref, ...stage.resolveObject(input.frame) });
    }
    while (refs.size > 0) {
      const reply = await connection.inbox.take(
        (frame) => refs.has(frame.replyTo),
        "a reply to the burst",
        stage.patienceMs,
      );
      refs.delete(reply.replyTo);
      stage.match(input.replies ?? {}, reply);
    }
  },

  async expect(stage, input) {
    const wanted = isObject(input.frame) ? input.frame : {};
    const room = at(contentOf(wanted), "roomId");
    const roomId = room === undefined || room === "$any" ? undefined : stage.resolve(room);
    const frame = await take(stage, input, kindOf(wanted), (candidate) => {
      const replyMatches = wanted.replyTo === undefined || wanted.replyTo === replyTo(candidate);
      // Others of its kind may come between: of them nothing is said.
      if (input.among === true && !stage.matches(wanted, candidate)) return false;
      if (isTopAlone(candidate) && !isTopAlone(wanted)) return false;
      return replyMatches && (roomId === undefined || contentOf(candidate).roomId === roomId);
    });
    stage.match(wanted, frame);
  },

  async next(stage, input) {
    const frame = await clientOf(stage, input).inbox.take(() => true, "any frame", stage.patienceMs);
    stage.match(input.frame ?? {}, frame);
  },

  async events(stage, input) {
    const roomId = stage.resolve(input.room ?? "");
    const wanted = isArray(input.events) ? [...input.events] : [];
    while (wanted.length > 0) {
      const frame = await take(stage, input, "roomEvents", (candidate) => contentOf(candidate).roomId === roomId);
      const events = at(contentOf(frame), "events");
      for (const event of isArray(events) ? events : []) {
        const expected = wanted.shift();
        if (expected === undefined) throw new Error(`one event more than expected: ${JSON.stringify(event)}`);
        stage.match(expected, event);
      }
    }
  },

  async quiet(stage, input) {
    const connection = clientOf(stage, input);
    const expected = input.frame ?? {};
    await connection.request({ ping: { id: 1 } }, stage.patienceMs);
    const met = connection.inbox.unread.find((frame) => stage.matches(expected, frame));
    if (met !== undefined) throw new Error(`came all the same: ${JSON.stringify(met)}`);
  },

  async closed(stage, input) {
    const ending = await clientOf(stage, input).inbox.ended(stage.patienceMs);
    if (input.code !== undefined) stage.match(input.code, ending.code);
  },

  async disconnect(stage, input) {
    clientOf(stage, input).close();
  },

  async giveUp(stage, input) {
    stage.stream(text(input.client)).cancel();
  },

  async cut(stage, input) {
    clientOf(stage, input).destroy();
  },

  async moveLink(stage) {
    if (stage.moveLink === undefined) throw new Error("there is no bridge whose link can be moved");
    await stage.moveLink();
  },

  async follow(stage, input) {
    const service = text(input.service) || "RoomService";
    stage.follow(
      text(input.client),
      tokenOf(stage, input),
      service,
      text(input.method),
      stage.resolveObject(input.request),
    );
  },

  async response(stage, input) {
    const response = await stage.stream(text(input.client)).next(stage.patienceMs);
    stage.match(input.response ?? {}, response);
  },

  async ended(stage, input) {
    const error = await stage.stream(text(input.client)).ended(stage.patienceMs);
    if (error === undefined && input.error !== undefined) throw new Error("it has ended in order");
    if (error !== undefined) stage.match(input.error ?? "an end in order", error);
  },

  async call(stage, input) {
    const outcome = await stage.client.call(
      tokenOf(stage, input),
      text(input.method),
      stage.resolveObject(input.request),
      text(input.service) || "RoomService",
    );
    if ("error" in outcome) {
      if (input.error === undefined) throw new Error(`was refused: ${JSON.stringify(outcome.error)}`);
      stage.match(input.error, outcome.error);
    } else {
      if (input.error !== undefined) throw new Error(`was not refused: ${JSON.stringify(outcome.response)}`);
      stage.match(input.response ?? {}, outcome.response);
    }
  },
};

/** Of the user named, or the token itself; undefined: none. */
function tokenOf(stage: Stage, input: JsonObject): string | undefined {
  if (input.user !== undefined) return stage.token(text(input.user));
  return input.token === undefined ? undefined : text(stage.resolve(input.token));
}

function take(stage: Stage, input: JsonObject, kind: string, match: (frame: Frame) => boolean): Promise<Frame> {
  const inbox = clientOf(stage, input).inbox;
  return inbox.take((frame) => kindOf(frame) === kind && match(frame), `a frame ${kind}`, stage.patienceMs);
}

/** Where a room stands is told at any moment to members who are there and do not read it yet: of that nothing is said where it is not asked for. */
function isTopAlone(frame: JsonObject): boolean {
  return kindOf(frame) === "signals" && Object.keys(contentOf(frame)).every((key) => key === "top");
}
