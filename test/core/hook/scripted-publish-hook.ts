// A publish hook that says what the test wants, when the test wants it.

import { create } from "@bufbuild/protobuf";
import type { PublishHookRules } from "../../../src/core/hook/rules.js";
import { BodySchema, MentionSchema, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import type { Publication, PublishHook, PublishVerdict } from "../../../src/ports/publish-hook.js";
import { type Gate, gate } from "../use-core.js";

export const ALLOW: PublishVerdict = { decision: "allow" };

/** This body instead. */
export function replace(text: string): PublishVerdict {
  return change({ text });
}

export function change(to: {
  readonly text?: string;
  readonly mentions?: readonly string[];
  readonly metadata?: Extract<PublishVerdict, { decision: "change" }>["metadata"];
}): PublishVerdict {
  return {
    decision: "change",
    body: to.text === undefined ? undefined : textBody(to.text),
    mentions: to.mentions?.map((userId) => create(MentionSchema, { userId })),
    metadata: to.metadata,
  };
}

export function refuse(reason: string, code = ""): PublishVerdict {
  return { decision: "refuse", reason, code };
}

/** Keeps its answers back until the test gives them, or answers at once. */
export class ScriptedPublishHook implements PublishHook {
  readonly asked: Publication[] = [];
  readonly #open: Gate<PublishVerdict>[] = [];
  readonly #answer: ((publication: Publication) => PublishVerdict | Error) | undefined;

  constructor(answer?: (publication: Publication) => PublishVerdict | Error) {
    this.#answer = answer;
  }

  beforePublish(publication: Publication): Promise<PublishVerdict> {
    this.asked.push(publication);
    const answer = this.#answer?.(publication);
    if (answer !== undefined) return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    const open = gate<PublishVerdict>();
    this.#open.push(open);
    return open.promise;
  }

  /** Answers the question asked as number `index`, from 0. */
  answer(index: number, verdict: PublishVerdict | Error): void {
    const open = this.#open[index];
    if (open === undefined) throw new Error(`${this.#open.length} were asked`);
    if (verdict instanceof Error) open.reject(verdict);
    else open.resolve(verdict);
  }

  /** What was asked about, by its text. */
  get texts(): string[] {
    return this.asked.map(({ message }) => String(message.body?.kind.value));
  }

  rules(differing: Partial<PublishHookRules> = {}): PublishHookRules {
    return {
      hook: this,
      failure: "closed",
      services: false,
      roomKinds: new Set([RoomKind.DIRECT, RoomKind.GROUP, RoomKind.CHANNEL]),
      bodies: undefined,
      tenants: undefined,
      ...differing,
    };
  }
}

function textBody(value: string) {
  return create(BodySchema, { kind: { case: "text", value } });
}
