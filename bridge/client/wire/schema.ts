// The contract as the binary encoding needs it, read from the text that is made of the .proto files: see scripts/generate-client-schema.js.

import { CONTRACT } from "../gen/contract.js";
import { FIXED64, LENGTH, VARINT } from "./bytes.js";

/** A message, or an enum, whose values stand for fields. */
export interface Type {
  readonly name: string;
  readonly byName: ReadonlyMap<string, Field>;
  readonly byNumber: ReadonlyMap<number, Field>;
}

/** What a field is, whatever it is called. */
interface Shape {
  readonly repeated: boolean;
  /** A letter, as scripts/generate-client-schema.js says; ">" a message, "=" an enum. */
  readonly type: string;
  /** The message or the enum; what T, J and M stand for. */
  readonly of: Type | undefined;
  /** How one of its values is written. */
  readonly wireType: number;
}

export interface Field extends Shape {
  readonly number: number;
  /** Of an enum's value with the enum's prefix. */
  readonly name: string;
}

/** A type that is being read. */
interface Begun extends Type {
  readonly byName: Map<string, Field>;
  readonly byNumber: Map<number, Field>;
  readonly prefix: string;
  next: number;
}

/** Name, "*", mark, letter or type, number, and what follows. */
const WORD = /(\w*)(\*?)([:>=]?)(\w*)#?(\d*)([(),])/g;
const TEXT: Shape = { repeated: false, type: "s", of: undefined, wireType: LENGTH };

/** By their names. */
export const TYPES: ReadonlyMap<string, Type> = read(CONTRACT);

function read(contract: string): ReadonlyMap<string, Type> {
  const types = new Map<string, Begun>();
  const last = new Map<string, Shape>();
  const begun: Begun[] = [];
  for (const [, word = "", many, mark, named = "", number, then] of contract.matchAll(WORD)) {
    const inPlace = then === "(";
    const [within] = begun;
    const typeName = named || word.slice(0, 1).toUpperCase() + word.slice(1);
    if (inPlace) {
      const prefix = mark === "=" ? `${typeName.replace(/\B[A-Z]/g, "_$&").toUpperCase()}_` : "";
      const type: Begun = { name: typeName, byName: new Map(), byNumber: new Map(), prefix, next: 0 };
      if (prefix !== "") add(type, "UNSPECIFIED", TEXT);
      type.next = 1;
      types.set(typeName, type);
      begun.unshift(type);
    } else if (then === ")") begun.shift();
    if (within === undefined || word === "") continue;
    let shape = last.get(word) ?? TEXT;
    if (mark || inPlace) {
      const type = mark === ":" ? named : mark || ">";
      shape = {
        repeated: many === "*",
        type,
        of: types.get(typeName),
        wireType: wireTypeOf(type),
      };
    }
    last.set(word, shape);
    within.next = Number(number || within.next);
    add(within, word, shape);
  }
  return types;
}

function wireTypeOf(type: string): number {
  return type === "d" ? FIXED64 : "ub=".includes(type) ? VARINT : LENGTH;
}

function add(type: Begun, word: string, shape: Shape): void {
  const field = { ...shape, number: type.next++, name: type.prefix + word };
  type.byName.set(field.name, field);
  type.byNumber.set(field.number, field);
}
