// The contract as the binary encoding needs it, read from the text that is made of the .proto files.

import { CONTRACT } from "../gen/contract.js";
import { LENGTH, VARINT } from "./bytes.js";

export interface Field {
  readonly number: number;
  readonly name: string;
  readonly repeated: boolean;
  /** A letter, as scripts/generate-client-schema.js says; ">" a message, "=" an enum. */
  readonly type: string;
  /** The message's or the enum's. */
  readonly of: string;
  /** How one of its values is written. */
  readonly wireType: number;
}

export interface MessageType {
  readonly byName: ReadonlyMap<string, Field>;
  readonly byNumber: ReadonlyMap<number, Field>;
}

export interface EnumType {
  readonly names: ReadonlyMap<number, string>;
  readonly numbers: ReadonlyMap<string, number>;
}

const messages = new Map<string, MessageType>();
const enums = new Map<string, EnumType>();
/** Lines that nobody has asked for yet: most clients use a third of the contract. */
const unread = new Map(CONTRACT.split("\n").map((line) => [line.slice(0, line.indexOf(" ") >>> 0), line]));

export function messageType(name: string): MessageType {
  let type = messages.get(name);
  if (type === undefined) {
    type = readMessage(wordsOf(name));
    messages.set(name, type);
  }
  return type;
}

export function enumType(name: string): EnumType {
  let type = enums.get(name);
  if (type === undefined) {
    type = readEnum(`${name.replace(/\B[A-Z]/g, "_$&").toUpperCase()}_`, wordsOf(`=${name}`));
    enums.set(name, type);
  }
  return type;
}

/** None of a message without fields. */
function wordsOf(name: string): readonly string[] {
  const words = unread.get(name)?.split(" ").slice(1) ?? [];
  const [first = ""] = words;
  return first.startsWith("<") ? wordsOf(first.slice(1)).map((word) => word.replace("!", ">~Response")) : words;
}

function readMessage(words: readonly string[]): MessageType {
  let next = 1;
  const fields = words.map((word): Field => {
    const [name = "", spec = "", told] = word.split(":");
    const number = told === undefined ? next : Number(told);
    next = number + 1;
    const repeated = spec.startsWith("*");
    const type = (repeated ? spec.slice(1) : spec).replace("!", ">~Request") || "s";
    const of = (type.slice(1) || "~").replace("~", name.slice(0, 1).toUpperCase() + name.slice(1));
    const letter = type.slice(0, 1);
    const wireType = "ub=".includes(letter) ? VARINT : LENGTH;
    return { number, name, repeated, type: letter, of, wireType };
  });
  return {
    byName: new Map(fields.map((field) => [field.name, field])),
    byNumber: new Map(fields.map((field) => [field.number, field])),
  };
}

function readEnum(prefix: string, words: readonly string[]): EnumType {
  let next = 0;
  const entries = ["UNSPECIFIED", ...words].map((word): [string, number] => {
    const [name = "", told] = word.split(":");
    const number = told === undefined ? next : Number(told);
    next = number + 1;
    return [prefix + name, number];
  });
  return { numbers: new Map(entries), names: new Map(entries.map(([name, number]) => [number, name])) };
}
